//! Clipping by the global gradient norm, fused with the optimiser's update.
//!
//! Invariant: the norm is summed in the order of the parameters, over fixed blocks, in `f64`; frozen parameters are
//! neither counted nor touched; a step that meets a norm that is not finite changes nothing.

use dfdx::prelude::*;

use super::simd::Real;
use super::{OpError, Parameter};
use crate::device::Storage1;

mod cpu;
#[cfg(test)]
mod tests;

const OP: &str = "optimizer";

/// How a parameter p follows its gradient g, which clipping has scaled already.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// g + wd p; p - lr g.
    Sgd,
    /// PyTorch's: g + wd p; v = 0.99 v + 0.01 g^2; p - lr g / (sqrt v + 1e-8), with v = 0 at first.
    Rmsprop,
}

/// Hyper-parameters of an optimiser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The update.
    pub rule: Rule,
    /// Learning rate.
    pub learning_rate: f64,
    /// L2 weight decay, on every parameter.
    pub weight_decay: f64,
    /// Gradients are scaled by min(1, clip / (norm + 1e-6)), where norm is over all trainable parameters.
    pub clip_norm: f64,
}

/// What one update of one tensor needs.
#[derive(Clone, Copy, Debug)]
pub struct Scales<E> {
    /// Factor of the gradient.
    pub clip: E,
    /// Learning rate.
    pub learning_rate: E,
    /// L2 weight decay.
    pub weight_decay: E,
}

/// The optimiser's kernels on a device.
pub trait Update<E: Real>: Storage<E> {
    /// Sum of squares, over fixed blocks in order.
    fn sum_of_squares(&self, gradient: &Storage1<Self, E>) -> Result<f64, Self::Err>;

    /// One step of SGD.
    fn sgd(
        &self,
        value: &mut Tensor<(usize,), E, Self>,
        gradient: &Storage1<Self, E>,
        scales: Scales<E>,
    ) -> Result<(), Self::Err>;

    /// One step of RMSprop; `square` is the running mean of squared gradients.
    fn rmsprop(
        &self,
        value: &mut Tensor<(usize,), E, Self>,
        square: &mut Tensor<(usize,), E, Self>,
        gradient: &Storage1<Self, E>,
        scales: Scales<E>,
    ) -> Result<(), Self::Err>;
}

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The gradients hold NaN or infinity, or are too large to be squared.
    #[error(
        "the global gradient norm is {norm}: training has diverged; lower the learning rate or check the data"
    )]
    NonFinite {
        /// The norm.
        norm: f64,
    },
    /// The list of parameters is not the one that the optimiser was made for.
    #[error(transparent)]
    Op(#[from] OpError),
}

/// An optimiser and its state.
pub struct Optimizer<E: Real, D: Device<E>> {
    settings: Settings,
    /// RMSprop's running mean of squared gradients, per parameter; empty for SGD.
    squares: Vec<Tensor<(usize,), E, D>>,
}

impl<E: Real, D: Device<E> + Update<E>> Optimizer<E, D> {
    /// An optimiser for these parameters, which every call must name in the same order.
    ///
    /// # Errors
    /// When the device has no memory for the state.
    pub fn new<'a>(
        settings: Settings,
        parameters: impl IntoIterator<Item = &'a Parameter<E, D>>,
    ) -> Result<Self, OpError>
    where
        D: 'a,
    {
        let squares = match settings.rule {
            Rule::Sgd => Vec::new(),
            Rule::Rmsprop => parameters
                .into_iter()
                .map(|parameter| zeros_like(&parameter.value).map_err(OpError::device(OP)))
                .collect::<Result<_, _>>()?,
        };
        Ok(Optimizer { settings, squares })
    }

    /// The hyper-parameters.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes one step, and returns the norm of the gradients before clipping. A parameter that no gradient reached
    /// counts as having gradient zero.
    ///
    /// # Errors
    /// [`StepError::NonFinite`], with no parameter changed; or when the parameters are others than at the start.
    pub fn step(
        &mut self,
        parameters: &mut [&mut Parameter<E, D>],
        gradients: &mut Gradients<E, D>,
    ) -> Result<f64, StepError> {
        self.check(parameters)?;
        let mut total = 0.0;
        for parameter in parameters.iter().filter(|parameter| parameter.needs_grad) {
            let gradient = gradients.get_or_alloc_mut(&parameter.value).map_err(OpError::device(OP))?;
            total += parameter.value.device().sum_of_squares(gradient).map_err(OpError::device(OP))?;
        }
        let norm = libm::sqrt(total);
        if !norm.is_finite() {
            return Err(StepError::NonFinite { norm });
        }
        let scales = Scales {
            clip: E::of((self.settings.clip_norm / (norm + 1e-6)).min(1.0)),
            learning_rate: E::of(self.settings.learning_rate),
            weight_decay: E::of(self.settings.weight_decay),
        };
        for (index, parameter) in parameters.iter_mut().enumerate() {
            if !parameter.needs_grad {
                continue;
            }
            let gradient = gradients.get_or_alloc_mut(&parameter.value).map_err(OpError::device(OP))?;
            let device = parameter.value.device().clone();
            match self.settings.rule {
                Rule::Sgd => device.sgd(&mut parameter.value, gradient, scales),
                Rule::Rmsprop => {
                    device.rmsprop(&mut parameter.value, &mut self.squares[index], gradient, scales)
                }
            }
            .map_err(OpError::device(OP))?;
        }
        Ok(norm)
    }

    /// The state of each parameter, in their order: nothing for SGD.
    pub fn state(&self) -> Vec<Vec<E>> {
        self.squares.iter().map(Tensor::as_vec).collect()
    }

    /// Continues from what [`Optimizer::state`] gave.
    ///
    /// # Errors
    /// When the state is not of these parameters.
    pub fn restore(&mut self, state: &[Vec<E>]) -> Result<(), OpError> {
        let lengths = |lens: &mut dyn Iterator<Item = usize>| lens.collect::<Vec<_>>();
        let expected = lengths(&mut self.squares.iter().map(|square| square.shape().num_elements()));
        let found = lengths(&mut state.iter().map(Vec::len));
        if expected != found {
            return Err(OpError::shape(OP, format!("{expected:?}"), format!("{found:?}")));
        }
        for (square, values) in self.squares.iter_mut().zip(state) {
            square.copy_from(values);
        }
        Ok(())
    }

    fn check(&self, parameters: &[&mut Parameter<E, D>]) -> Result<(), OpError> {
        let known = self.settings.rule == Rule::Sgd
            || self.squares.len() == parameters.len()
                && self.squares.iter().zip(parameters).all(|(s, p)| s.shape() == p.value.shape());
        if known {
            return Ok(());
        }
        let found = format!("{} others", parameters.len());
        Err(OpError::shape(OP, format!("its {} parameters", self.squares.len()), found))
    }
}

/// A tensor of zeros beside another.
fn zeros_like<E: Real, D: Device<E>>(
    tensor: &Tensor<(usize,), E, D>,
) -> Result<Tensor<(usize,), E, D>, D::Err> {
    tensor.device().try_zeros_like(tensor.shape())
}
