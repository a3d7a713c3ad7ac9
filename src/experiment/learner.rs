//! One training step: forward of all experts, cross-entropy of their product, backward, clipping and update.
//!
//! Invariant: gradients reach every expert through the joint loss alone; a loss or gradient that is not finite ends
//! the run before any parameter changes.

use dfdx::prelude::{Backward, OwnedTape};

use super::Tensors;
use super::tensors::TensorData;
use crate::device::keep_freed_memory;
use crate::models::{Experts, Inputs, ModelError};
use crate::ops::norm_relu_pool::Statistics;
use crate::ops::optimizer::{Optimizer, Rule, Settings, StepError};
use crate::ops::product_of_experts::product_of_experts;
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError};
use crate::protocol::{self, Training};

/// Experts and their optimiser.
pub struct Learner<E: Real, D: Backend<E>> {
    /// The experts.
    pub experts: Experts<E, D>,
    optimizer: Optimizer<E, D>,
}

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// The loss is NaN or infinite.
    #[error("the loss is {0}: training has diverged; lower the learning rate or check the data")]
    Loss(f64),
    /// The gradients are.
    #[error(transparent)]
    Step(#[from] StepError),
    /// An expert could not be run.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl<E: Real, D: Backend<E>> Learner<E, D> {
    /// A learner at its first step.
    pub fn new(mut experts: Experts<E, D>, training: &Training) -> Result<Self, OpError> {
        let settings = Settings {
            rule: match training.optimizer {
                protocol::Optimizer::Sgd => Rule::Sgd,
                protocol::Optimizer::Rmsprop => Rule::Rmsprop,
            },
            learning_rate: training.learning_rate,
            weight_decay: training.weight_decay,
            clip_norm: training.clip_norm,
        };
        keep_freed_memory();
        let parameters = experts.slots().parameters;
        let optimizer = Optimizer::new(settings, parameters.iter().map(|(_, parameter)| &**parameter))?;
        Ok(Learner { experts, optimizer })
    }

    /// Learns from one batch; gives the loss before the update.
    pub fn step(&mut self, inputs: &Inputs<E, D>, labels: &[u8]) -> Result<f64, LearnError> {
        let logits = self.experts.logits::<OwnedTape<E, D>>(inputs, Statistics::Batch)?;
        let loss = product_of_experts(logits, labels).map_err(ModelError::from)?.loss;
        let value = loss.as_vec().first().map_or(f64::NAN, |&value| Real::to_f64(value));
        if !value.is_finite() {
            return Err(LearnError::Loss(value));
        }
        let mut gradients =
            loss.try_backward().map_err(OpError::device("backward")).map_err(ModelError::from)?;
        let slots = self.experts.slots();
        let mut parameters: Vec<_> = slots.parameters.into_iter().map(|(_, parameter)| parameter).collect();
        self.optimizer.step(&mut parameters, &mut gradients)?;
        Ok(value)
    }
}

impl<D: Backend<f32>> Learner<f32, D> {
    /// The optimiser's state, by the names of the parameters.
    pub fn optimizer_state(&mut self) -> Tensors {
        let parameters = self.experts.slots().parameters;
        let state = self.optimizer.state().into_iter();
        // Plain SGD has no state: then there is nothing to zip with.
        let named = parameters.iter().zip(state).map(|((name, parameter), values)| {
            (name.clone(), TensorData { dims: parameter.dims.clone(), values })
        });
        Tensors(named.collect())
    }

    /// Continues from what [`Learner::optimizer_state`] gave.
    pub fn restore_optimizer(&mut self, state: &Tensors) -> Result<(), ModelError> {
        let parameters = self.experts.slots().parameters;
        let in_order = parameters.iter().filter_map(|(name, _)| state.0.get(name));
        let in_order: Vec<Vec<f32>> = in_order.map(|tensor| tensor.values.clone()).collect();
        Ok(self.optimizer.restore(&in_order)?)
    }
}
