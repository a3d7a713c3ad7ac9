//! The optimiser's kernels on CPU: one pass over value, gradient and state.

use dfdx::prelude::*;
use rayon::prelude::*;

use super::{Scales, Update};
use crate::device::{self, Storage1};
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// Elements whose squares are summed in lanes before the sum goes on in `f64`; part of the norm's definition.
const BLOCK: usize = 1024;
/// Elements of one parallel piece, a multiple of [`BLOCK`]; below two of them no other thread is woken.
const PIECE: usize = 32 * BLOCK;

impl<E: Real> Update<E> for Cpu {
    fn sum_of_squares(&self, gradient: &Storage1<Cpu, E>) -> Result<f64, CpuError> {
        let blocks = |piece: &[E]| E::dispatch(SumOfSquares(piece));
        let pieces: Vec<Vec<f64>> = if gradient.len() < 2 * PIECE {
            vec![blocks(gradient)]
        } else {
            gradient.par_chunks(PIECE).map(blocks).collect()
        };
        Ok(pieces.iter().flatten().sum())
    }

    fn sgd(
        &self,
        value: &mut Tensor<(usize,), E, Cpu>,
        gradient: &Storage1<Cpu, E>,
        scales: Scales<E>,
    ) -> Result<(), CpuError> {
        let value = device::write(value);
        if value.len() < 2 * PIECE {
            E::dispatch(Sgd { value, gradient, scales });
        } else {
            value
                .par_chunks_mut(PIECE)
                .zip(gradient.par_chunks(PIECE))
                .for_each(|(value, gradient)| E::dispatch(Sgd { value, gradient, scales }));
        }
        Ok(())
    }

    fn rmsprop(
        &self,
        value: &mut Tensor<(usize,), E, Cpu>,
        square: &mut Tensor<(usize,), E, Cpu>,
        gradient: &Storage1<Cpu, E>,
        scales: Scales<E>,
    ) -> Result<(), CpuError> {
        let (value, square) = (device::write(value), device::write(square));
        if value.len() < 2 * PIECE {
            E::dispatch(Rmsprop { value, square, gradient, scales });
        } else {
            (value.par_chunks_mut(PIECE), square.par_chunks_mut(PIECE), gradient.par_chunks(PIECE))
                .into_par_iter()
                .for_each(|(value, square, gradient)| {
                    E::dispatch(Rmsprop { value, square, gradient, scales });
                });
        }
        Ok(())
    }
}

/// Sums of squares of each block.
struct SumOfSquares<'a, E>(&'a [E]);

impl<E: Real> Kernel<E> for SumOfSquares<'_, E> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) -> Vec<f64> {
        let mut sums = Vec::with_capacity(self.0.len().div_ceil(BLOCK));
        for block in self.0.chunks(BLOCK) {
            let mut lanes = [V::zero(); 4];
            let mut groups = block.chunks_exact(4 * LANES);
            for group in &mut groups {
                for (i, lanes) in lanes.iter_mut().enumerate() {
                    let gradient = V::read(&group[i * LANES..(i + 1) * LANES]);
                    *lanes = gradient.mul_add(gradient, *lanes);
                }
            }
            for rest in groups.remainder().chunks(LANES) {
                let gradient = V::read(rest);
                lanes[0] = gradient.mul_add(gradient, lanes[0]);
            }
            let [a, b, c, d] = lanes;
            sums.push(a.add(b).add(c.add(d)).sum().to_f64());
        }
        sums
    }
}

struct Sgd<'a, E> {
    value: &'a mut [E],
    gradient: &'a [E],
    scales: Scales<E>,
}

impl<E: Real> Kernel<E> for Sgd<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let clip = V::splat(self.scales.clip);
        let decay = V::splat(self.scales.weight_decay);
        let rate = V::splat(-self.scales.learning_rate);
        for (value, gradient) in self.value.chunks_mut(LANES).zip(self.gradient.chunks(LANES)) {
            let p = V::read(value);
            let g = decay.mul_add(p, V::read(gradient).mul(clip));
            rate.mul_add(g, p).write(value);
        }
    }
}

struct Rmsprop<'a, E> {
    value: &'a mut [E],
    square: &'a mut [E],
    gradient: &'a [E],
    scales: Scales<E>,
}

impl<E: Real> Kernel<E> for Rmsprop<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let clip = V::splat(self.scales.clip);
        let decay = V::splat(self.scales.weight_decay);
        let rate = V::splat(-self.scales.learning_rate);
        let (keep, admit, epsilon) = (V::splat(E::of(0.99)), V::splat(E::of(0.01)), V::splat(E::of(1e-8)));
        let state = self.square.chunks_mut(LANES).zip(self.gradient.chunks(LANES));
        for (value, (square, gradient)) in self.value.chunks_mut(LANES).zip(state) {
            let p = V::read(value);
            let g = decay.mul_add(p, V::read(gradient).mul(clip));
            let v = admit.mul(g).mul_add(g, V::read(square).mul(keep));
            v.write(square);
            rate.mul_add(g.div(v.root().add(epsilon)), p).write(value);
        }
    }
}
