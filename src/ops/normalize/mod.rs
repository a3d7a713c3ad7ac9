//! Every row divided by its Euclidean norm.
//!
//! Invariant: nothing is added to the norm; a row of zeros gives NaN, as in FIBER.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError, Tokens};

const OP: &str = "normalize";

/// The kernels of [`normalize`].
pub trait Normalize<E: Real>: Storage<E> {
    /// The rows, divided by their norms.
    ///
    /// # Errors
    /// If the device fails.
    fn normalize(&self, x: &Tokens<E, Self>) -> Result<Tokens<E, Self>, Self::Err>;

    /// Adds to the gradient of `x`; `gradient` is that of the output.
    ///
    /// # Errors
    /// If the device fails.
    fn normalize_backward(
        &self,
        x: &Tokens<E, Self>,
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), Self::Err>;
}

/// The rows, divided by their norms.
///
/// # Errors
/// [`OpError::Shape`] if rows have no elements; [`OpError::Device`] if the device fails.
pub fn normalize<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Tokens<E, D, T>,
) -> Result<Tokens<E, D, T>, OpError> {
    if x.shape().1 == 0 {
        return Err(OpError::shape(OP, "rows of at least one element", "none"));
    }
    let (x, mut tape) = x.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let dev = x.device().clone();
    let out = dev.normalize(&x).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let ghost = out.ghost();
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            dev.normalize_backward(&x, &gradient, grads.get_or_alloc_mut(&x)?)
        });
    }
    Ok(out.put_tape(tape))
}
