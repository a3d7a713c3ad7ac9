//! Rows as columns: from the layout of tokens to that of features elsewhere.
//!
//! Invariant: elements are moved, nothing is computed but the sum of gradients.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(test)]
mod tests;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, Features, OpError, Tokens};

const OP: &str = "transpose";

/// The kernels of [`to_features`].
pub trait Transpose<E: Real>: Storage<E> {
    /// `(rows, columns)` to `(columns, rows)`.
    ///
    /// # Errors
    /// If the device fails.
    fn transpose(&self, x: &Tokens<E, Self>) -> Result<Features<E, Self>, Self::Err>;

    /// Adds `gradient`, that of the output, to that of `x`, whose dimensions are given.
    ///
    /// # Errors
    /// If the device fails.
    fn transpose_backward(
        &self,
        dims: [usize; 2],
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), Self::Err>;
}

/// Rows to the layout of logits and labels elsewhere: `(samples, features)` to `(features, samples)`.
///
/// # Errors
/// [`OpError::Device`] if the device fails.
pub fn to_features<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Tokens<E, D, T>,
) -> Result<Features<E, D, T>, OpError> {
    let (x, mut tape) = x.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let dev = x.device().clone();
    let out = dev.transpose(&x).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let (x, ghost, &(rows, columns)) = (x.ghost(), out.ghost(), x.shape());
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            dev.transpose_backward([rows, columns], &gradient, grads.get_or_alloc_mut(&x)?)
        });
    }
    Ok(out.put_tape(tape))
}

/// The other way round: `(features, samples)` to `(samples, features)`.
///
/// # Errors
/// [`OpError::Device`] if the device fails.
pub fn from_features<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Features<E, D, T>,
) -> Result<Tokens<E, D, T>, OpError> {
    to_features(x)
}
