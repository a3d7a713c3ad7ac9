//! The training loop, evaluation, checkpoints and early stopping.
//!
//! Invariant: an outcome depends on (recipe, data, seed, upstream weights) alone, bit for bit; a run that is
//! interrupted after any epoch and resumed from its state ends with the same bits.

use std::collections::BTreeMap;

use crate::data::Dataset;
use crate::protocol::Recipe;

mod canary;
mod checkpoint;
mod error;
mod evaluate;
pub mod feed;
mod learner;
mod metrics;
mod noise;
pub mod ranking;
pub mod rehearsal;
mod selection;
pub mod tensors;
#[cfg(test)]
mod tests;
mod train;
mod weights;

pub use canary::{numerics_digest, repeats};
pub use checkpoint::CheckpointError;
pub use error::TrainError;
pub use learner::{LearnError, Learner};
pub use tensors::Tensors;
pub use train::train;

/// What a run trains on.
pub struct Job<'a> {
    /// The resolved configuration.
    pub recipe: &'a Recipe,
    /// The prepared data, with the labels of the recipe's task.
    pub data: &'a dyn Dataset,
    /// Root of the run's seed tree.
    pub seed: u64,
    /// Weights of the upstream runs, in the order that `Init::Upstream` counts.
    pub upstream: Vec<Tensors>,
}

/// What one epoch did.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EpochReport {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean training loss.
    pub train_loss: f64,
    /// Validation metrics by name: `accuracy`, `loss`, and `auprc` for two classes.
    pub valid: BTreeMap<String, f64>,
    /// Whether this epoch's weights became the best.
    pub improved: bool,
}

/// Logits of one expert on the test split.
pub struct ExpertLogits {
    /// The expert's name.
    pub name: String,
    /// Row-major, examples x classes.
    pub logits: Vec<f32>,
}

/// What a finished run leaves.
pub struct Outcome {
    /// Weights and BatchNorm buffers of the best epoch, by `<expert>.<path>`.
    pub weights: Tensors,
    /// Test logits of every expert, at the best epoch.
    pub logits: Vec<ExpertLogits>,
    /// Scalars of the best epoch by name: `test_accuracy` and `valid_accuracy` (percent), `test_loss`, `best_epoch`,
    /// `label_entropy`, `entropy.<expert>` (nats, mean over test examples), `test_auprc` for two classes.
    pub metrics: BTreeMap<String, f64>,
    /// One report per epoch.
    pub epochs: Vec<EpochReport>,
}

/// Told about progress; persists resumable state.
pub trait Observer {
    /// Called before training with steps per epoch and epochs (after a resume: the epoch it continues with).
    fn start(&mut self, _steps_per_epoch: usize, _epochs: usize, _next_epoch: usize) {}

    /// Called after every training step.
    fn step(&mut self) {}

    /// Called after every epoch, with everything needed to continue from here.
    fn epoch(&mut self, report: &EpochReport, state: &[u8]) -> Result<(), std::io::Error>;
}
