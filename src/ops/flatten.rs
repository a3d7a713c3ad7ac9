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
pub(crate) fn flatten_maps<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Maps<E, D, T>,
) -> Result<Features<E, D, T>, OpError> {
    let &(channels, height, width, batch) = x.shape();
    x.try_reshape_like(&(channels * height * width, batch)).map_err(OpError::device("flatten"))
}

/// `(steps, features, batch)` to `(steps * features, batch)`.
///
/// # Errors
/// [`OpError::Device`] if the device fails.
pub(crate) fn flatten_series<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Series<E, D, T>,
) -> Result<Features<E, D, T>, OpError> {
    let &(steps, features, batch) = x.shape();
    x.try_reshape_like(&(steps * features, batch)).map_err(OpError::device("flatten"))
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;

    use super::{flatten_maps, flatten_series};
    use crate::device;

    #[test]
    fn keeps_the_memory_and_the_gradient() {
        let dev = Cpu::default();
        let x = dev.tensor_from_vec((0..24u8).map(f32::from).collect(), (2, 3, 2, 2));
        let flat = flatten_maps(x.leaky_trace()).unwrap();
        assert_eq!(flat.shape(), &(12, 2));
        assert_eq!(device::read(&flat).as_ptr(), device::read(&x).as_ptr());
        assert_eq!((flat * 3.0).sum::<Rank0, _>().backward().get(&x).as_vec(), [3.0; 24]);
        let x: Tensor<_, f32, _> = dev.zeros_like(&(4, 3, 2));
        assert_eq!(flatten_series(x).unwrap().shape(), &(12, 2));
    }
}
