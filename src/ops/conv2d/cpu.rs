//! [`Conv2d`] on the CPU: which kernels a convolution is computed with.
//!
//! Invariant: the choice follows from the shape alone.
#![allow(unsafe_code)]

use dfdx::prelude::*;

use super::{Conv2d, Shape, direct, outer, packed};
use crate::device::{self, Storage1};
use crate::ops::Maps;
use crate::ops::kernel::Start;
use crate::ops::parallel::Disjoint;
use crate::ops::simd::Real;

/// Multiply-adds per example from which on copies pay: several times what a stage of LeNet has.
const LARGE: usize = 8_000_000;

/// Whether inputs are copied and weights packed: where they are strided, or used often enough.
pub(super) fn is_large(shape: Shape) -> bool {
    let Shape { inputs, outputs, kernel, stride, height, width, .. } = shape;
    stride > 1 || inputs * outputs * kernel * kernel * height * width >= LARGE
}

impl<E: Real> Conv2d<E> for Cpu {
    fn conv2d(
        &self,
        x: &Maps<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        shape: Shape,
    ) -> Result<Maps<E, Self>, CpuError> {
        let dims = (shape.outputs, shape.out_height(), shape.out_width(), shape.batch);
        let len = dims.0 * dims.1 * dims.2 * dims.3;
        let (weight, input) = (device::read(weight), device::read(x));
        let mut out = Vec::with_capacity(len);
        let to = Disjoint::spare(&mut out, len);
        if is_large(shape) {
            packed::convolve(shape, weight, input, to);
        } else {
            direct::convolve(shape, weight, input, Start::Zero, to);
        }
        // SAFETY: both wrote every output.
        unsafe { out.set_len(len) };
        self.try_tensor_from_vec(out, dims)
    }

    fn conv2d_backward_input(
        &self,
        weight: &Tensor<(usize,), E, Self>,
        shape: Shape,
        gradient: &Storage1<Self, E>,
        x_gradient: &mut Storage1<Self, E>,
    ) -> Result<(), CpuError> {
        let weight = device::read(weight);
        if is_large(shape) {
            packed::input_gradient(shape, weight, gradient, x_gradient);
            return Ok(());
        }
        let flipped = direct::flip(weight, shape);
        let shape = Shape { inputs: shape.outputs, outputs: shape.inputs, ..shape };
        direct::convolve(shape, &flipped, gradient, Start::Existing, Disjoint::new(x_gradient));
        Ok(())
    }

    fn conv2d_backward_weight(
        &self,
        x: &Maps<E, Self>,
        shape: Shape,
        gradient: &Storage1<Self, E>,
        weight_gradient: &mut Storage1<Self, E>,
    ) -> Result<(), CpuError> {
        let input = device::read(x);
        if is_large(shape) {
            outer::weight_gradient(shape, input, gradient, weight_gradient);
        } else {
            direct::weight_gradient_of(shape, input, gradient, weight_gradient);
        }
        Ok(())
    }
}
