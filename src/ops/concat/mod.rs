//! Features of two encoders above each other.

mod cpu;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, Features, OpError};

const OP: &str = "concat";

/// The kernels of [`concat`].
pub trait Concat<E: Real>: Storage<E> {
    /// The features of `first`, then those of `second`.
    ///
    /// # Errors
    /// If the device fails.
    fn concat(
        &self,
        first: &Features<E, Self>,
        second: &Features<E, Self>,
    ) -> Result<Features<E, Self>, Self::Err>;

    /// Adds the part of the output's gradient that begins at element `from` to the gradient of an input.
    ///
    /// # Errors
    /// If the device fails.
    fn concat_backward(
        &self,
        gradient: &Storage1<Self, E>,
        from: usize,
        input: &mut Storage1<Self, E>,
    ) -> Result<(), Self::Err>;
}

/// `(f1, n)` and `(f2, n)` to `(f1 + f2, n)`, the first one's features first.
///
/// # Errors
/// [`OpError::Shape`] if the batches differ; [`OpError::Device`] if the device fails.
pub fn concat<E, D, T, R>(
    first: Features<E, D, T>,
    second: Features<E, D, R>,
) -> Result<Features<E, D, T>, OpError>
where
    E: Real,
    D: Backend<E>,
    T: Tape<E, D> + Merge<R>,
    R: Tape<E, D>,
{
    if first.shape().1 != second.shape().1 {
        let found = format!("{:?} and {:?}", first.shape(), second.shape());
        return Err(OpError::shape(OP, "two inputs of the same batch", found));
    }
    let (first, tape) = first.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let (second, other) = second.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let mut tape = tape.merge(other);
    let dev = first.device().clone();
    let out = dev.concat(&first, &second).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let len = first.shape().0 * first.shape().1;
        let (first, second, ghost) = (first.ghost(), second.ghost(), out.ghost());
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            dev.concat_backward(&gradient, 0, grads.get_or_alloc_mut(&first)?)?;
            dev.concat_backward(&gradient, len, grads.get_or_alloc_mut(&second)?)
        });
    }
    Ok(out.put_tape(tape))
}
