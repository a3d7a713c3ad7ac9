//! The global gradient norm, clipping by it where that is asked for, and the optimiser's update.
//!
//! Invariant: the norm is summed in the order of the parameters, over fixed blocks, in `f64`; frozen parameters are
//! neither counted nor touched; a step whose loss or norm is not finite changes nothing. The statistics of a step are
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

/// How a parameter p follows its gradient g, which clipping has scaled already where there is any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// g + wd p; p - lr g.
    Sgd,
    /// PyTorch's: g + wd p; v = 0.99 v + 0.01 g^2; p - lr g / (sqrt v + 1e-8), with v = 0 at first.
    Rmsprop,
    /// PyTorch's, with its default epsilon: (1 - lr wd) p; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
    /// p - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + 1e-8) at step t = 1, 2, ..., with m = v = 0 at first.
    AdamW {
        /// b1 and b2: the shares of the old means of gradients and of their squares.
        betas: [f64; 2],
    },
}

impl Rule {
    /// AdamW with PyTorch's default betas.
    pub const ADAMW: Rule = Rule::AdamW { betas: [0.9, 0.999] };

    /// The betas of [`Rule::AdamW`].
    fn betas(self) -> Option<[f64; 2]> {
        match self {
            Rule::AdamW { betas } => Some(betas),
            Rule::Sgd | Rule::Rmsprop => None,
        }
    }
}

/// What [`Rule::AdamW`] multiplies with at step `t`: the mean of gradients by the first, the root of the mean of squares by
/// the second. Both correct for the zeros that the means began with.
fn bias_corrections(learning_rate: f64, betas: [f64; 2], t: f64) -> [f64; 2] {
    let [first, second] = betas.map(|beta| 1.0 - libm::pow(beta, t));
    [learning_rate / first, 1.0 / libm::sqrt(second)]
}

/// Hyper-parameters of an optimiser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyperparameters {
    /// The update.
    pub rule: Rule,
    /// Learning rate.
    pub learning_rate: f64,
    /// Weight decay, on every parameter: L2, but decoupled from the gradient for [`Rule::AdamW`].
    pub weight_decay: f64,
    /// Gradients are scaled by min(1, clip / (norm + 1e-6)), where norm is over all trainable parameters. Without it they
    /// stay as they are.
    pub clip_norm: Option<f64>,
}

/// A parameter that is trained, in one step.
pub struct Slot<'a, E: Real, D: Storage<E>> {
    /// Its value.
    pub value: &'a mut Tensor<(usize,), E, D>,
    /// RMSprop's and AdamW's running mean of squared gradients.
    pub square: Option<&'a mut Tensor<(usize,), E, D>>,
    /// AdamW's running mean of gradients.
    pub mean: Option<&'a mut Tensor<(usize,), E, D>>,
    /// Its gradient.
    pub gradient: Storage1<D, E>,
}

/// Statistics of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepStats {
    /// The loss before the update.
    pub loss: f64,
    /// The norm of all gradients, before clipping.
    pub norm: f64,
}

/// The optimiser's kernels on a device.
pub trait Update<E: Real>: Storage<E> {
    /// The statistics of steps, until they are asked for.
    type Log: 'static;

    /// An empty log.
    ///
    /// # Errors
    /// If the device has no room.
    fn log(&self) -> Result<Self::Log, Self::Err>;

