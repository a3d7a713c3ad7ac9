//! Eight `f32` in a 256-bit register, with AVX2 or with AVX-512 beside it, which has wider registers for what may be
//! wider.
//!
//! SAFETY of every block here: vectors are only ever made and used inside `run_avx2` or `run_avx512`, which are only
//! called where their instruction sets were detected; pointers are vouched for by the callers of `load`, `twice` and
//! `store`.
#![allow(clippy::undocumented_unsafe_blocks, reason = "said once above")]

use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::portable::Both;
use super::{Kernel, LANES, Lanes, Real, Two, Vector};

/// Compiles a kernel with AVX2 and FMA.
///
/// # Safety
/// The processor must have both.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_avx2<E: Real, V: Lanes<Elem = E>, K: Kernel<E>>(kernel: K) -> K::Output {
    kernel.run::<V>()
}

/// Compiles a kernel with AVX-512.
///
/// # Safety
/// The processor must have all of it that is named here.
#[target_feature(enable = "avx2,fma,avx512f,avx512dq,avx512vl")]
pub(super) unsafe fn run_avx512<E: Real, V: Lanes<Elem = E>, K: Kernel<E>>(kernel: K) -> K::Output {
    kernel.run::<V>()
}

/// What an instruction set has beside 256-bit registers.
pub(super) trait Wider: Copy {
    type Wide: Vector<Elem = f32>;
    type Two: Two<One = F32<Self>>;
}

/// Nothing.
#[derive(Clone, Copy)]
pub(super) struct Avx2;

impl Wider for Avx2 {
    type Wide = F32<Avx2>;
    type Two = Both<F32<Avx2>>;
}

/// 512-bit registers, and 32 of them.
#[derive(Clone, Copy)]
pub(super) struct Avx512;

impl Wider for Avx512 {
    type Wide = Sixteen;
    type Two = Sixteen;
}

/// Eight lanes.
#[derive(Clone, Copy)]
pub(super) struct F32<W>(__m256, PhantomData<W>);

impl<W> F32<W> {
    #[inline(always)]
    fn of(register: __m256) -> Self {
        F32(register, PhantomData)
    }
}

impl<W: Wider> Vector for F32<W> {
    type Elem = f32;
    const LEN: usize = LANES;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        F32::of(unsafe { _mm256_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        F32::of(unsafe { _mm256_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        F32::of(unsafe { _mm256_fmadd_ps(self.0, by.0, plus.0) })
    }
}

impl<W: Wider> Lanes for F32<W> {
    type Wide = W::Wide;
    type Two = W::Two;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        F32::of(unsafe { _mm256_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        F32::of(unsafe { _mm256_sub_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        F32::of(unsafe { _mm256_mul_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        F32::of(unsafe { _mm256_div_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        F32::of(unsafe { _mm256_max_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        F32::of(unsafe { _mm256_min_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn if_greater(self, than: Self, yes: Self, no: Self) -> Self {
        F32::of(unsafe { _mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, than.0)) })
    }
    #[inline(always)]
    fn root(self) -> Self {
        F32::of(unsafe { _mm256_sqrt_ps(self.0) })
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        unsafe {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
            F32::of(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased)))
        }
    }
    #[inline(always)]
    fn split_exponent(self) -> (Self, Self) {
        unsafe {
            let bits = _mm256_castps_si256(self.0);
            let fraction = _mm256_and_si256(bits, _mm256_set1_epi32(0x007f_ffff));
            let mantissa = _mm256_or_si256(fraction, _mm256_set1_epi32(0x3f80_0000));
            let exponent = _mm256_sub_epi32(_mm256_srli_epi32::<23>(bits), _mm256_set1_epi32(127));
            (F32::of(_mm256_castsi256_ps(mantissa)), F32::of(_mm256_cvtepi32_ps(exponent)))
        }
    }
    #[inline(always)]
    fn to_array(self) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), self.0) };
        lanes
    }
    #[inline(always)]
    fn from_array(lanes: [f32; LANES]) -> Self {
        F32::of(unsafe { _mm256_loadu_ps(lanes.as_ptr()) })
    }
    #[inline(always)]
    fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        unsafe {
            let [a, b, c, d, e, f, g, h] = rows.map(|row| row.0);
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ef, gh) = (_mm256_unpacklo_ps(e, f), _mm256_unpacklo_ps(g, h));
            let (ab_high, cd_high) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            let (ef_high, gh_high) = (_mm256_unpackhi_ps(e, f), _mm256_unpackhi_ps(g, h));
            // Each holds four rows of two columns: n in its lower half, n + 4 in its upper.
            let upper = [
                _mm256_shuffle_ps::<0x44>(ab, cd),
                _mm256_shuffle_ps::<0xee>(ab, cd),
                _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
                _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
            ];
            let lower = [
                _mm256_shuffle_ps::<0x44>(ef, gh),
                _mm256_shuffle_ps::<0xee>(ef, gh),
                _mm256_shuffle_ps::<0x44>(ef_high, gh_high),
                _mm256_shuffle_ps::<0xee>(ef_high, gh_high),
            ];
            let mut columns = rows;
            for n in 0..4 {
                columns[n] = F32::of(_mm256_permute2f128_ps::<0x20>(upper[n], lower[n]));
                columns[n + 4] = F32::of(_mm256_permute2f128_ps::<0x31>(upper[n], lower[n]));
            }
            columns
        }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        unsafe {
            let fours = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let twos = _mm_add_ps(fours, _mm_movehl_ps(fours, fours));
            _mm_cvtss_f32(_mm_add_ss(twos, _mm_shuffle_ps::<1>(twos, twos)))
        }
    }
}

/// Sixteen neighbouring elements, or two times eight lanes.
#[derive(Clone, Copy)]
pub(super) struct Sixteen(__m512);

impl Vector for Sixteen {
    type Elem = f32;
    const LEN: usize = 2 * LANES;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Sixteen(unsafe { _mm512_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Sixteen(unsafe { _mm512_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        Sixteen(unsafe { _mm512_fmadd_ps(self.0, by.0, plus.0) })
    }
}

impl Two for Sixteen {
    type One = F32<Avx512>;
    const FUSED: bool = true;

    #[inline(always)]
    fn zero() -> Self {
        <Self as Vector>::zero()
    }
    #[inline(always)]
    unsafe fn load(first: *const f32, second: *const f32) -> Self {
        unsafe {
            let low = _mm512_castps256_ps512(_mm256_loadu_ps(first));
            Sixteen(_mm512_insertf32x8::<1>(low, _mm256_loadu_ps(second)))
        }
    }
    #[inline(always)]
    unsafe fn twice(from: *const f32) -> Self {
        Sixteen(unsafe { _mm512_broadcast_f32x8(_mm256_loadu_ps(from)) })
    }
    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        <Self as Vector>::mul_add(self, by, plus)
    }
    #[inline(always)]
    fn split(self) -> [F32<Avx512>; 2] {
        unsafe { [F32::of(_mm512_castps512_ps256(self.0)), F32::of(_mm512_extractf32x8_ps::<1>(self.0))] }
    }
}
