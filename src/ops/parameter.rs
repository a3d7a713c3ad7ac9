//! Trained values: rank-1 tensors with logical dimensions, so that optimisers and checkpoints treat all alike.
//!
//! Invariant: the number of values is the product of the dimensions.

use dfdx::prelude::*;

use crate::ops::OpError;
use crate::ops::simd::Real;

/// A trained (or frozen) array of values, row-major in its logical dimensions.
#[derive(Clone, Debug)]
pub struct Parameter<E: Real, D: Storage<E>> {
    /// Logical dimensions, as in PyTorch: `[out, in, k, k]` for a convolution, `[out, in]` for a linear layer.
    pub dims: Vec<usize>,
    /// The values.
    pub value: Tensor<(usize,), E, D>,
    /// Whether ops compute its gradient; `false` for a frozen parameter.
    pub needs_grad: bool,
}

impl<E: Real, D: TensorFromVec<E>> Parameter<E, D> {
    /// A trained parameter with the given values.
    ///
    /// # Errors
    /// [`OpError`] if the number of values is not the product of `dims`, or if the device has no room.
    pub fn new(device: &D, dims: &[usize], values: Vec<E>) -> Result<Self, OpError> {
        let count: usize = dims.iter().product();
        if values.len() != count {
            return Err(OpError::shape(
                "parameter",
                format!("{count} values for {dims:?}"),
                values.len().to_string(),
            ));
        }
        let value = device.try_tensor_from_vec(values, (count,)).map_err(OpError::device("parameter"))?;
        Ok(Parameter { dims: dims.to_vec(), value, needs_grad: true })
    }
}

impl<E: Real, D: Storage<E>> Parameter<E, D> {
    /// The same parameter, no longer trained.
    #[must_use]
    pub fn frozen(self) -> Self {
        Parameter { needs_grad: false, ..self }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.value.shape().0
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the values.
    pub fn values(&self) -> Vec<E> {
        self.value.as_vec()
    }
}
