//! One training step: forward of all experts, the loss of their product, backward, clipping and update.
//!
//! Invariant: gradients reach every expert through the joint loss alone; a loss or gradient that is not finite ends
//! the run before any parameter changes.

use std::marker::PhantomData;

use dfdx::prelude::{
    Backward, Gradients, Merge, NoneTape, OwnedTape, PutTape, Rank0, SplitTape, Tensor, Trace, TryAdd, TryMul,
};

use super::Tensors;
use super::loss::{Loss, TargetTensors};
use super::tensors::TensorData;
use crate::models::{Experts, Inputs, ModelError};
use crate::ops::norm_relu_pool::Statistics;
use crate::ops::optimizer::{self, Hyperparameters, Optimizer, Rule, StepError, StepStats};
use crate::ops::product_of_experts::Labels;
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError};
use crate::random::Seeds;
use crate::study::{self, Training};

/// Experts and their optimiser.
pub struct Learner<E: Real, D: Backend<E>> {
    /// The experts.
    pub experts: Experts<E, D>,
    optimizer: Optimizer<E, D>,
    device: D,
    loss: Loss<E, D>,
    /// Where dropout of the current epoch is drawn from, and batches that went through the networks in it.
    noise: Option<(Seeds, usize)>,
    /// What the micro-batches of a batch have left so far.
    accumulated: Option<Accumulated<E, D>>,
}

/// Gradients of a part of a batch, and its share of the loss.
struct Accumulated<E: Real, D: Backend<E>> {
    gradients: Gradients<E, D>,
    loss: Tensor<Rank0, E, D>,
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
                study::Optimizer::AdamW => training.betas.map_or(Rule::ADAMW, |betas| Rule::AdamW { betas }),
            },
            learning_rate: training.learning_rate,
            weight_decay: training.weight_decay,
            clip_norm: training.clip_norm,
        };
        let parameters = experts.named_tensors().parameters;
        let optimizer =
            Optimizer::new(device, hyperparameters, parameters.iter().map(|(_, parameter)| &**parameter))?;
        let (device, loss) = (device.clone(), Loss::Classes(PhantomData));
        Ok(Learner { experts, optimizer, device, loss, noise: None, accumulated: None })
    }

    /// Minimises another loss from now on.
    pub fn minimise(&mut self, loss: Loss<E, D>) {
        self.loss = loss;
    }

    /// Begins an epoch: dropout and stochastic depth of its batches are drawn from below this node of the seed tree.
    pub fn begin_epoch(&mut self, seeds: Seeds) {
        self.noise = Some((seeds, 0));
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
        let loss = self.loss(inputs, targets)?;
        let value = loss.retaped::<NoneTape>();
        let gradients = loss.try_backward().map_err(OpError::device("backward")).map_err(ModelError::from)?;
        self.update(gradients, &value)
    }

    /// Adds the gradients of a part of a batch, which is `share` of it, to those of the parts before.
    ///
    /// # Errors
    /// When an expert cannot be run.
    pub fn accumulate(
        &mut self,
        inputs: &Inputs<E, D>,
        targets: &TargetTensors<E, D>,
        share: f64,
    ) -> Result<(), LearnError> {
        let failed = |error: D::Err| LearnError::from(ModelError::from(OpError::device("backward")(error)));
        let loss = self.loss(inputs, targets)?.try_mul(E::of(share)).map_err(failed)?;
        let value = loss.retaped::<NoneTape>();
        self.accumulated = Some(match self.accumulated.take() {
            None => Accumulated { gradients: loss.try_backward().map_err(failed)?, loss: value },
            Some(Accumulated { gradients, loss: before }) => {
                // Gradients of this part are added to those that the tape begins with.
                let (loss, tape) = loss.split_tape();
                let (_, earlier) = before.trace(gradients).split_tape();
                let gradients = loss.put_tape(tape.merge(earlier)).try_backward().map_err(failed)?;
                Accumulated { gradients, loss: before.try_add(value).map_err(failed)? }
            }
        });
        Ok(())
    }

    /// Takes the step of the parts that were accumulated.
    ///
    /// # Errors
    /// When the device failed.
    pub fn apply(&mut self) -> Result<(), LearnError> {
        match self.accumulated.take() {
            Some(Accumulated { gradients, loss }) => self.update(gradients, &loss),
            None => Ok(()),
        }
    }

    /// The loss of a batch, with its tape.
    fn loss(
        &mut self,
        inputs: &Inputs<E, D>,
        targets: &TargetTensors<E, D>,
    ) -> Result<Tensor<Rank0, E, D, OwnedTape<E, D>>, LearnError> {
        let noise = self.noise.as_mut().map(|(seeds, batches)| {
            *batches += 1;
            seeds.child(*batches)
        });
        let logits =
            self.experts.noisy_logits::<OwnedTape<E, D>>(inputs, Statistics::Batch, noise.as_ref())?;
        Ok(self.loss.of(logits, targets).map_err(ModelError::from)?)
    }

    fn update(
        &mut self,
        mut gradients: Gradients<E, D>,
        value: &Tensor<Rank0, E, D>,
    ) -> Result<(), LearnError> {
        let named_tensors = self.experts.named_tensors();
        let mut parameters: Vec<_> =
            named_tensors.parameters.into_iter().map(|(_, parameter)| parameter).collect();
        Ok(self.optimizer.step(&mut parameters, &mut gradients, value).map_err(ModelError::from)?)
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
