//! [`LayerNorm`] on the CPU: a token at a time, its statistics computed again for the gradient.
#![allow(unsafe_code)]

use dfdx::prelude::*;

use super::{EPSILON, LayerNorm, LayerNormGradients};
use crate::device::{self, Storage1};
use crate::ops::Tokens;
use crate::ops::parallel::{Disjoint, for_each_chunk, for_each_range};
use crate::ops::scratch::Scratch;
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// Tokens whose gradients of the parameters are added up before the blocks are: part of the definition of these sums.
const BLOCK: usize = 64;

impl<E: Real> LayerNorm<E> for Cpu {
    fn layer_norm(
        &self,
        x: &Tokens<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        bias: &Tensor<(usize,), E, Self>,
    ) -> Result<Tokens<E, Self>, CpuError> {
        let &(rows, features) = x.shape();
        let (x, weight, bias) = (device::read(x), device::read(weight), device::read(bias));
        let mut out = vec![E::ZERO; rows * features];
        for_each_chunk(&mut out, features, 4 * rows * features, |first, out| {
            E::dispatch(Forward { x: &x[first..first + out.len()], weight, bias, out });
        });
        self.try_tensor_from_vec(out, (rows, features))
    }

    fn layer_norm_backward(
        &self,
        x: &Tokens<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        gradient: &Storage1<Self, E>,
        into: LayerNormGradients<'_, Storage1<Self, E>>,
    ) -> Result<(), CpuError> {
        let &(rows, features) = x.shape();
        let (x, weight) = (device::read(x), device::read(weight));
        let blocks = rows.div_ceil(BLOCK);
        let mut partial = Scratch::zeros(blocks * 2 * features);
        let (sums, x_gradient) = (Disjoint::new(&mut partial), Disjoint::new(into.x));
        for_each_range(blocks, 8 * rows * features, |range| {
            for block in range {
                let first = block * BLOCK * features;
                let len = (BLOCK * features).min(rows * features - first);
                // SAFETY: each block has its own sums and its own tokens, and both outputs are initialised.
                let (sums, into) =
                    unsafe { (sums.slice(block * 2 * features, 2 * features), x_gradient.slice(first, len)) };
                let (x, gradient) = (&x[first..][..len], &gradient[first..][..len]);
                E::dispatch(Backward { x, weight, gradient, into, sums });
            }
        });
        for (place, sums) in [(0, into.weight), (features, into.bias)] {
            let Some(sums) = sums else { continue };
            for block in partial.chunks(2 * features) {
                for (sum, part) in sums.iter_mut().zip(&block[place..]) {
                    *sum += *part;
                }
            }
        }
        Ok(())
    }
}

/// Mean of a row and the inverse of its deviation.
#[inline(always)]
fn statistics<V: Lanes>(row: &[V::Elem]) -> (V::Elem, V::Elem) {
    let count = V::Elem::of(row.len() as f64);
    let mut sum = V::zero();
    for part in row.chunks(LANES) {
        sum = sum.add(V::read(part));
    }
    let mean = sum.sum() / count;
    let mut squares = V::zero();
    for part in row.chunks(LANES) {
        let difference = difference::<V>(part, mean);
        squares = difference.mul_add(difference, squares);
    }
    let variance = squares.sum() / count;
    (mean, <V::Elem as Real>::ONE / (variance + V::Elem::of(EPSILON)).root())
}

/// `x - mean`; 0 in lanes beyond the end.
#[inline(always)]
fn difference<V: Lanes>(part: &[V::Elem], mean: V::Elem) -> V {
    let difference = V::read(part).sub(V::splat(mean));
    if part.len() == LANES {
        return difference;
    }
    let mut lanes = difference.to_array();
    for lane in &mut lanes[part.len()..] {
        *lane = V::Elem::ZERO;
    }
    V::from_array(lanes)
}

struct Forward<'a, E> {
    x: &'a [E],
    weight: &'a [E],
    bias: &'a [E],
    out: &'a mut [E],
}

impl<E: Real> Kernel<E> for Forward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let features = self.weight.len();
        for (x, out) in self.x.chunks(features).zip(self.out.chunks_mut(features)) {
            let (mean, inverse) = statistics::<V>(x);
            let parts = x.chunks(LANES).zip(self.weight.chunks(LANES)).zip(self.bias.chunks(LANES));
            for (((x, weight), bias), out) in parts.zip(out.chunks_mut(LANES)) {
                let normed = difference::<V>(x, mean).mul(V::splat(inverse));
                normed.mul_add(V::read(weight), V::read(bias)).write(out);
            }
        }
    }
}

/// With `n` the normed token and `g = gradient * weight`: adds `(g - mean(g) - n mean(g n)) / deviation` to the token's gradient,
/// `gradient * n` and `gradient` to the sums.
struct Backward<'a, E> {
    x: &'a [E],
    weight: &'a [E],
    gradient: &'a [E],
    into: &'a mut [E],
    sums: &'a mut [E],
}

impl<E: Real> Kernel<E> for Backward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let features = self.weight.len();
        let count = E::of(features as f64);
        let (weight_sums, bias_sums) = self.sums.split_at_mut(features);
        let rows = self.x.chunks(features).zip(self.gradient.chunks(features));
        for ((x, gradient), into) in rows.zip(self.into.chunks_mut(features)) {
            let (mean, inverse) = statistics::<V>(x);
            let inverse = V::splat(inverse);
            let (mut total, mut along) = (V::zero(), V::zero());
            let parts = x.chunks(LANES).zip(gradient.chunks(LANES)).zip(self.weight.chunks(LANES));
            let sums = weight_sums.chunks_mut(LANES).zip(bias_sums.chunks_mut(LANES));
            for (((x, gradient), weight), (weight_sums, bias_sums)) in parts.zip(sums) {
                let normed = difference::<V>(x, mean).mul(inverse);
                let gradient = V::read(gradient);
                let g = gradient.mul(V::read(weight));
                total = total.add(g);
                along = g.mul_add(normed, along);
                gradient.mul_add(normed, V::read(weight_sums)).write(weight_sums);
                gradient.add(V::read(bias_sums)).write(bias_sums);
            }
            let (total, along) = (V::splat(total.sum() / count), V::splat(along.sum() / count));
            let minus_along = V::zero().sub(along);
            let parts = x.chunks(LANES).zip(gradient.chunks(LANES)).zip(self.weight.chunks(LANES));
            for (((x, gradient), weight), into) in parts.zip(into.chunks_mut(LANES)) {
                let normed = difference::<V>(x, mean).mul(inverse);
                let g = V::read(gradient).mul(V::read(weight)).sub(total);
                minus_along.mul_add(normed, g).mul_add(inverse, V::read(into)).write(into);
            }
        }
    }
}
