//! [`Concat`] on the CPU: two copies.

use dfdx::prelude::*;

use super::Concat;
use crate::device::{self, Storage1};
use crate::ops::Features;
use crate::ops::simd::Real;

impl<E: Real> Concat<E> for Cpu {
    fn concat(
        &self,
        first: &Features<E, Self>,
        second: &Features<E, Self>,
    ) -> Result<Features<E, Self>, CpuError> {
        let &(features, batch) = first.shape();
        let shape = (features + second.shape().0, batch);
        self.try_tensor_from_vec([device::read(first), device::read(second)].concat(), shape)
    }

    fn concat_backward(
        &self,
        gradient: &Storage1<Self, E>,
        from: usize,
        input: &mut Storage1<Self, E>,
    ) -> Result<(), CpuError> {
        for (sum, &value) in input.iter_mut().zip(&gradient[from..]) {
            *sum += value;
        }
        Ok(())
    }
}
