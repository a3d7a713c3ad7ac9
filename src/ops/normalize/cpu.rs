//! [`Normalize`] on the CPU, a row at a time.

use dfdx::prelude::*;

use super::Normalize;
use crate::device::{self, Storage1};
use crate::ops::Tokens;
use crate::ops::kernel::Dot;
use crate::ops::parallel::for_each_chunk;
use crate::ops::simd::Real;

impl<E: Real> Normalize<E> for Cpu {
    fn normalize(&self, x: &Tokens<E, Self>) -> Result<Tokens<E, Self>, CpuError> {
        let shape = *x.shape();
        let x = device::read(x);
        let mut out = vec![E::ZERO; x.len()];
        for_each_chunk(&mut out, shape.1, 3 * x.len(), |first, out| {
            for (x, out) in x[first..].chunks(shape.1).zip(out.chunks_mut(shape.1)) {
                let norm = E::dispatch(Dot { a: x, b: x }).root();
                out.iter_mut().zip(x).for_each(|(out, x)| *out = *x / norm);
            }
        });
        self.try_tensor_from_vec(out, shape)
    }

    fn normalize_backward(
        &self,
        x: &Tokens<E, Self>,
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), CpuError> {
        let features = x.shape().1;
        let x = device::read(x);
        for_each_chunk(into, features, 5 * x.len(), |first, into| {
            let rows = x[first..].chunks(features).zip(gradient[first..].chunks(features));
            for ((x, gradient), into) in rows.zip(into.chunks_mut(features)) {
                let square = E::dispatch(Dot { a: x, b: x });
                let along = E::dispatch(Dot { a: x, b: gradient }) / square;
                let norm = square.root();
                for ((into, x), gradient) in into.iter_mut().zip(x).zip(gradient) {
                    *into += (*gradient - along * *x) / norm;
                }
            }
        });
        Ok(())
    }
}
