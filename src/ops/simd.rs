//! Eight lanes, the same bits on every machine.
//!
//! Kernels are written once over [`Lanes`] and run through [`Real::dispatch`], which picks the instruction set. Every
//! lane operation is an IEEE 754 operation with one rounding (`mul_add` is fused everywhere), so AVX2 and the portable
//! fallback agree bit for bit. Never add lanes of different registers but through [`Lanes::sum`], whose tree is fixed.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU8, Ordering};

use super::math::Transcendental;

/// Number of lanes; part of the definition of every reduction.
pub const LANES: usize = 8;

/// Eight numbers that are worked on together.
///
/// The methods are `#[inline(always)]`: they must end up inside the function that enables the instruction set.
pub trait Lanes: Copy {
    /// The type of one lane.
    type Elem: Real;

    /// Eight copies of one value.
    fn splat(value: Self::Elem) -> Self;
    /// Reads eight elements.
    ///
    /// # Safety
    /// `from` must be valid for reading eight elements; no alignment is needed.
    unsafe fn load(from: *const Self::Elem) -> Self;
    /// Writes eight elements.
    ///
    /// # Safety
    /// `to` must be valid for writing eight elements; no alignment is needed.
    unsafe fn store(self, to: *mut Self::Elem);
    /// `self * by + plus`, rounded once.
    fn mul_add(self, by: Self, plus: Self) -> Self;
    /// Sum, lane by lane.
    fn add(self, other: Self) -> Self;
    /// Difference, lane by lane.
    fn sub(self, other: Self) -> Self;
    /// Product, lane by lane.
    fn mul(self, other: Self) -> Self;
    /// Quotient, lane by lane.
    fn div(self, other: Self) -> Self;
    /// `if self > other { self } else { other }`, lane by lane (so `other` for NaN).
    fn max(self, other: Self) -> Self;
    /// `if self < other { self } else { other }`, lane by lane.
    fn min(self, other: Self) -> Self;
    /// `if self > than { yes } else { no }`, lane by lane.
    fn if_greater(self, than: Self, yes: Self, no: Self) -> Self;
    /// Correctly rounded square root, lane by lane.
    fn root(self) -> Self;
    /// 2 to the power of each lane, which must be an integer in the exponent range of normal numbers (or NaN: 1).
    fn pow2(self) -> Self;
    /// Splits positive normal lanes into mantissas in `[1, 2)` and exponents; anything for other lanes.
    fn split_exponent(self) -> (Self, Self);
    /// The lanes as an array.
    fn to_array(self) -> [Self::Elem; LANES];
    /// Lanes from an array.
    fn from_array(lanes: [Self::Elem; LANES]) -> Self;

    /// Zero in every lane.
    #[inline(always)]
    fn zero() -> Self {
        Self::splat(Self::Elem::ZERO)
    }

    /// The sum of the lanes, by the fixed tree ((0+4)+(2+6))+((1+5)+(3+7)).
    #[inline(always)]
    fn sum(self) -> Self::Elem {
        let [a, b, c, d, e, f, g, h] = self.to_array();
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }

    /// Reads the first `count` (below eight) elements; the other lanes are zero.
    ///
    /// # Safety
    /// `from` must be valid for reading `count` elements.
    #[inline(always)]
    unsafe fn load_first(from: *const Self::Elem, count: usize) -> Self {
        let mut lanes = [Self::Elem::ZERO; LANES];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: i < count, and the caller vouches for `count` elements.
            *lane = unsafe { *from.add(i) };
        }
        Self::from_array(lanes)
    }

    /// Writes the first `count` (below eight) lanes.
    ///
    /// # Safety
    /// `to` must be valid for writing `count` elements.
    #[inline(always)]
    unsafe fn store_first(self, to: *mut Self::Elem, count: usize) {
        for (i, lane) in self.to_array().into_iter().enumerate().take(count) {
            // SAFETY: i < count, and the caller vouches for `count` elements.
            unsafe { *to.add(i) = lane };
        }
    }

    /// Reads a slice of up to eight elements; the other lanes are zero.
    #[inline(always)]
    fn read(from: &[Self::Elem]) -> Self {
        // SAFETY: either eight elements are there, or exactly `len` are read.
        unsafe {
            if from.len() >= LANES {
                Self::load(from.as_ptr())
            } else {
                Self::load_first(from.as_ptr(), from.len())
            }
        }
    }

    /// Writes the first lanes to a slice of up to eight elements.
    #[inline(always)]
    fn write(self, to: &mut [Self::Elem]) {
        // SAFETY: either there is room for eight elements, or exactly `len` are written.
        unsafe {
            if to.len() >= LANES {
                self.store(to.as_mut_ptr());
            } else {
                self.store_first(to.as_mut_ptr(), to.len());
            }
        }
    }
}

