//! [`MeanTokens`] on the CPU, a sample at a time.

use dfdx::prelude::*;

use super::MeanTokens;
use crate::device::{self, Storage1};
use crate::ops::Tokens;
use crate::ops::parallel::for_each_chunk;
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

impl<E: Real> MeanTokens<E> for Cpu {
    fn mean_tokens(&self, x: &Tokens<E, Self>, tokens: usize) -> Result<Tokens<E, Self>, CpuError> {
        let &(rows, features) = x.shape();
        let x = device::read(x);
        let samples = rows / tokens;
        let mut out = vec![E::ZERO; samples * features];
        for_each_chunk(&mut out, features, x.len(), |first, out| {
            for (sample, out) in (first / features..).zip(out.chunks_mut(features)) {
                E::dispatch(Sum { rows: &x[sample * tokens * features..][..tokens * features], out });
                let count = E::of(tokens as f64);
                out.iter_mut().for_each(|sum| *sum /= count);
            }
        });
        self.try_tensor_from_vec(out, (samples, features))
    }

    fn mean_tokens_backward(
        &self,
        tokens: usize,
        features: usize,
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), CpuError> {
        let (len, count) = (into.len(), E::of(tokens as f64));
        for_each_chunk(into, features, len, |first, into| {
            for (row, into) in (first / features..).zip(into.chunks_mut(features)) {
                let gradient = &gradient[row / tokens * features..][..features];
                for (into, gradient) in into.iter_mut().zip(gradient) {
                    *into += *gradient / count;
                }
            }
        });
        Ok(())
    }
}

/// `out` += the sum of the rows.
struct Sum<'a, E> {
    rows: &'a [E],
    out: &'a mut [E],
}

impl<E: Real> Kernel<E> for Sum<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        for row in self.rows.chunks(self.out.len()) {
            for (out, row) in self.out.chunks_mut(LANES).zip(row.chunks(LANES)) {
                V::read(out).add(V::read(row)).write(out);
            }
        }
    }
}
