//! [`AddScaled`] on the CPU.

use dfdx::prelude::*;

use super::{AddScaled, AddScaledGradients};
use crate::device::{self, Storage1};
use crate::ops::Tokens;
use crate::ops::kernel::Dot;
use crate::ops::parallel::for_each_chunk;
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// Elements of the smallest part, and of a block of alpha's gradient.
const UNIT: usize = 4096;

impl<E: Real> AddScaled<E> for Cpu {
    fn add_scaled(
        &self,
        o: &Tokens<E, Self>,
        z: &Tokens<E, Self>,
        alpha: &Tensor<(usize,), E, Self>,
    ) -> Result<Tokens<E, Self>, CpuError> {
        let shape = *o.shape();
        let (z, alpha) = (device::read(z), device::read(alpha)[0]);
        let mut out = device::read(o).to_vec();
        let len = out.len();
        for_each_chunk(&mut out, UNIT, len, |first, into| {
            E::dispatch(Accumulate { from: &z[first..][..into.len()], factor: alpha, into });
        });
        self.try_tensor_from_vec(out, shape)
    }

    fn add_scaled_backward(
        &self,
        z: &Tokens<E, Self>,
        alpha: &Tensor<(usize,), E, Self>,
        gradient: &Storage1<Self, E>,
        into: AddScaledGradients<'_, Storage1<Self, E>>,
    ) -> Result<(), CpuError> {
        let (z, alpha) = (device::read(z), device::read(alpha)[0]);
        let len = z.len();
        for_each_chunk(into.z, UNIT, len, |first, into| {
            E::dispatch(Accumulate { from: &gradient[first..][..into.len()], factor: alpha, into });
        });
        if let Some(sum) = into.alpha {
            let mut partial = vec![E::ZERO; len.div_ceil(UNIT)];
            for_each_chunk(&mut partial, 1, len, |first, sums| {
                for (block, sum) in (first..).zip(sums) {
                    let part = block * UNIT..len.min((block + 1) * UNIT);
                    *sum = E::dispatch(Dot { a: &z[part.clone()], b: &gradient[part] });
                }
            });
            sum[0] += partial.into_iter().fold(E::ZERO, |sum, part| sum + part);
        }
        Ok(())
    }
}

/// `into += factor from`.
struct Accumulate<'a, E> {
    from: &'a [E],
    factor: E,
    into: &'a mut [E],
}

impl<E: Real> Kernel<E> for Accumulate<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let factor = V::splat(self.factor);
        for (into, from) in self.into.chunks_mut(LANES).zip(self.from.chunks(LANES)) {
            V::read(from).mul_add(factor, V::read(into)).write(into);
        }
    }
}