/// A computation that is compiled once per instruction set. Mark `run` `#[inline(always)]`, and use no closures in it:
/// they do not inherit the instruction set.
pub trait Kernel<E: Real> {
    /// What it returns.
    type Output;
    /// Runs with the given lanes.
    fn run<V: Lanes<Elem = E>>(self) -> Self::Output;
}

/// `f32` for training, `f64` for gradient checks.
pub trait Real:
    dfdx::dtypes::Dtype
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Neg<Output = Self>
    + PartialOrd
    + Transcendental
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Conversion, rounding to nearest.
    fn of(value: f64) -> Self;
    /// Exact conversion.
    fn to_f64(self) -> f64;
    /// Correctly rounded square root.
    fn root(self) -> Self;
    /// `self * by + plus`, rounded once.
    fn fused(self, by: Self, plus: Self) -> Self;
    /// One lane of [`Lanes::pow2`].
    fn pow2(self) -> Self;
    /// One lane of [`Lanes::split_exponent`].
    fn split_exponent(self) -> (Self, Self);
    /// Runs a kernel with the instruction set of [`isa`].
    fn dispatch<K: Kernel<Self>>(kernel: K) -> K::Output;
}

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Isa {
    /// Whatever the build's target guarantees.
    Portable = 1,
    /// AVX2 with FMA.
    Avx2 = 2,
}

static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// The instruction set in use: the best there is, unless `I2M2_ISA` is `portable`.
pub fn isa() -> Isa {
    match CHOSEN.load(Ordering::Relaxed) {
        1 => Isa::Portable,
        2 => Isa::Avx2,
        _ => {
            let forced = std::env::var("I2M2_ISA").is_ok_and(|isa| isa == "portable");
            let best = if !forced && avx2_available() { Isa::Avx2 } else { Isa::Portable };
            force(best)
        }
    }
}

/// Chooses the instruction set for the whole process (tests compare their bits). Returns the one now in use: AVX2 only
/// where there is AVX2.
pub fn force(isa: Isa) -> Isa {
    let isa = if isa == Isa::Avx2 && !avx2_available() { Isa::Portable } else { isa };
    CHOSEN.store(isa as u8, Ordering::Relaxed);
    isa
}

/// Runs a test on every instruction set of this machine, one test at a time, and puts the best one back. Tests beside it
/// are not disturbed, because they get the same bits.
#[cfg(test)]
pub(crate) fn on_every_isa(mut test: impl FnMut(Isa)) {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // Not `isa()`: a test that failed put nothing back.
    let best = force(Isa::Avx2);
    for isa in [Isa::Portable, Isa::Avx2] {
        if force(isa) == isa {
            test(isa);
        }
    }
    force(best);
}

fn avx2_available() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Eight lanes in an array; the compiler vectorises what the target allows.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub struct Array<E>([E; LANES]);

macro_rules! lanewise {
    ($a:expr, $b:expr, |$x:ident, $y:ident| $result:expr) => {{
        let (a, b) = ($a.0, $b.0);
        let mut out = a;
        let mut i = 0;
        while i < LANES {
            let ($x, $y) = (a[i], b[i]);
            out[i] = $result;
            i += 1;
        }
        Array(out)
    }};
}

impl<E: Real> Lanes for Array<E> {
    type Elem = E;

