//! The sum of two maps: where the branches of a residual block meet.
//!
//! Invariant: both inputs get the output's gradient, added to what they have: an input that is added to itself gets it twice.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, Maps, OpError};

const OP: &str = "add";

/// The kernels of [`add`].
pub trait AddMaps<E: Real>: Storage<E> {
    /// The sum, element by element; the shapes are the same.
    ///
    /// # Errors
    /// If the device fails.
    fn add_maps(&self, a: &Maps<E, Self>, b: &Maps<E, Self>) -> Result<Maps<E, Self>, Self::Err>;

    /// Adds a gradient to another, which has as many elements.
    ///
    /// # Errors
    /// If the device fails.
    fn add_gradient(
        &self,
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), Self::Err>;
}

/// The sum of two maps of one shape.
///
/// # Errors
/// [`OpError::Shape`] if the shapes differ; [`OpError::Device`] if the device fails.
pub(crate) fn add<E: Real, D: Backend<E>, T: Tape<E, D>>(
    a: Maps<E, D, T>,
    b: Maps<E, D, T>,
) -> Result<Maps<E, D, T>, OpError> {
    if a.shape() != b.shape() {
        let found = format!("{:?} and {:?}", a.shape(), b.shape());
        return Err(OpError::shape(OP, "two maps of the same shape", found));
    }
    let (a, tape) = a.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let (b, other) = b.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let mut tape = tape.merge(other);
    let dev = a.device().clone();
    let out = dev.add_maps(&a, &b).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let (a, b, ghost) = (a.ghost(), b.ghost(), out.ghost());
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            dev.add_gradient(&gradient, grads.get_or_alloc_mut(&a)?)?;
            dev.add_gradient(&gradient, grads.get_or_alloc_mut(&b)?)
        });
    }
    Ok(out.put_tape(tape))
}
