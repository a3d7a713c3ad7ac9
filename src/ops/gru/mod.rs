//! A whole GRU layer as one op, PyTorch's cell with h0 = 0:
//!
//! r = sigmoid(W_ir x + b_ir + W_hr h + b_hr); z = sigmoid(W_iz x + b_iz + W_hz h + b_hz);
//! n = tanh(W_in x + b_in + r (W_hn h + b_hn)); h' = (1 - z) n + z h.
//!
//! Invariant: weights are laid out as in PyTorch (gate order r, z, n), activations batch innermost: input
//! (steps, features, batch), output (steps, hidden, batch).

use dfdx::prelude::*;

use super::simd::Real;
use super::{OpError, Parameter, Series};
use crate::device::{self, Storage1};

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

const OP: &str = "gru";

/// Sizes of one application of the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Time steps.
    pub steps: usize,
    /// Features of the input.
    pub input: usize,
    /// Hidden units.
    pub hidden: usize,
    /// Examples.
    pub batch: usize,
}

/// The layer's parameters, borrowed.
pub struct Weights<'a, E: Real, D: Device<E>> {
    /// (3 hidden) x input.
    pub input: &'a Parameter<E, D>,
    /// (3 hidden) x hidden.
    pub hidden: &'a Parameter<E, D>,
    /// 3 hidden.
    pub input_bias: &'a Parameter<E, D>,
    /// 3 hidden.
    pub hidden_bias: &'a Parameter<E, D>,
}

/// The values of the layer's parameters, in the order of [`Weights`].
pub type Values<E, D> = [Tensor<(usize,), E, D>; 4];

/// All hidden states (steps, hidden, batch), and what backward needs beside them.
pub type Forward<E, D> = (Series<E, D>, <D as Gru<E>>::Saved);

/// The GRU layer on a device.
pub trait Gru<E: Real>: Storage<E> {
    /// What backward needs of forward beside the hidden states.
    type Saved: 'static;

    /// The layer over a whole input.
    ///
    /// # Errors
    /// If the device fails.
    fn gru_forward(
        &self,
        sizes: Sizes,
        input: &Series<E, Self>,
        weights: &Values<E, Self>,
    ) -> Result<Forward<E, Self>, Self::Err>;

    /// Adds to the gradients: the input's, and those of the parameters in the order of [`Weights`]. `None` is not
    /// wanted.
    ///
    /// # Errors
    /// If the device fails.
    #[expect(clippy::too_many_arguments, reason = "what forward had, what it left, and where gradients go")]
    fn gru_backward(
        &self,
        sizes: Sizes,
        input: &Series<E, Self>,
        weights: &Values<E, Self>,
        hidden: &Series<E, Self>,
        saved: &Self::Saved,
        gradient: &Storage1<Self, E>,
        input_gradient: Option<&mut Storage1<Self, E>>,
        weight_gradients: [Option<&mut Storage1<Self, E>>; 4],
    ) -> Result<(), Self::Err>;
}

/// All hidden states (steps, hidden, batch) of a GRU layer over an input (steps, features, batch). The gradient of the
/// input is only computed when `input_needs_grad`.
///
/// # Errors
/// When the parameters' dimensions do not fit the input, or the device has no memory.
pub fn gru<E, D, T>(
    input: Series<E, D, T>,
    weights: &Weights<'_, E, D>,
    input_needs_grad: bool,
) -> Result<Series<E, D, T>, OpError>
where
    E: Real,
    D: Device<E> + Gru<E>,
    T: Tape<E, D>,
{
    let sizes = sizes(*input.shape(), weights)?;
    let (input, mut tape) = input.split_tape();
    let device = input.device().clone();
    let parameters = [weights.input, weights.hidden, weights.input_bias, weights.hidden_bias];
    let values = parameters.map(|parameter| parameter.value.clone());
    let (hidden, saved) = device.gru_forward(sizes, &input, &values).map_err(OpError::device(OP))?;

    if T::OWNS_TAPE {
        let wanted = parameters.map(|parameter| parameter.needs_grad);
        let output = hidden.clone();
        tape.add_backward_op(move |gradients| {
            let gradient = device::take::<E, D>(&device, gradients.get_or_alloc_mut(&output)?)?;
            let wanted_input = input_needs_grad.then_some(&input);
            let mut input_gradient = device::take_wanted(&device, gradients, wanted_input)?;
            let mut weight_gradients = [const { None }; 4];
            for (i, slot) in weight_gradients.iter_mut().enumerate() {
                *slot = device::take_wanted(&device, gradients, wanted[i].then_some(&values[i]))?;
            }
            device.gru_backward(
                sizes,
                &input,
                &values,
                &output,
                &saved,
                &gradient,
                input_gradient.as_mut(),
                weight_gradients.each_mut().map(Option::as_mut),
            )?;
            device::put_back(gradients, wanted_input, input_gradient)?;
            values
                .iter()
                .zip(weight_gradients)
                .try_for_each(|(value, gradient)| device::put_back(gradients, Some(value), gradient))
        });
    }
    Ok(hidden.put_tape(tape))
}

/// The sizes, if all dimensions agree and none is zero.
fn sizes<E: Real, D: Device<E>>(
    (steps, input, batch): (usize, usize, usize),
    weights: &Weights<'_, E, D>,
) -> Result<Sizes, OpError> {
    let hidden = weights.hidden.dims.last().copied().unwrap_or(0);
    for (parameter, name, dims) in [
        (weights.input, "weight_ih", vec![3 * hidden, input]),
        (weights.hidden, "weight_hh", vec![3 * hidden, hidden]),
        (weights.input_bias, "bias_ih", vec![3 * hidden]),
        (weights.hidden_bias, "bias_hh", vec![3 * hidden]),
    ] {
        if parameter.dims != dims {
            let found = format!("{:?}", parameter.dims);
            return Err(OpError::shape(OP, format!("{name} of dimensions {dims:?}"), found));
        }
    }
    if steps * input * batch * hidden == 0 {
        let found = format!("({steps}, {input}, {batch}) and {hidden} hidden units");
        return Err(OpError::shape(
            "gru",
            "an input (steps, features, batch) with no zero among them",
            found,
        ));
    }
    Ok(Sizes { steps, input, hidden, batch })
}
