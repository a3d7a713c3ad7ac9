//! Lanes without intrinsics.

use super::{LANES, Lanes, Real, Two, Vector};

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

impl<E: Real> Vector for Array<E> {
    type Elem = E;
    const LEN: usize = LANES;

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
}

impl<E: Real> Lanes for Array<E> {
    type Wide = Self;
    type Two = Both<Self>;

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

/// Two vectors, one instruction each.
#[derive(Clone, Copy)]
pub struct Both<V>([V; 2]);

impl<V: Lanes<Two = Both<V>>> Two for Both<V> {
    type One = V;
    const FUSED: bool = false;

    #[inline(always)]
    fn zero() -> Self {
        Both([V::zero(); 2])
    }
    #[inline(always)]
    unsafe fn load(first: *const V::Elem, second: *const V::Elem) -> Self {
        // SAFETY: the caller vouches for eight elements at both places.
        Both(unsafe { [V::load(first), V::load(second)] })
    }
    #[inline(always)]
    unsafe fn twice(from: *const V::Elem) -> Self {
        // SAFETY: the caller vouches for eight elements.
        Both([unsafe { V::load(from) }; 2])
    }
    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        let ([a, b], [c, d], [e, f]) = (self.0, by.0, plus.0);
        Both([a.mul_add(c, e), b.mul_add(d, f)])
    }
    #[inline(always)]
    fn split(self) -> [V; 2] {
        self.0
    }
}
