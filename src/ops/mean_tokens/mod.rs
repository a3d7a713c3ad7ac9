//! The mean over the tokens of each sample.
//!
//! Invariant: the tokens of a sample are added up in order.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError, Tokens};

const OP: &str = "mean of tokens";

/// The kernels of [`mean_tokens`].
pub trait MeanTokens<E: Real>: Storage<E> {
    /// The mean of every `tokens` neighbouring rows; `tokens` divides the number of rows.
    ///
    /// # Errors
    /// If the device fails.
    fn mean_tokens(&self, x: &Tokens<E, Self>, tokens: usize) -> Result<Tokens<E, Self>, Self::Err>;

    /// Adds to the gradient of the rows; `gradient` is that of the means, `features` wide.
    ///
    /// # Errors
    /// If the device fails.
    fn mean_tokens_backward(
        &self,
        tokens: usize,
        features: usize,
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), Self::Err>;
}

/// `(samples x tokens, features)` to `(samples, features)`.
///
/// # Errors
/// [`OpError::Shape`] if the rows are no whole samples; [`OpError::Device`] if the device fails.
pub fn mean_tokens<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Tokens<E, D, T>,
    tokens: usize,
) -> Result<Tokens<E, D, T>, OpError> {
    let &(rows, features) = x.shape();
    if tokens == 0 || features == 0 || !rows.is_multiple_of(tokens) {
        let expected = format!("a multiple of {tokens} rows");
        return Err(OpError::shape(OP, expected, format!("{rows} x {features}")));
    }
    let (x, mut tape) = x.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let dev = x.device().clone();
    let out = dev.mean_tokens(&x, tokens).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let (x, ghost) = (x.ghost(), out.ghost());
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            dev.mean_tokens_backward(tokens, features, &gradient, grads.get_or_alloc_mut(&x)?)
        });
    }
    Ok(out.put_tape(tape))
}
