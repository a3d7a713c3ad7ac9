//! The mean over windows that cut a map into `side` x `side` parts: PyTorch's AdaptiveAvgPool2d.
//!
//! Invariant: the window of output row `i` is the input's rows `floor(i H / side)` up to, and without,
//! `ceil((i + 1) H / side)`; columns likewise. Where `side` divides neither, neighbouring windows share a row or column,
//! which then gets gradients from both.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

use std::ops::Range;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, Maps, OpError};

const OP: &str = "average_pool";

/// The kernels of [`average_pool`].
pub trait AveragePool<E: Real>: Storage<E> {
    /// The mean of each of `side` x `side` windows.
    ///
    /// # Errors
    /// If the device fails.
    fn average_pool(&self, x: &Maps<E, Self>, side: usize) -> Result<Maps<E, Self>, Self::Err>;

    /// Adds to the gradient of the input, which has the given shape; `gradient` is that of the output.
    ///
    /// # Errors
    /// If the device fails.
    fn average_pool_backward(
        &self,
        shape: (usize, usize, usize, usize),
        side: usize,
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), Self::Err>;
}

/// The rows (or columns) of window `i` of `side`, of a map with this many.
fn window(i: usize, size: usize, side: usize) -> Range<usize> {
    i * size / side..((i + 1) * size).div_ceil(side)
}

/// `(channels, height, width, batch)` to `(channels, side, side, batch)`.
///
/// # Errors
/// [`OpError::Shape`] if the maps have fewer than `side` rows or columns, or `side` is 0; [`OpError::Device`] if the device
/// fails.
pub(crate) fn average_pool<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Maps<E, D, T>,
    side: usize,
) -> Result<Maps<E, D, T>, OpError> {
    let shape = *x.shape();
    if side == 0 || shape.1 < side || shape.2 < side {
        let expected = format!("maps of at least {side} x {side}, and a side of at least 1");
        return Err(OpError::shape(OP, expected, format!("{shape:?}")));
    }
    let (x, mut tape) = x.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let dev = x.device().clone();
    let out = dev.average_pool(&x, side).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let (x, ghost) = (x.ghost(), out.ghost());
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            dev.average_pool_backward(shape, side, &gradient, grads.get_or_alloc_mut(&x)?)
        });
    }
    Ok(out.put_tape(tape))
}
