//! LayerNorm of every token over its features: `(x - mean) / sqrt(variance + 1e-5) * weight + bias`, with the biased variance.
//!
//! Invariant: sums over features run over eight lanes; gradients of the parameters are summed in blocks of tokens whose size is
//! fixed, and the blocks in order.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError, Parameter, Tokens};

const OP: &str = "layer norm";

/// What is added to the variance: the same in Swin, RoBERTa and the heads.
const EPSILON: f64 = 1e-5;

/// The gradients that LayerNorm adds to; `None` for what is frozen.
pub struct LayerNormGradients<'a, V> {
    /// Of the tokens.
    pub x: &'a mut V,
    /// Of the weight.
    pub weight: Option<&'a mut V>,
    /// Of the bias.
    pub bias: Option<&'a mut V>,
}

/// The kernels of [`layer_norm`].
pub trait LayerNorm<E: Real>: Storage<E> {
    /// The normed tokens.
    ///
    /// # Errors
    /// If the device fails.
    fn layer_norm(
        &self,
        x: &Tokens<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        bias: &Tensor<(usize,), E, Self>,
    ) -> Result<Tokens<E, Self>, Self::Err>;

    /// Adds to the gradients; `gradient` is that of the output.
    ///
    /// # Errors
    /// If the device fails.
    fn layer_norm_backward(
        &self,
        x: &Tokens<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        gradient: &Storage1<Self, E>,
        into: LayerNormGradients<'_, Storage1<Self, E>>,
    ) -> Result<(), Self::Err>;
}

/// `(rows, features)` to the same, with a weight and a bias for each feature.
///
/// # Errors
/// [`OpError::Shape`] if they do not fit; [`OpError::Device`] if the device fails.
pub fn layer_norm<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Tokens<E, D, T>,
    weight: &Parameter<E, D>,
    bias: &Parameter<E, D>,
) -> Result<Tokens<E, D, T>, OpError> {
    let features = x.shape().1;
    if weight.dims != [features] || bias.dims != [features] || features == 0 {
        let expected = format!("a weight and a bias for each of {features} features, at least one");
        return Err(OpError::shape(OP, expected, format!("{:?} and {:?}", weight.dims, bias.dims)));
    }
    let (x, mut tape) = x.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let dev = x.device().clone();
    let out = dev.layer_norm(&x, &weight.value, &bias.value).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let (wanted, weight) = (weight.needs_grad.then(|| weight.value.clone()), weight.value.clone());
        let bias = bias.needs_grad.then(|| bias.value.clone());
        let ghost = out.ghost();
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            let mut x_gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&x)?)?;
            let mut weight_gradient = device::take_wanted(&dev, grads, wanted.as_ref())?;
            let mut bias_gradient = device::take_wanted(&dev, grads, bias.as_ref())?;
            let into = LayerNormGradients {
                x: &mut x_gradient,
                weight: weight_gradient.as_mut(),
                bias: bias_gradient.as_mut(),
            };
            dev.layer_norm_backward(&x, &weight, &gradient, into)?;
            *grads.get_or_alloc_mut(&x)? = x_gradient;
            device::put_back(grads, wanted.as_ref(), weight_gradient)?;
            device::put_back(grads, bias.as_ref(), bias_gradient)
        });
    }
    Ok(out.put_tape(tape))
}
