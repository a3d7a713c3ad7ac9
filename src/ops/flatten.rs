//! Leading axes merged into one: a new shape over the same memory, since the batch is innermost.
//!
//! Invariant: nothing is copied, forward or backward.

use dfdx::prelude::*;

use crate::ops::simd::Real;
use crate::ops::{Features, Maps, OpError, Series};

/// `(channels, height, width, batch)` to `(channels * height * width, batch)`.
///
/// # Errors
/// [`OpError::Device`] if the device fails.
pub fn flatten_maps<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Maps<E, D, T>,
) -> Result<Features<E, D, T>, OpError> {
    let &(channels, height, width, batch) = x.shape();
    x.try_reshape_like(&(channels * height * width, batch)).map_err(OpError::device("flatten"))
}

/// `(steps, features, batch)` to `(steps * features, batch)`.
///
/// # Errors
/// [`OpError::Device`] if the device fails.
pub fn flatten_series<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Series<E, D, T>,
) -> Result<Features<E, D, T>, OpError> {
    let &(steps, features, batch) = x.shape();
    x.try_reshape_like(&(steps * features, batch)).map_err(OpError::device("flatten"))
}
