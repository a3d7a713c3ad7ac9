//! Activations of tokens: GELU with the exact normal distribution, and tanh.
//!
//! Invariant: GELU is `x Phi(x)`, never its approximation by tanh.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError, Tokens};

const OP: &str = "activate";

/// What is applied to every element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `x Phi(x)`, with the standard normal distribution.
    Gelu,
    /// The hyperbolic tangent.
    Tanh,
}

/// The kernels of [`activate`].
pub trait Activate<E: Real>: Storage<E> {
    /// The function of every element.
    ///
    /// # Errors
    /// If the device fails.
    fn activate(&self, x: &Tokens<E, Self>, function: Function) -> Result<Tokens<E, Self>, Self::Err>;

    /// Adds to the gradient of `x`; `gradient` is that of the output.
    ///
    /// # Errors
    /// If the device fails.
    fn activate_backward(
        &self,
        x: &Tokens<E, Self>,
        function: Function,
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), Self::Err>;
}

/// The function of every element.
///
/// # Errors
/// [`OpError::Device`] if the device fails.
pub fn activate<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Tokens<E, D, T>,
    function: Function,
) -> Result<Tokens<E, D, T>, OpError> {
    let (x, mut tape) = x.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let dev = x.device().clone();
    let out = dev.activate(&x, function).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let ghost = out.ghost();
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            dev.activate_backward(&x, function, &gradient, grads.get_or_alloc_mut(&x)?)
        });
    }
    Ok(out.put_tape(tape))
}
