//! `o + alpha z` with one learned scalar: the gate of cross-attention (FIBER).
//!
//! Invariant: alpha's gradient is summed over eight lanes in blocks whose size is fixed, and the blocks in order.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError, Parameter, Tokens};

const OP: &str = "add scaled";

/// The gradients that [`add_scaled`] adds to; `None` for a frozen alpha.
pub struct AddScaledGradients<'a, V> {
    /// Of what is scaled.
    pub z: &'a mut V,
    /// Of the scalar.
    pub alpha: Option<&'a mut V>,
}

/// The kernels of [`add_scaled`].
pub trait AddScaled<E: Real>: Storage<E> {
    /// `o + alpha z`; the shapes are the same, and alpha has one element.
    ///
    /// # Errors
    /// If the device fails.
    fn add_scaled(
        &self,
        o: &Tokens<E, Self>,
        z: &Tokens<E, Self>,
        alpha: &Tensor<(usize,), E, Self>,
    ) -> Result<Tokens<E, Self>, Self::Err>;

    /// Adds to the gradients of `z` and alpha; `gradient` is that of the output, which `o` gets as it is.
    ///
    /// # Errors
    /// If the device fails.
    fn add_scaled_backward(
        &self,
        z: &Tokens<E, Self>,
        alpha: &Tensor<(usize,), E, Self>,
        gradient: &Storage1<Self, E>,
        into: AddScaledGradients<'_, Storage1<Self, E>>,
    ) -> Result<(), Self::Err>;
}

/// `o + alpha z` for two streams of one shape.
///
/// # Errors
/// [`OpError::Shape`] if the shapes differ or alpha is not one number; [`OpError::Device`] if the device fails.
pub fn add_scaled<E: Real, D: Backend<E>, T: Tape<E, D>>(
    o: Tokens<E, D, T>,
    z: Tokens<E, D, T>,
    alpha: &Parameter<E, D>,
) -> Result<Tokens<E, D, T>, OpError> {
    if o.shape() != z.shape() || alpha.dims != [1] {
        let found = format!("{:?}, {:?} and {:?}", o.shape(), z.shape(), alpha.dims);
        return Err(OpError::shape(OP, "two streams of one shape and one scalar", found));
    }
    let (o, tape) = o.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let (z, other) = z.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let mut tape = tape.merge(other);
    let dev = o.device().clone();
    let out = dev.add_scaled(&o, &z, &alpha.value).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let (wanted, alpha) = (alpha.needs_grad.then(|| alpha.value.clone()), alpha.value.clone());
        let (o, ghost) = (o.ghost(), out.ghost());
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            dev.add_gradient(&gradient, grads.get_or_alloc_mut(&o)?)?;
            let mut z_gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&z)?)?;
            let mut alpha_gradient = device::take_wanted(&dev, grads, wanted.as_ref())?;
            let into = AddScaledGradients { z: &mut z_gradient, alpha: alpha_gradient.as_mut() };
            dev.add_scaled_backward(&z, &alpha, &gradient, into)?;
            *grads.get_or_alloc_mut(&z)? = z_gradient;
            device::put_back(grads, wanted.as_ref(), alpha_gradient)
        });
    }
    Ok(out.put_tape(tape))
}
