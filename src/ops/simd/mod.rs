//! Eight lanes, the same bits on every machine.
//!
//! Kernels are written once over [`Lanes`] and run through [`Real::dispatch`], which picks the instruction set. Every
//! lane operation is an IEEE 754 operation with one rounding (`mul_add` is fused everywhere), so AVX-512, AVX2 and the
//! portable fallback agree bit for bit. Never add lanes of different registers but through [`Lanes::sum`], whose tree is
//! fixed: what is wider than eight lanes holds neighbouring outputs ([`Lanes::Wide`]) or two independent sums
//! ([`Lanes::Two`]), never more lanes of one sum.
#![allow(unsafe_code)]

mod isa;
mod math;
mod portable;
mod real;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
pub(crate) use isa::on_every_isa;
pub use isa::{Isa, force, isa};
pub use math::{Transcendental, sigmoid, softplus};
pub use portable::Array;

use std::cell::RefCell;
use std::thread::LocalKey;

/// Number of lanes; part of the definition of every reduction.
pub const LANES: usize = 8;

/// What one register holds: neighbouring elements, for sums that need no more than loads, products and stores.
///
/// The methods of this trait and the next two are `#[inline(always)]`: they must end up inside the function that enables
/// the instruction set.
pub trait Vector: Copy {
    /// The type of one element.
    type Elem: Real;
    /// Number of elements, a multiple of [`LANES`].
    const LEN: usize;

    /// Copies of one value.
    fn splat(value: Self::Elem) -> Self;
    /// Reads [`Vector::LEN`] elements.
    ///
    /// # Safety
    /// `from` must be valid for reading that many elements; no alignment is needed.
    unsafe fn load(from: *const Self::Elem) -> Self;
    /// Writes [`Vector::LEN`] elements.
    ///
    /// # Safety
    /// `to` must be valid for writing that many elements; no alignment is needed.
    unsafe fn store(self, to: *mut Self::Elem);
    /// `self * by + plus`, rounded once.
    fn mul_add(self, by: Self, plus: Self) -> Self;

    /// Zero everywhere.
    #[inline(always)]
    fn zero() -> Self {
        Self::splat(Self::Elem::ZERO)
    }
}

/// Two vectors of eight lanes that have nothing to do with each other, under one instruction where there is one for both.
pub trait Two: Copy {
    /// One of them.
    type One: Lanes;
    /// Whether one instruction works on both; otherwise pairing brings nothing.
    const FUSED: bool;

    /// Zero everywhere.
    fn zero() -> Self;
    /// Reads eight elements from two places.
    ///
    /// # Safety
    /// Both must be valid for reading eight elements; no alignment is needed.
    unsafe fn load(
        first: *const <Self::One as Vector>::Elem,
        second: *const <Self::One as Vector>::Elem,
    ) -> Self;
    /// Reads eight elements for both.
    ///
    /// # Safety
    /// `from` must be valid for reading eight elements; no alignment is needed.
    unsafe fn twice(from: *const <Self::One as Vector>::Elem) -> Self;
    /// `self * by + plus`, rounded once.
    fn mul_add(self, by: Self, plus: Self) -> Self;
    /// The first and the second.
    fn split(self) -> [Self::One; 2];
}

/// Eight numbers that are worked on together.
pub trait Lanes: Vector {
    /// The widest vector of the instruction set, for neighbouring outputs that are not added to each other.
    type Wide: Vector<Elem = Self::Elem>;
    /// Two of these.
    type Two: Two<One = Self>;

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

    /// The sum of the lanes, by the fixed tree ((0+4)+(2+6))+((1+5)+(3+7)).
    #[inline(always)]
    fn sum(self) -> Self::Elem {
        let [a, b, c, d, e, f, g, h] = self.to_array();
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }

    /// Eight vectors as rows of a square: its columns.
    #[inline(always)]
    fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        let mut columns = [[Self::Elem::ZERO; LANES]; LANES];
        for (i, row) in rows.into_iter().enumerate() {
            for (column, value) in columns.iter_mut().zip(row.to_array()) {
                column[i] = value;
            }
        }
        let mut out = rows;
        for (out, column) in out.iter_mut().zip(columns) {
            *out = Self::from_array(column);
        }
        out
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
    /// The buffers of [`Scratch`](super::scratch::Scratch) that this thread keeps.
    fn buffers() -> &'static LocalKey<RefCell<Vec<Vec<Self>>>>;
    /// Runs a kernel with the instruction set of [`isa`].
    fn dispatch<K: Kernel<Self>>(kernel: K) -> K::Output;
}
