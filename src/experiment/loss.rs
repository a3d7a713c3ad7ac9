//! The loss of a task: what the product of experts is compared with, batch by batch.
//!
//! Invariant: the loss follows from the task's target alone; it is the one place in training that asks for its kind.

use std::marker::PhantomData;

use dfdx::prelude::{Rank0, Tape, Tensor};

use crate::data::{Target, Targets, Task};
use crate::ops::product_of_experts::{Heads, Labels, product_of_heads, product_of_labelled, product_of_soft};
use crate::ops::simd::Real;
use crate::ops::{Backend, Features, OpError};

/// How a batch's logits become a loss.
pub enum Loss<E: Real, D: Backend<E>> {
    /// Cross-entropy.
    Classes(PhantomData<(E, D)>),
    /// Weighted cross-entropy of each question, added up.
    Binary(Heads<E, D>),
    /// Binary cross-entropy with soft scores, added up over the classes.
    Soft,
}

/// What a batch's logits are compared with, on a device.
pub enum TargetTensors<E: Real, D: Backend<E>> {
    /// A label each.
    Labels(Labels<E, D>),
    /// Scores, classes x batch.
    Soft(Features<E, D>),
}

impl<E: Real, D: Backend<E>> Loss<E, D> {
    /// That of a task; `weights` are those of the classes of each question, all 1 without.
    ///
    /// # Errors
    /// Weights that do not fit the questions, or a device without room.
    pub fn new(device: &D, task: &Task, weights: Option<&[f64]>) -> Result<Self, OpError> {
        Ok(match &task.target {
            Target::Classes { .. } => Loss::Classes(PhantomData),
            Target::Soft { .. } => Loss::Soft,
            Target::Binary { questions } => {
                let even = vec![1.0; 2 * questions.len()];
                Loss::Binary(Heads::new(device, questions.len(), 2, weights.unwrap_or(&even))?)
            }
        })
    }

    /// The loss of a batch, on the tape of the logits of every expert (classes x batch, head by head).
    ///
    /// # Errors
    /// Targets of another kind than the task's, or that do not fit the logits.
    pub fn of<T: Tape<E, D>>(
        &self,
        logits: Vec<Features<E, D, T>>,
        targets: &TargetTensors<E, D>,
    ) -> Result<Tensor<Rank0, E, D, T>, OpError> {
        match (self, targets) {
            (Loss::Classes(_), TargetTensors::Labels(labels)) => {
                Ok(product_of_labelled(logits, labels)?.loss)
            }
            (Loss::Binary(heads), TargetTensors::Labels(labels)) => {
                Ok(product_of_heads(logits, labels, heads)?.loss)
            }
            (Loss::Soft, TargetTensors::Soft(scores)) => Ok(product_of_soft(logits, scores)?.loss),
            (Loss::Soft, TargetTensors::Labels(_)) => Err(OpError::shape("loss", "soft scores", "labels")),
            (_, TargetTensors::Soft(_)) => Err(OpError::shape("loss", "labels", "soft scores")),
        }
    }
}

impl<E: Real, D: Backend<E>> TargetTensors<E, D> {
    /// Takes the targets of a batch to a device.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn new(device: &D, targets: Targets<'_>) -> Result<Self, OpError> {
        match targets {
            Targets::Labels(labels) => Ok(TargetTensors::Labels(Labels::new(device, labels)?)),
            Targets::Soft { scores, classes } => {
                let examples = targets.len();
                let innermost = (0..classes * examples)
                    .map(|i| E::of(f64::from(scores[i % examples * classes + i / examples])));
                let values = device.try_tensor_from_vec(innermost.collect(), (classes, examples));
                Ok(TargetTensors::Soft(values.map_err(OpError::device("soft scores"))?))
            }
        }
    }
}