    /// One step: clips and updates all parameters and counts the step, unless the loss or the norm is not finite, and logs
    /// both. `steps` is the number of steps before this one, where the rule needs it.
    ///
    /// # Errors
    /// If the device fails.
    fn update(
        &self,
        hyperparameters: &Hyperparameters,
        slots: &mut [Slot<'_, E, Self>],
        steps: Option<&mut Tensor<(usize,), E, Self>>,
        loss: &Tensor<Rank0, E, Self>,
        log: &mut Self::Log,
    ) -> Result<(), Self::Err>;

    /// Statistics of the steps since the last call, in order; waits for them.
    ///
    /// # Errors
    /// If the device fails.
    fn step_stats(&self, log: &mut Self::Log) -> Result<Vec<StepStats>, Self::Err>;
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

impl StepStats {
    /// Whether the step was taken.
    ///
    /// # Errors
    /// [`StepError::Loss`] and [`StepError::NonFinite`].
    pub fn check(self) -> Result<Self, StepError> {
        match self {
            StepStats { loss, .. } if !loss.is_finite() => Err(StepError::Loss(loss)),
            StepStats { norm, .. } if !norm.is_finite() => Err(StepError::NonFinite { norm }),
            stats => Ok(stats),
        }
    }
}

/// An optimiser and its state.
pub struct Optimizer<E: Real, D: Device<E> + Update<E>> {
    hyperparameters: Hyperparameters,
    device: D,
    log: D::Log,
    /// The running mean of squared gradients, per parameter; empty for SGD.
    squares: Vec<Tensor<(usize,), E, D>>,
    /// AdamW's running mean of gradients, per parameter; empty for the others.
    means: Vec<Tensor<(usize,), E, D>>,
    /// AdamW's number of steps, one value: a number on the device, which may be ahead of the host. Exact below 2^24.
    steps: Option<Tensor<(usize,), E, D>>,
}

/// What an optimiser must know to go on, in the order of its parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimizerState<E> {
    /// RMSprop's and AdamW's running means of squared gradients; none for SGD.
    pub squares: Vec<Vec<E>>,
    /// AdamW's running means of gradients; none for the others.
    pub means: Vec<Vec<E>>,
    /// AdamW's number of steps.
    pub steps: Option<E>,
}

impl<E: Real, D: Device<E> + Update<E>> Optimizer<E, D> {
    /// An optimiser for these parameters, which every call must name in the same order.
    ///
    /// # Errors
    /// When the device has no memory for the state.
    pub fn new<'a>(
        device: &D,
        hyperparameters: Hyperparameters,
        parameters: impl IntoIterator<Item = &'a Parameter<E, D>>,
    ) -> Result<Self, OpError>
    where
        D: 'a,
    {
        let log = device.log().map_err(OpError::device(OP))?;
        let (mut squares, mut means, mut steps) = (Vec::new(), Vec::new(), None);
        for parameter in parameters {
            let zeros = || zeros_like(&parameter.value).map_err(OpError::device(OP));
            if hyperparameters.rule != Rule::Sgd {
                squares.push(zeros()?);
            }
            if hyperparameters.rule.betas().is_some() {
                means.push(zeros()?);
            }
        }
        if hyperparameters.rule.betas().is_some() {
            steps = Some(device.try_zeros_like(&(1,)).map_err(OpError::device(OP))?);
        }
        Ok(Optimizer { hyperparameters, device: device.clone(), log, squares, means, steps })
    }

    /// Takes one step, unless the loss or a gradient is not finite: [`Optimizer::step_stats`] tells. A parameter that no
    /// gradient reached counts as having gradient zero.
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
        let (mut squares, mut means) = (self.squares.iter_mut(), self.means.iter_mut());
        let mut slots = Vec::with_capacity(parameters.len());
        for parameter in parameters.iter_mut() {
            let (square, mean) = (squares.next(), means.next());
            if !parameter.needs_grad {
                continue;
            }
            let gradient = gradients.get_or_alloc_mut(&parameter.value).map_err(OpError::device(OP))?;
            let gradient = device::take::<E, D>(&self.device, gradient).map_err(OpError::device(OP))?;
            slots.push(Slot { value: &mut parameter.value, square, mean, gradient });
        }
        let steps = self.steps.as_mut();
        let updated = self.device.update(&self.hyperparameters, &mut slots, steps, loss, &mut self.log);
        let gradients_of: Vec<_> = slots.into_iter().map(|slot| slot.gradient).collect();
        let trained = parameters.iter().filter(|parameter| parameter.needs_grad);
        for (parameter, gradient) in trained.zip(gradients_of) {
            *gradients.get_or_alloc_mut(&parameter.value).map_err(OpError::device(OP))? = gradient;
        }
        updated.map_err(OpError::device(OP))
    }

    /// Statistics of the steps since the last call, in order.
    ///
    /// # Errors
    /// If the device fails.
    pub fn step_stats(&mut self) -> Result<Vec<StepStats>, OpError> {
        self.device.step_stats(&mut self.log).map_err(OpError::device(OP))
    }

    /// The log.
    pub fn log(&mut self) -> &mut D::Log {
        &mut self.log
    }

    /// The state: nothing for SGD.
    pub fn state(&self) -> OptimizerState<E> {
        OptimizerState {
            squares: self.squares.iter().map(Tensor::as_vec).collect(),
            means: self.means.iter().map(Tensor::as_vec).collect(),
            steps: self.steps.as_ref().and_then(|steps| steps.as_vec().first().copied()),
        }
    }

    /// Continues from what [`Optimizer::state`] gave.
    ///
    /// # Errors
    /// When the state is not of these parameters.
    pub fn restore(&mut self, state: &OptimizerState<E>) -> Result<(), OpError> {
        let steps = Vec::from_iter(state.steps);
        let own = self.squares.iter_mut().chain(&mut self.means).chain(&mut self.steps);
        let given = state.squares.iter().chain(&state.means).chain((!steps.is_empty()).then_some(&steps));
        let (mut own, given): (Vec<_>, Vec<_>) = (own.collect(), given.collect());
        let expected: Vec<usize> = own.iter().map(|tensor| tensor.shape().0).collect();
        let found: Vec<usize> = given.iter().map(|values| values.len()).collect();
        if expected != found {
            return Err(OpError::shape(OP, format!("{expected:?}"), format!("{found:?}")));
        }
        for (tensor, values) in own.iter_mut().zip(given) {
            tensor.copy_from(values);
        }
        Ok(())
    }

    fn check(&self, parameters: &[&mut Parameter<E, D>]) -> Result<(), OpError> {
        let known = self.hyperparameters.rule == Rule::Sgd
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