    #[inline(always)]
    fn splat(value: E) -> Self {
        Array([value; LANES])
    }
    #[inline(always)]
    unsafe fn load(from: *const E) -> Self {
        // SAFETY: the caller vouches for eight readable elements; an array of E has E's alignment.
        Array(unsafe { std::ptr::read(from.cast::<[E; LANES]>()) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut E) {
        // SAFETY: the caller vouches for eight writable elements; an array of E has E's alignment.
        unsafe { std::ptr::write(to.cast::<[E; LANES]>(), self.0) };
    }
    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        let mut out = plus.0;
        let mut i = 0;
        while i < LANES {
            out[i] = self.0[i].fused(by.0[i], out[i]);
            i += 1;
        }
        Array(out)
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        lanewise!(self, other, |x, y| x + y)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        lanewise!(self, other, |x, y| x - y)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        lanewise!(self, other, |x, y| x * y)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        lanewise!(self, other, |x, y| x / y)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        lanewise!(self, other, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        lanewise!(self, other, |x, y| if x < y { x } else { y })
    }
    #[inline(always)]
    fn if_greater(self, than: Self, yes: Self, no: Self) -> Self {
        let mut out = no.0;
        let mut i = 0;
        while i < LANES {
            if self.0[i] > than.0[i] {
                out[i] = yes.0[i];
            }
            i += 1;
        }
        Array(out)
    }
    #[inline(always)]
    fn root(self) -> Self {
        let mut out = self.0;
        let mut i = 0;
        while i < LANES {
            out[i] = out[i].root();
            i += 1;
        }
        Array(out)
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        let mut out = self.0;
        let mut i = 0;
        while i < LANES {
            out[i] = out[i].pow2();
            i += 1;
        }
        Array(out)
    }
    #[inline(always)]
    fn split_exponent(self) -> (Self, Self) {
        let (mut mantissas, mut exponents) = (self.0, self.0);
        let mut i = 0;
        while i < LANES {
            (mantissas[i], exponents[i]) = self.0[i].split_exponent();
            i += 1;
        }
        (Array(mantissas), Array(exponents))
    }
    #[inline(always)]
    fn to_array(self) -> [E; LANES] {
        self.0
    }
    #[inline(always)]
    fn from_array(lanes: [E; LANES]) -> Self {
        Array(lanes)
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn fused(self, by: Self, plus: Self) -> Self {
        self.mul_add(by, plus)
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        f64::from_bits(((self as i64).wrapping_add(1023) as u64) << 52)
    }
    #[inline(always)]
    fn split_exponent(self) -> (Self, Self) {
        let bits = self.to_bits();
        (
            f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000),
            ((bits >> 52) as i64 - 1023) as f64,
        )
    }
    #[inline]
    fn dispatch<K: Kernel<Self>>(kernel: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        if isa() == Isa::Avx2 {
            // SAFETY: `isa` says AVX2 only where AVX2 and FMA were detected.
            return unsafe { avx2::run::<f64, Array<f64>, K>(kernel) };
        }
        kernel.run::<Array<f64>>()
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn fused(self, by: Self, plus: Self) -> Self {
        self.mul_add(by, plus)
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        f32::from_bits(((self as i32).wrapping_add(127) as u32) << 23)
    }
    #[inline(always)]
    fn split_exponent(self) -> (Self, Self) {
        let bits = self.to_bits();
        (f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000), ((bits >> 23) as i32 - 127) as f32)
    }
    #[inline]
    fn dispatch<K: Kernel<Self>>(kernel: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        if isa() == Isa::Avx2 {
            // SAFETY: `isa` says AVX2 only where AVX2 and FMA were detected.
            return unsafe { avx2::run::<f32, avx2::F32, K>(kernel) };
        }
        kernel.run::<Array<f32>>()
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    //! One 256-bit register of eight `f32`.
    use std::arch::x86_64::*;

    use super::{Kernel, LANES, Lanes, Real};

    /// Compiles a kernel with AVX2 and FMA.
    ///
    /// # Safety
    /// The processor must have both.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn run<E: Real, V: Lanes<Elem = E>, K: Kernel<E>>(kernel: K) -> K::Output {
        kernel.run::<V>()
    }

    #[derive(Clone, Copy)]
    pub(super) struct F32(__m256);

    // SAFETY of every block below: an `F32` is only ever made and used inside `run`, which is only called where AVX2
    // and FMA were detected; pointers are vouched for by the callers of `load` and `store`.
    #[allow(clippy::undocumented_unsafe_blocks)]
    impl Lanes for F32 {
        type Elem = f32;

        #[inline(always)]
        fn splat(value: f32) -> Self {
            F32(unsafe { _mm256_set1_ps(value) })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            F32(unsafe { _mm256_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm256_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        fn mul_add(self, by: Self, plus: Self) -> Self {
            F32(unsafe { _mm256_fmadd_ps(self.0, by.0, plus.0) })
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            F32(unsafe { _mm256_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            F32(unsafe { _mm256_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            F32(unsafe { _mm256_mul_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn div(self, other: Self) -> Self {
            F32(unsafe { _mm256_div_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            F32(unsafe { _mm256_max_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            F32(unsafe { _mm256_min_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn if_greater(self, than: Self, yes: Self, no: Self) -> Self {
            F32(unsafe { _mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, than.0)) })
        }
        #[inline(always)]
        fn root(self) -> Self {
            F32(unsafe { _mm256_sqrt_ps(self.0) })
        }
        #[inline(always)]
        fn pow2(self) -> Self {
            unsafe {
                let biased = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
                F32(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased)))
            }
        }
        #[inline(always)]
        fn split_exponent(self) -> (Self, Self) {
            unsafe {
                let bits = _mm256_castps_si256(self.0);
                let fraction = _mm256_and_si256(bits, _mm256_set1_epi32(0x007f_ffff));
                let mantissa = _mm256_or_si256(fraction, _mm256_set1_epi32(0x3f80_0000));
                let exponent = _mm256_sub_epi32(_mm256_srli_epi32::<23>(bits), _mm256_set1_epi32(127));
                (F32(_mm256_castsi256_ps(mantissa)), F32(_mm256_cvtepi32_ps(exponent)))
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
            F32(unsafe { _mm256_loadu_ps(lanes.as_ptr()) })
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
}
