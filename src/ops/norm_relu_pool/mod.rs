//! BatchNorm2d, ReLU and 2x2 max-pool with stride 2 in one op: what follows every convolution of a LeNet.
//!
//! Invariant: nothing between the convolution's output and the pooled map is stored; the backward pass works it out
//! again, by the same operations and so with the same ties. As in PyTorch, the first maximum in scan order wins,
//! the gradient of ReLU at 0 is 0, an odd last row or column takes part in the statistics but is not pooled.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, Maps, OpError, Parameter};

const OP: &str = "norm_relu_pool";
/// Added to the variance.
pub const EPSILON: f64 = 1e-5;
/// Weight of the newest batch in the running statistics.
pub const MOMENTUM: f64 = 0.1;

/// Which statistics normalise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// This batch's (biased variance), which also move the running ones: in training, and in the evaluation of
    /// deviation A2.
    Batch,
    /// The running ones: what `eval()` means.
    Running,
}

/// The running statistics of one BatchNorm.
#[derive(Clone, Debug)]
pub struct Running<E: Real, D: Storage<E>> {
    /// One mean per channel.
    pub mean: Tensor<(usize,), E, D>,
    /// One (unbiased) variance per channel.
    pub variance: Tensor<(usize,), E, D>,
}

impl<E: Real, D: TensorFromVec<E>> Running<E, D> {
    /// Mean 0 and variance 1, as before any training.
    ///
    /// # Errors
    /// [`OpError::Device`] if the device has no room.
    pub fn new(device: &D, channels: usize) -> Result<Self, OpError> {
        Self::from_values(device, vec![E::ZERO; channels], vec![<E as Real>::ONE; channels])
    }

    /// The given statistics.
    ///
    /// # Errors
    /// [`OpError::Shape`] if their numbers differ; [`OpError::Device`] if the device has no room.
    pub fn from_values(device: &D, mean: Vec<E>, variance: Vec<E>) -> Result<Self, OpError> {
        let channels = (mean.len(),);
        if variance.len() != mean.len() {
            return Err(OpError::shape(OP, format!("{} variances", mean.len()), variance.len().to_string()));
        }
        Ok(Running {
            mean: device.try_tensor_from_vec(mean, channels).map_err(OpError::device(OP))?,
            variance: device.try_tensor_from_vec(variance, channels).map_err(OpError::device(OP))?,
        })
    }
}

/// What normalises a batch, per channel: `saved[i * channels + c]`.
pub mod saved {
    /// The mean.
    pub const MEAN: usize = 0;
    /// `1 / sqrt(variance + epsilon)`.
    pub const INVERSE_DEVIATION: usize = 1;
    /// The factor: weight over deviation.
    pub const SCALE: usize = 2;
    /// The summand: bias minus mean times factor.
    pub const SHIFT: usize = 3;
    /// Number of values per channel.
    pub const COUNT: usize = 4;
}

/// The gradients that the op adds to; `None` for what is frozen.
pub struct NormGradients<'a, V> {
    /// Of the input.
    pub x: &'a mut V,
    /// Of the weight.
    pub weight: Option<&'a mut V>,
    /// Of the bias.
    pub bias: Option<&'a mut V>,
}

/// The kernels of [`norm_relu_pool`].
pub trait NormReluPool<E: Real>: Storage<E> {
    /// The per-channel values of [`saved`]; with [`Statistics::Batch`] also moves the running statistics.
    ///
    /// # Errors
    /// If the device fails.
    fn norm_statistics(
        &self,
        x: &Maps<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        bias: &Tensor<(usize,), E, Self>,
        running: &mut Running<E, Self>,
        statistics: Statistics,
    ) -> Result<Tensor<(usize,), E, Self>, Self::Err>;

    /// `max-pool(relu(x * scale + shift))`.
    ///
    /// # Errors
    /// If the device fails.
    fn norm_relu_pool(
        &self,
        x: &Maps<E, Self>,
        saved: &Tensor<(usize,), E, Self>,
    ) -> Result<Maps<E, Self>, Self::Err>;

    /// Adds to the gradients; `gradient` is that of the pooled output.
    ///
    /// # Errors
    /// If the device fails.
    fn norm_relu_pool_backward(
        &self,
        x: &Maps<E, Self>,
        saved: &Tensor<(usize,), E, Self>,
        statistics: Statistics,
        gradient: &Storage1<Self, E>,
        into: NormGradients<'_, Storage1<Self, E>>,
    ) -> Result<(), Self::Err>;
}

/// `(channels, height, width, batch)` to `(channels, height / 2, width / 2, batch)`, weight and bias `[channels]`.
///
/// # Errors
/// [`OpError::Shape`] if they do not fit or if there is nothing to pool; [`OpError::Device`] if the device fails.
pub fn norm_relu_pool<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Maps<E, D, T>,
    weight: &Parameter<E, D>,
    bias: &Parameter<E, D>,
    running: &mut Running<E, D>,
    statistics: Statistics,
) -> Result<Maps<E, D, T>, OpError> {
    let &(channels, height, width, batch) = x.shape();
    if height < 2 || width < 2 || batch == 0 {
        return Err(OpError::shape(OP, "maps of at least 2 x 2 and a batch", format!("{:?}", x.shape())));
    }
    let found = [weight.len(), bias.len(), running.mean.shape().0, running.variance.shape().0];
    if found != [channels; 4] {
        let expected = format!("{channels} weights, biases, running means and variances");
        return Err(OpError::shape(OP, expected, format!("{found:?}")));
    }
    let (x, mut tape) = x.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let dev = x.device().clone();
    let saved = dev
        .norm_statistics(&x, &weight.value, &bias.value, running, statistics)
        .map_err(OpError::device(OP))?;
    let out = dev.norm_relu_pool(&x, &saved).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let (needs_weight, needs_bias) = (weight.needs_grad, bias.needs_grad);
        let (weight, bias, ghost) = (weight.value.ghost(), bias.value.ghost(), out.ghost());
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            let mut x_gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&x)?)?;
            let mut weight_gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&weight)?)?;
            let mut bias_gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&bias)?)?;
            let into = NormGradients {
                x: &mut x_gradient,
                weight: needs_weight.then_some(&mut weight_gradient),
                bias: needs_bias.then_some(&mut bias_gradient),
            };
            dev.norm_relu_pool_backward(&x, &saved, statistics, &gradient, into)?;
            *grads.get_or_alloc_mut(&x)? = x_gradient;
            *grads.get_or_alloc_mut(&weight)? = weight_gradient;
            *grads.get_or_alloc_mut(&bias)? = bias_gradient;
            Ok(())
        });
    }
    Ok(out.put_tape(tape))
}
