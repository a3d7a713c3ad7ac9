//! A linear layer with bias and, fused, its activation; for features or for every step of a series.
//!
//! Invariant: every output is its bias plus one chain of fused multiply-adds in the order of the inputs.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(test)]
mod tests;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, Features, OpError, Parameter, Series};

const OP: &str = "linear";

/// What is applied to the outputs of a linear layer. The gradient at 0 is that of the negative side, as in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `max(y, 0)`.
    Relu,
    /// `y` for `y > 0`, otherwise `slope * y`; the slope must not be negative.
    LeakyRelu {
        /// The negative slope.
        slope: f64,
    },
}

impl Activation {
    /// The factor on the negative side, if there is an activation.
    fn negative_slope(self) -> Option<f64> {
        match self {
            Activation::Identity => None,
            Activation::Relu => Some(0.0),
            Activation::LeakyRelu { slope } => Some(slope),
        }
    }
}

/// The gradients that a linear layer adds to; `None` for what is frozen.
pub struct LinearGradients<'a, V> {
    /// Of the input.
    pub x: &'a mut V,
    /// Of the weight.
    pub weight: Option<&'a mut V>,
    /// Of the bias.
    pub bias: Option<&'a mut V>,
}

/// The kernels of [`linear`].
pub trait Linear<E: Real>: Storage<E> {
    /// The activated output `(steps, outputs, batch)` for `x` `(steps, inputs, batch)`.
    ///
    /// # Errors
    /// If the device fails.
    fn linear(
        &self,
        x: &Series<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        bias: &Tensor<(usize,), E, Self>,
        activation: Activation,
    ) -> Result<Series<E, Self>, Self::Err>;

    /// Adds to the gradients; `gradient` is that of the activated output `out`.
    ///
    /// # Errors
    /// If the device fails.
    fn linear_backward(
        &self,
        x: &Series<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        out: &Series<E, Self>,
        activation: Activation,
        gradient: Storage1<Self, E>,
        into: LinearGradients<'_, Storage1<Self, E>>,
    ) -> Result<(), Self::Err>;
}

/// `(inputs, batch)` to `(outputs, batch)`: `activation(weight x + bias)`, weight `[outputs, inputs]`, bias `[outputs]`.
///
/// # Errors
/// [`OpError::Shape`] if they do not fit; [`OpError::Device`] if the device fails.
pub fn linear<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Features<E, D, T>,
    weight: &Parameter<E, D>,
    bias: &Parameter<E, D>,
    activation: Activation,
) -> Result<Features<E, D, T>, OpError> {
    let &(inputs, batch) = x.shape();
    let x = x.try_reshape_like(&(1, inputs, batch)).map_err(OpError::device(OP))?;
    let out = linear_per_step(x, weight, bias, activation)?;
    let &(_, outputs, batch) = out.shape();
    out.try_reshape_like(&(outputs, batch)).map_err(OpError::device(OP))
}

/// `(steps, inputs, batch)` to `(steps, outputs, batch)`: the same layer at every step.
///
/// # Errors
/// As [`linear`].
pub fn linear_per_step<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Series<E, D, T>,
    weight: &Parameter<E, D>,
    bias: &Parameter<E, D>,
    activation: Activation,
) -> Result<Series<E, D, T>, OpError> {
    let inputs = x.shape().1;
    match (&weight.dims[..], &bias.dims[..]) {
        (&[outputs, columns], &[biases]) if columns == inputs && outputs == biases => {}
        found => {
            let expected = format!("a weight [outputs, {inputs}] and a bias [outputs]");
            return Err(OpError::shape(OP, expected, format!("{found:?}")));
        }
    }
    let (x, mut tape) = x.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let dev = x.device().clone();
    let out = dev.linear(&x, &weight.value, &bias.value, activation).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let (needs_weight, needs_bias) = (weight.needs_grad, bias.needs_grad);
        let (weight, bias, saved) = (weight.value.clone(), bias.value.ghost(), out.clone());
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&saved)?)?;
            let mut x_gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&x)?)?;
            let mut weight_gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&weight)?)?;
            let mut bias_gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&bias)?)?;
            let into = LinearGradients {
                x: &mut x_gradient,
                weight: needs_weight.then_some(&mut weight_gradient),
                bias: needs_bias.then_some(&mut bias_gradient),
            };
            dev.linear_backward(&x, &weight, &saved, activation, gradient, into)?;
            *grads.get_or_alloc_mut(&x)? = x_gradient;
            *grads.get_or_alloc_mut(&weight)? = weight_gradient;
            *grads.get_or_alloc_mut(&bias)? = bias_gradient;
            Ok(())
        });
    }
    Ok(out.put_tape(tape))
}
