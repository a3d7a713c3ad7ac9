//! The sum of products of two rows.
//!
//! Invariant: eight chains of fused multiply-adds, element `i` in lane `i % 8`, summed as every vector is.

use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// The sum of `a b`.
pub(crate) struct Dot<'a, E> {
    pub(crate) a: &'a [E],
    pub(crate) b: &'a [E],
}

impl<E: Real> Kernel<E> for Dot<'_, E> {
    type Output = E;

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) -> E {
        let mut sum = V::zero();
        for (a, b) in self.a.chunks(LANES).zip(self.b.chunks(LANES)) {
            sum = V::read(a).mul_add(V::read(b), sum);
        }
        sum.sum()
    }
}
