//! A linear layer of tokens: `x W^T + bias`, with or without bias.
//!
//! Invariant: every output is its bias (or 0) plus one chain of fused multiply-adds in the order of the inputs; every element of
//! the weight's gradient is one chain in the order of the tokens.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError, Parameter, Tokens};

const OP: &str = "token linear";

/// The gradients that a layer adds to; `None` for what is frozen or absent.
pub struct TokenLinearGradients<'a, V> {
    /// Of the tokens.
    pub x: Option<&'a mut V>,
    /// Of the weight.
    pub weight: Option<&'a mut V>,
    /// Of the bias.
    pub bias: Option<&'a mut V>,
}

/// The kernels of [`token_linear`].
pub trait TokenLinear<E: Real>: Storage<E> {
    /// `(rows, outputs)` for `x` `(rows, inputs)` and a weight of `outputs` rows.
    ///
    /// # Errors
    /// If the device fails.
    fn token_linear(
        &self,
        x: &Tokens<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        bias: Option<&Tensor<(usize,), E, Self>>,
        outputs: usize,
    ) -> Result<Tokens<E, Self>, Self::Err>;

    /// Adds to the gradients; `gradient` is that of the output.
    ///
    /// # Errors
    /// If the device fails.
    fn token_linear_backward(
        &self,
        x: &Tokens<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        gradient: &Storage1<Self, E>,
        into: TokenLinearGradients<'_, Storage1<Self, E>>,
    ) -> Result<(), Self::Err>;
}

/// `(rows, inputs)` to `(rows, outputs)`. A weight `[outputs, ..]` of more dimensions is taken as `[outputs, inputs]`, so that the
/// weight of a convolution of patches fits, too.
///
/// # Errors
/// [`OpError::Shape`] if they do not fit; [`OpError::Device`] if the device fails.
pub fn token_linear<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Tokens<E, D, T>,
    weight: &Parameter<E, D>,
    bias: Option<&Parameter<E, D>>,
) -> Result<Tokens<E, D, T>, OpError> {
    let (x, tape) = x.split_tape();
    apply(x, tape, true, weight, bias)
}

/// [`token_linear`] of what was given from outside, whose gradient nobody wants; with its own tape.
///
/// # Errors
/// As [`token_linear`].
pub fn token_linear_of_input<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Tokens<E, D>,
    weight: &Parameter<E, D>,
    bias: Option<&Parameter<E, D>>,
) -> Result<Tokens<E, D, T>, OpError> {
    apply(x, T::default(), false, weight, bias)
}

fn apply<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Tokens<E, D>,
    mut tape: T,
    x_wanted: bool,
    weight: &Parameter<E, D>,
    bias: Option<&Parameter<E, D>>,
) -> Result<Tokens<E, D, T>, OpError> {
    let inputs = x.shape().1;
    let outputs = weight.dims.first().copied().unwrap_or(0);
    let fits = weight.dims.len() > 1 && weight.dims[1..].iter().product::<usize>() == inputs;
    if !fits || bias.is_some_and(|bias| bias.dims != [outputs]) {
        let expected = format!("a weight [outputs, {inputs}] and a bias [outputs]");
        let found = format!("{:?} and {:?}", weight.dims, bias.map(|bias| &bias.dims));
        return Err(OpError::shape(OP, expected, found));
    }
    let x = x.try_contiguous().map_err(OpError::device(OP))?;
    let dev = x.device().clone();
    let out = dev
        .token_linear(&x, &weight.value, bias.map(|bias| &bias.value), outputs)
        .map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let (wanted, weight) = (weight.needs_grad.then(|| weight.value.clone()), weight.value.clone());
        let bias = bias.filter(|bias| bias.needs_grad).map(|bias| bias.value.clone());
        let ghost = out.ghost();
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            let x_wanted = x_wanted.then_some(&x);
            let mut x_gradient = device::take_wanted(&dev, grads, x_wanted)?;
            let mut weight_gradient = device::take_wanted(&dev, grads, wanted.as_ref())?;
            let mut bias_gradient = device::take_wanted(&dev, grads, bias.as_ref())?;
            let into = TokenLinearGradients {
                x: x_gradient.as_mut(),
                weight: weight_gradient.as_mut(),
                bias: bias_gradient.as_mut(),
            };
            dev.token_linear_backward(&x, &weight, &gradient, into)?;
            device::put_back(grads, x_wanted, x_gradient)?;
            device::put_back(grads, wanted.as_ref(), weight_gradient)?;
            device::put_back(grads, bias.as_ref(), bias_gradient)
        });
    }
    Ok(out.put_tape(tape))
}
