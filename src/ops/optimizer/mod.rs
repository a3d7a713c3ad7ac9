//! Clipping by the global gradient norm, fused with the optimiser's update.
//!
//! Invariant: the norm is summed in the order of the parameters, over fixed blocks, in `f64`; frozen parameters are
//! neither counted nor touched; a step that meets a loss or a norm that is not finite changes nothing. What a step met is
//! left in a log, which a device that works ahead of the host keeps until it is asked.

use dfdx::prelude::*;

use super::simd::Real;
use super::{OpError, Parameter};
use crate::device::{self, Storage1};

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
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

/// A parameter that is trained, in one step.
pub struct Slot<'a, E: Real, D: Storage<E>> {
    /// Its value.
    pub value: &'a mut Tensor<(usize,), E, D>,
    /// RMSprop's running mean of squared gradients.
    pub square: Option<&'a mut Tensor<(usize,), E, D>>,
    /// Its gradient.
    pub gradient: Storage1<D, E>,
}

/// What a step met.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Met {
    /// The loss before the update.
    pub loss: f64,
    /// The norm of all gradients, before clipping.
    pub norm: f64,
}

/// The optimiser's kernels on a device.
pub trait Update<E: Real>: Storage<E> {
    /// What steps met, until it is asked for.
    type Log: 'static;

    /// An empty log.
    ///
    /// # Errors
    /// If the device has no room.
    fn log(&self) -> Result<Self::Log, Self::Err>;

    /// One step: clips and updates all parameters, unless the loss or the norm is not finite, and logs both.
    ///
    /// # Errors
    /// If the device fails.
    fn update(
        &self,
        settings: &Settings,
        slots: &mut [Slot<'_, E, Self>],
        loss: &Tensor<Rank0, E, Self>,
        log: &mut Self::Log,
    ) -> Result<(), Self::Err>;

    /// What the steps since the last call met, in order; waits for them.
    ///
    /// # Errors
    /// If the device fails.
    fn met(&self, log: &mut Self::Log) -> Result<Vec<Met>, Self::Err>;
}

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The loss is NaN or infinite.
    #[error("the loss is {0}: training has diverged; lower the learning rate or check the data")]
    Loss(f64),
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

impl Met {
    /// Whether the step was taken.
    ///
    /// # Errors
    /// [`StepError::Loss`] and [`StepError::NonFinite`].
    pub fn check(self) -> Result<Self, StepError> {
        match self {
            Met { loss, .. } if !loss.is_finite() => Err(StepError::Loss(loss)),
            Met { norm, .. } if !norm.is_finite() => Err(StepError::NonFinite { norm }),
            met => Ok(met),
        }
    }
}

/// An optimiser and its state.
pub struct Optimizer<E: Real, D: Device<E> + Update<E>> {
    settings: Settings,
    device: D,
    log: D::Log,
    /// RMSprop's running mean of squared gradients, per parameter; empty for SGD.
    squares: Vec<Tensor<(usize,), E, D>>,
}

impl<E: Real, D: Device<E> + Update<E>> Optimizer<E, D> {
    /// An optimiser for these parameters, which every call must name in the same order.
    ///
    /// # Errors
    /// When the device has no memory for the state.
    pub fn new<'a>(
        device: &D,
        settings: Settings,
        parameters: impl IntoIterator<Item = &'a Parameter<E, D>>,
    ) -> Result<Self, OpError>
    where
        D: 'a,
    {
        let log = device.log().map_err(OpError::device(OP))?;
        let squares = match settings.rule {
            Rule::Sgd => Vec::new(),
            Rule::Rmsprop => parameters
                .into_iter()
                .map(|parameter| zeros_like(&parameter.value).map_err(OpError::device(OP)))
                .collect::<Result<_, _>>()?,
        };
        Ok(Optimizer { settings, device: device.clone(), log, squares })
    }

    /// The hyper-parameters.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes one step, unless the loss or a gradient is not finite: [`Optimizer::met`] tells. A parameter that no gradient
    /// reached counts as having gradient zero.
    ///
    /// # Errors
    /// When the parameters are others than at the start, or the device fails.
    pub fn step(
        &mut self,
        parameters: &mut [&mut Parameter<E, D>],
        gradients: &mut Gradients<E, D>,
        loss: &Tensor<Rank0, E, D>,
    ) -> Result<(), OpError> {
        self.check(parameters)?;
        let mut squares = self.squares.iter_mut();
        let mut slots = Vec::with_capacity(parameters.len());
        for parameter in parameters.iter_mut() {
            let square = squares.next();
            if !parameter.needs_grad {
                continue;
            }
            let gradient = gradients.get_or_alloc_mut(&parameter.value).map_err(OpError::device(OP))?;
            let gradient = device::take::<E, D>(&self.device, gradient).map_err(OpError::device(OP))?;
            slots.push(Slot { value: &mut parameter.value, square, gradient });
        }
        let updated = self.device.update(&self.settings, &mut slots, loss, &mut self.log);
        let gradients_of: Vec<_> = slots.into_iter().map(|slot| slot.gradient).collect();
        let trained = parameters.iter().filter(|parameter| parameter.needs_grad);
        for (parameter, gradient) in trained.zip(gradients_of) {
            *gradients.get_or_alloc_mut(&parameter.value).map_err(OpError::device(OP))? = gradient;
        }
        updated.map_err(OpError::device(OP))
    }

    /// What the steps since the last call met, in order.
    ///
    /// # Errors
    /// If the device fails.
    pub fn met(&mut self) -> Result<Vec<Met>, OpError> {
        self.device.met(&mut self.log).map_err(OpError::device(OP))
    }

    /// The log.
    pub fn log(&mut self) -> &mut D::Log {
        &mut self.log
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
