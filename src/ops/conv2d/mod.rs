//! Convolution with odd kernels, zero padding of `(k - 1) / 2`, any stride, and no bias: LeNet and PreAct-ResNet.
//!
//! Invariant: every output is one chain of fused multiply-adds over (input channel, kernel row, kernel column); taps
//! that fall outside of the image are left out or are products with zero, which change no sum.

#[cfg(feature = "cuda")]
pub(crate) mod blocked;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod direct;
mod geometry;
mod outer;
mod packed;
mod planes;
#[cfg(test)]
mod tests;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, Maps, OpError, Parameter};

const OP: &str = "conv2d";

/// Sizes of one convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Rows and columns of the (square, odd) kernel.
    pub kernel: usize,
    /// Distance between the pixels under neighbouring outputs, along both axes: 1 or more.
    pub stride: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Examples.
    pub batch: usize,
}

impl Shape {
    /// Rows of the output.
    pub fn out_height(&self) -> usize {
        self.height.div_ceil(self.stride)
    }

    /// Columns of the output.
    pub fn out_width(&self) -> usize {
        self.width.div_ceil(self.stride)
    }
}

/// Whether a convolution's input needs a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputGradient {
    /// Something trained stands before it.
    Needed,
    /// It reads data: the first stage of a network.
    Unneeded,
}

/// The kernels of [`conv2d`].
pub trait Conv2d<E: Real>: Storage<E> {
    /// The output `(outputs, out_height, out_width, batch)`.
    ///
    /// # Errors
    /// If the device fails.
    fn conv2d(
        &self,
        x: &Maps<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        shape: Shape,
    ) -> Result<Maps<E, Self>, Self::Err>;

    /// Adds to the gradient of the input.
    ///
    /// # Errors
    /// If the device fails.
    fn conv2d_backward_input(
        &self,
        weight: &Tensor<(usize,), E, Self>,
        shape: Shape,
        gradient: &Storage1<Self, E>,
        x_gradient: &mut Storage1<Self, E>,
    ) -> Result<(), Self::Err>;

    /// Adds to the gradient of the weight.
    ///
    /// # Errors
    /// If the device fails.
    fn conv2d_backward_weight(
        &self,
        x: &Maps<E, Self>,
        shape: Shape,
        gradient: &Storage1<Self, E>,
        weight_gradient: &mut Storage1<Self, E>,
    ) -> Result<(), Self::Err>;
}

/// Convolves `x` `(inputs, height, width, batch)` with `weight` `[outputs, inputs, k, k]`, k odd, padding `(k - 1) / 2`:
/// `(outputs, ceil(height / stride), ceil(width / stride), batch)`.
///
/// # Errors
/// [`OpError::Shape`] if they do not fit; [`OpError::Device`] if the device fails.
pub fn conv2d<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Maps<E, D, T>,
    weight: &Parameter<E, D>,
    stride: usize,
    input_gradient: InputGradient,
) -> Result<Maps<E, D, T>, OpError> {
    let &(inputs, height, width, batch) = x.shape();
    if stride == 0 {
        return Err(OpError::shape(OP, "a stride of 1 or more", "0"));
    }
    let shape = match weight.dims[..] {
        [outputs, channels, kernel, columns]
            if channels == inputs && kernel == columns && kernel % 2 == 1 =>
        {
            Shape { inputs, outputs, kernel, stride, height, width, batch }
        }
        _ => {
            let expected = format!("a weight [outputs, {inputs}, k, k] with odd k");
            return Err(OpError::shape(OP, expected, format!("{:?}", weight.dims)));
        }
    };
    let (x, mut tape) = x.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let dev = x.device().clone();
    let out = dev.conv2d(&x, &weight.value, shape).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let needs_x = input_gradient == InputGradient::Needed;
        let needs_weight = weight.needs_grad;
        let (weight, ghost) = (weight.value.clone(), out.ghost());
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            if needs_x {
                dev.conv2d_backward_input(&weight, shape, &gradient, grads.get_or_alloc_mut(&x)?)?;
            }
            if needs_weight {
                dev.conv2d_backward_weight(&x, shape, &gradient, grads.get_or_alloc_mut(&weight)?)?;
            }
            Ok(())
        });
    }
    Ok(out.put_tape(tape))
}
