//! The number types: `f32` for training, `f64` for gradient checks.

use std::cell::RefCell;
use std::thread::LocalKey;

#[cfg(target_arch = "x86_64")]
use super::x86;
use super::{Array, Isa, Kernel, Real, isa};

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
    fn buffers() -> &'static LocalKey<RefCell<Vec<Vec<Self>>>> {
        thread_local!(static BUFFERS: RefCell<Vec<Vec<f64>>> = const { RefCell::new(Vec::new()) });
        &BUFFERS
    }
    #[inline]
    fn dispatch<K: Kernel<Self>>(kernel: K) -> K::Output {
        match isa() {
            // SAFETY: `isa` only says what was detected.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { x86::run_avx512::<f64, Array<f64>, K>(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { x86::run_avx2::<f64, Array<f64>, K>(kernel) },
            _ => kernel.run::<Array<f64>>(),
        }
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
    fn buffers() -> &'static LocalKey<RefCell<Vec<Vec<Self>>>> {
        thread_local!(static BUFFERS: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) });
        &BUFFERS
    }
    #[inline]
    fn dispatch<K: Kernel<Self>>(kernel: K) -> K::Output {
        match isa() {
            // SAFETY: `isa` only says what was detected.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { x86::run_avx512::<f32, x86::F32<x86::Avx512>, K>(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { x86::run_avx2::<f32, x86::F32<x86::Avx2>, K>(kernel) },
            _ => kernel.run::<Array<f32>>(),
        }
    }
}
