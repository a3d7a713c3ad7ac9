//! [`Activate`] on the CPU.

use dfdx::prelude::*;

use super::{Activate, Function};
use crate::device::{self, Storage1};
use crate::ops::Tokens;
use crate::ops::parallel::for_each_chunk;
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// Elements of the smallest part.
const UNIT: usize = 1024;
/// What an element costs, in multiply-adds.
const COST: usize = 16;

impl<E: Real> Activate<E> for Cpu {
    fn activate(&self, x: &Tokens<E, Self>, function: Function) -> Result<Tokens<E, Self>, CpuError> {
        let shape = *x.shape();
        let x = device::read(x);
        let mut out = vec![E::ZERO; x.len()];
        for_each_chunk(&mut out, UNIT, COST * x.len(), |first, out| {
            E::dispatch(Forward { x: &x[first..][..out.len()], function, out });
        });
        self.try_tensor_from_vec(out, shape)
    }

    fn activate_backward(
        &self,
        x: &Tokens<E, Self>,
        function: Function,
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), CpuError> {
        let x = device::read(x);
        for_each_chunk(into, UNIT, COST * x.len(), |first, into| {
            let part = first..first + into.len();
            E::dispatch(Backward { x: &x[part.clone()], function, gradient: &gradient[part], into });
        });
        Ok(())
    }
}

struct Forward<'a, E> {
    x: &'a [E],
    function: Function,
    out: &'a mut [E],
}

impl<E: Real> Kernel<E> for Forward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        for (x, out) in self.x.chunks(LANES).zip(self.out.chunks_mut(LANES)) {
            let x = V::read(x);
            let y = match self.function {
                Function::Gelu => x.mul(E::normal(x).0),
                Function::Tanh => E::tanh(x),
            };
            y.write(out);
        }
    }
}

struct Backward<'a, E> {
    x: &'a [E],
    function: Function,
    gradient: &'a [E],
    into: &'a mut [E],
}

impl<E: Real> Kernel<E> for Backward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let parts = self.x.chunks(LANES).zip(self.gradient.chunks(LANES));
        for ((x, gradient), into) in parts.zip(self.into.chunks_mut(LANES)) {
            let x = V::read(x);
            let slope = match self.function {
                Function::Gelu => {
                    let (below, density) = E::normal(x);
                    x.mul_add(density, below)
                }
                Function::Tanh => {
                    let y = E::tanh(x);
                    V::zero().sub(y).mul_add(y, V::splat(<E as Real>::ONE))
                }
            };
            V::read(gradient).mul_add(slope, V::read(into)).write(into);
        }
    }
}
