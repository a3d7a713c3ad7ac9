//! The softmax of rows of scores, and its gradient.
//!
//! Invariant: rows are whole vectors of eight lanes; what lies beyond the last key has a score of minus infinity, and so
//! probability 0.

use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// Turns rows of scores into probabilities, after adding what is to be added.
pub(super) struct Softmax<'a, E> {
    /// Rows of `stride`.
    pub(super) scores: &'a mut [E],
    /// A multiple of eight.
    pub(super) stride: usize,
    /// A row for each row of scores.
    pub(super) bias: Option<&'a [E]>,
    /// One row for all.
    pub(super) mask: Option<&'a [E]>,
    /// Of each row the largest score and the inverse of the sum.
    pub(super) rows: Rows<'a, E>,
}

/// What is kept of rows.
pub(super) enum Rows<'a, E> {
    /// To be found.
    Fresh(&'a mut [E]),
    /// Found before.
    Kept(&'a [E]),
}

impl<E: Real> Kernel<E> for Softmax<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(mut self) {
        let stride = self.stride;
        for (number, scores) in self.scores.chunks_mut(stride).enumerate() {
            if let Some(bias) = self.bias {
                add::<V>(scores, &bias[number * stride..][..stride]);
            }
            if let Some(mask) = self.mask {
                add::<V>(scores, mask);
            }
            match &mut self.rows {
                Rows::Fresh(rows) => {
                    let mut most = V::splat(scores[0]);
                    for part in scores.chunks(LANES) {
                        most = most.max(V::read(part));
                    }
                    let most = most.to_array().into_iter().fold(scores[0], larger);
                    let shift = V::splat(most);
                    let mut sum = V::zero();
                    for part in scores.chunks_mut(LANES) {
                        let power = E::exp(V::read(part).sub(shift));
                        sum = sum.add(power);
                        power.write(part);
                    }
                    let inverse = <E as Real>::ONE / sum.sum();
                    let factor = V::splat(inverse);
                    for part in scores.chunks_mut(LANES) {
                        V::read(part).mul(factor).write(part);
                    }
                    rows[2 * number] = most;
                    rows[2 * number + 1] = inverse;
                }
                Rows::Kept(rows) => {
                    let (shift, factor) = (V::splat(rows[2 * number]), V::splat(rows[2 * number + 1]));
                    for part in scores.chunks_mut(LANES) {
                        E::exp(V::read(part).sub(shift)).mul(factor).write(part);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn larger<E: Real>(a: E, b: E) -> E {
    if b > a { b } else { a }
}

#[inline(always)]
fn add<V: Lanes>(to: &mut [V::Elem], from: &[V::Elem]) {
    for (to, from) in to.chunks_mut(LANES).zip(from.chunks(LANES)) {
        V::read(to).add(V::read(from)).write(to);
    }
}

/// Turns gradients of probabilities into gradients of scores, `p (g - sum p g)`, and adds them up.
pub(super) struct Gradient<'a, E> {
    /// Rows of `stride`.
    pub(super) probabilities: &'a [E],
    /// Their gradients; becomes that of the scores.
    pub(super) gradient: &'a mut [E],
    /// A multiple of eight.
    pub(super) stride: usize,
    /// As many rows, to which the gradients of the scores are added.
    pub(super) bias: Option<&'a mut [E]>,
}

impl<E: Real> Kernel<E> for Gradient<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(mut self) {
        let stride = self.stride;
        let rows = self.probabilities.chunks(stride).zip(self.gradient.chunks_mut(stride));
        for (number, (probabilities, gradient)) in rows.enumerate() {
            let mut along = V::zero();
            for (p, g) in probabilities.chunks(LANES).zip(gradient.chunks(LANES)) {
                along = V::read(p).mul_add(V::read(g), along);
            }
            let along = V::splat(along.sum());
            for (p, g) in probabilities.chunks(LANES).zip(gradient.chunks_mut(LANES)) {
                V::read(p).mul(V::read(g).sub(along)).write(g);
            }
            if let Some(bias) = &mut self.bias {
                add::<V>(&mut bias[number * stride..][..stride], gradient);
            }
        }
    }
}
