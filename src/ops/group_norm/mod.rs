//! GroupNorm and ReLU in one op: what precedes every convolution of a PreAct-ResNet.
//!
//! Invariant: the statistics are those of each example and group alone (biased variance), so an example's output does not
//! depend on the batch it stands in, and training and evaluation are the same. Beside the input only the statistics are
//! kept; the backward pass works the normalised map out again, by the same operations. The gradient of ReLU at 0 is 0.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::norm_relu_pool::NormGradients;
use crate::ops::simd::Real;
use crate::ops::{Backend, Maps, OpError, Parameter};

const OP: &str = "group_norm_relu";
/// Added to the variance.
pub(crate) const EPSILON: f64 = 1e-5;

/// What the op gives and what its backward pass needs.
pub struct Normalised<E: Real, D: Storage<E>> {
    /// `max(0, (x - mean) / deviation * weight + bias)`.
    pub out: Maps<E, D>,
    /// The mean of each group and example, `[groups, batch]`, then as many times `1 / sqrt(variance + epsilon)`.
    pub statistics: Tensor<(usize,), E, D>,
}

/// The kernels of [`group_norm_relu`].
pub trait GroupNormRelu<E: Real>: Storage<E> {
    /// Normalises each of `groups` groups of neighbouring channels, example by example.
    ///
    /// # Errors
    /// If the device fails.
    fn group_norm_relu(
        &self,
        x: &Maps<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        bias: &Tensor<(usize,), E, Self>,
        groups: usize,
    ) -> Result<Normalised<E, Self>, Self::Err>;

    /// Adds to the gradients; `gradient` is that of the output, `statistics` are those of [`Normalised`].
    ///
    /// # Errors
    /// If the device fails.
    fn group_norm_relu_backward(
        &self,
        x: &Maps<E, Self>,
        affine: [&Tensor<(usize,), E, Self>; 2],
        statistics: &Tensor<(usize,), E, Self>,
        gradient: &Storage1<Self, E>,
        into: NormGradients<'_, Storage1<Self, E>>,
    ) -> Result<(), Self::Err>;
}

/// `(channels, height, width, batch)` to the same shape, weight and bias `[channels]`; `groups` divides the channels.
///
/// # Errors
/// [`OpError::Shape`] if they do not fit or there is nothing to normalise; [`OpError::Device`] if the device fails.
pub(crate) fn group_norm_relu<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Maps<E, D, T>,
    weight: &Parameter<E, D>,
    bias: &Parameter<E, D>,
    groups: usize,
) -> Result<Maps<E, D, T>, OpError> {
    let &(channels, height, width, batch) = x.shape();
    if channels * height * width * batch == 0 {
        return Err(OpError::shape(OP, "maps with elements", format!("{:?}", x.shape())));
    }
    if groups == 0 || channels % groups > 0 {
        let expected = format!("a number of groups that divides {channels} channels");
        return Err(OpError::shape(OP, expected, groups.to_string()));
    }
    if [weight.len(), bias.len()] != [channels; 2] {
        let found = format!("{} and {}", weight.len(), bias.len());
        return Err(OpError::shape(OP, format!("{channels} weights and biases"), found));
    }
    let (x, mut tape) = x.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let dev = x.device().clone();
    let Normalised { out, statistics } =
        dev.group_norm_relu(&x, &weight.value, &bias.value, groups).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let (needs_weight, needs_bias) = (weight.needs_grad, bias.needs_grad);
        let (weight, bias, ghost) = (weight.value.clone(), bias.value.clone(), out.ghost());
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            let mut x_gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&x)?)?;
            let mut weight_gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&weight)?)?;
            let mut bias_gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&bias)?)?;
            let into = NormGradients {
                x: &mut x_gradient,
                weight: needs_weight.then_some(&mut weight_gradient),
                bias: needs_bias.then_some(&mut bias_gradient),
            };
            dev.group_norm_relu_backward(&x, [&weight, &bias], &statistics, &gradient, into)?;
            *grads.get_or_alloc_mut(&x)? = x_gradient;
            *grads.get_or_alloc_mut(&weight)? = weight_gradient;
            *grads.get_or_alloc_mut(&bias)? = bias_gradient;
            Ok(())
        });
    }
    Ok(out.put_tape(tape))
}
