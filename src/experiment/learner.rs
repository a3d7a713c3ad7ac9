//! One training step: forward of all experts, the loss of their product, backward, clipping and update.
//!
//! Invariant: gradients reach every expert through the joint loss alone; a loss or gradient that is not finite ends
//! the run before any parameter changes.

use std::marker::PhantomData;

use dfdx::prelude::{Backward, NoneTape, OwnedTape};

use super::Tensors;
use super::loss::{Loss, TargetTensors};
use super::tensors::TensorData;
use crate::models::{Experts, Inputs, ModelError};
use crate::ops::norm_relu_pool::Statistics;
use crate::ops::optimizer::{self, Hyperparameters, Optimizer, Rule, StepError, StepStats};
use crate::ops::product_of_experts::Labels;
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError};
use crate::study::{self, Training};

/// Experts and their optimiser.
pub struct Learner<E: Real, D: Backend<E>> {
    /// The experts.
    pub experts: Experts<E, D>,
    optimizer: Optimizer<E, D>,
    device: D,
    loss: Loss<E, D>,
}

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// The loss or a gradient is NaN or infinite.
    #[error(transparent)]
    Step(#[from] StepError),
    /// An expert could not be run.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl<E: Real, D: Backend<E>> Learner<E, D> {
    /// A learner at its first step, of classes unless [`Learner::minimise`] says something else.
    pub fn new(device: &D, mut experts: Experts<E, D>, training: &Training) -> Result<Self, OpError> {
        let hyperparameters = Hyperparameters {
            rule: match training.optimizer {
                study::Optimizer::Sgd => Rule::Sgd,
                study::Optimizer::Rmsprop => Rule::Rmsprop,
                study::Optimizer::AdamW => Rule::AdamW,
            },
            learning_rate: training.learning_rate,
            weight_decay: training.weight_decay,
            clip_norm: training.clip_norm,
        };
        let parameters = experts.named_tensors().parameters;
        let optimizer =
            Optimizer::new(device, hyperparameters, parameters.iter().map(|(_, parameter)| &**parameter))?;
        Ok(Learner { experts, optimizer, device: device.clone(), loss: Loss::Classes(PhantomData) })
    }

    /// Minimises another loss from now on.
    pub fn minimise(&mut self, loss: Loss<E, D>) {
        self.loss = loss;
    }

    /// Learns from one batch; gives the loss before the update.
    ///
    /// # Errors
    /// When the loss or a gradient is not finite (then nothing has changed), or an expert cannot be run.
    pub fn step(&mut self, inputs: &Inputs<E, D>, labels: &[u32]) -> Result<f64, LearnError> {
        let labels = Labels::new(&self.device, labels).map_err(ModelError::from)?;
        self.send(inputs, &TargetTensors::Labels(labels))?;
        let stats = self.step_stats()?.pop().ok_or(StepError::Loss(f64::NAN))?;
        Ok(stats.check()?.loss)
    }

    /// Sends one step to the device: on the CPU it is then done, a GPU may still be at work. [`Learner::step_stats`] tells how it went.
    ///
    /// # Errors
    /// When an expert cannot be run.
    pub fn send(&mut self, inputs: &Inputs<E, D>, targets: &TargetTensors<E, D>) -> Result<(), LearnError> {
        let logits = self.experts.logits::<OwnedTape<E, D>>(inputs, Statistics::Batch)?;
        let loss = self.loss.of(logits, targets).map_err(ModelError::from)?;
        let value = loss.retaped::<NoneTape>();
        let mut gradients =
            loss.try_backward().map_err(OpError::device("backward")).map_err(ModelError::from)?;
        let named_tensors = self.experts.named_tensors();
        let mut parameters: Vec<_> =
            named_tensors.parameters.into_iter().map(|(_, parameter)| parameter).collect();
        Ok(self.optimizer.step(&mut parameters, &mut gradients, &value).map_err(ModelError::from)?)
    }

    /// Statistics of the steps since the last call, in order; waits for them.
    ///
    /// # Errors
    /// When the device failed.
    pub fn step_stats(&mut self) -> Result<Vec<StepStats>, LearnError> {
        Ok(self.optimizer.step_stats().map_err(ModelError::from)?)
    }

    /// The optimiser.
    pub fn optimizer(&mut self) -> &mut Optimizer<E, D> {
        &mut self.optimizer
    }
}

/// Where AdamW's mean of a parameter's gradients stands in a saved state; the mean of their squares, RMSprop's too, has the
/// parameter's own name.
fn mean_of(parameter: &str) -> String {
    format!("mean/{parameter}")
}

/// Where AdamW's number of steps stands in a saved state.
const STEPS: &str = "steps";

impl<D: Backend<f32>> Learner<f32, D> {
    /// The optimiser's state, by the names of the parameters.
    pub fn optimizer_state(&mut self) -> Tensors {
        let parameters = self.experts.named_tensors().parameters;
        let optimizer::OptimizerState { squares, means, steps } = self.optimizer.state();
        // Plain SGD has no state: then there is nothing to zip with.
        let squares = parameters.iter().zip(squares).map(|((name, parameter), values)| {
            (name.clone(), TensorData { dims: parameter.dims.clone(), values })
        });
        let means = parameters.iter().zip(means).map(|((name, parameter), values)| {
            (mean_of(name), TensorData { dims: parameter.dims.clone(), values })
        });
        let steps =
            steps.map(|steps| (STEPS.to_owned(), TensorData { dims: Vec::new(), values: vec![steps] }));
        Tensors(squares.chain(means).chain(steps).collect())
    }

    /// Continues from what [`Learner::optimizer_state`] gave.
    pub fn restore_optimizer(&mut self, state: &Tensors) -> Result<(), ModelError> {
        let parameters = self.experts.named_tensors().parameters;
        let find = |name: &str| state.0.get(name).map(|tensor| tensor.values.clone());
        let state = optimizer::OptimizerState {
            squares: parameters.iter().filter_map(|(name, _)| find(name)).collect(),
            means: parameters.iter().filter_map(|(name, _)| find(&mean_of(name))).collect(),
            steps: find(STEPS).and_then(|values| values.first().copied()),
        };
        Ok(self.optimizer.restore(&state)?)
    }
}
