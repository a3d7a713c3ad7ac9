//! The training loop, evaluation, checkpoints and early stopping.
//!
//! Invariant: an outcome depends on (recipe, data, seed, upstream weights) alone, bit for bit; a run that is
//! interrupted after any epoch and resumed from its state ends with the same bits.

use std::collections::BTreeMap;

use crate::data::Dataset;
use crate::models;
use crate::protocol::Recipe;

mod appraisal;
mod canary;
mod checkpoint;
mod error;
mod evaluate;
pub mod faults;
pub mod feed;
mod heads;
#[cfg(test)]
mod knee_tests;
mod learner;
mod measure;
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
    /// The upstream runs, in the order that `Init::Upstream` counts.
    pub upstream: Vec<Upstream>,
}

/// What a run takes from one that it stands on; empty where it does not need it ([`reads_logits`]).
#[derive(Default)]
pub struct Upstream {
    /// Weights and buffers of its best epoch.
    pub weights: Tensors,
    /// Test logits of its experts.
    pub logits: Vec<ExpertLogits>,
}

/// Whether a run of this recipe evaluates stored logits: nothing is trained, and the test samples are as they were.
pub fn reads_logits(recipe: &Recipe) -> bool {
    !recipe.trains() && recipe.evaluation.noise.is_none()
}

/// Whether a run of this recipe trains networks that need memory worth asking about.
pub fn is_large(recipe: &Recipe) -> bool {
    recipe.trains() && recipe.experts.iter().any(|spec| models::is_large(&spec.architecture))
}

/// Bytes that a run of this recipe needs for a training step on samples of these dimensions, of the networks large enough
/// to ask; 0 for a run that trains nothing.
pub fn step_bytes(recipe: &Recipe, dims: [&[usize]; 3]) -> u64 {
    if !recipe.trains() {
        return 0;
    }
    let (logits, batch) = (recipe.task.logits(), recipe.training.batch_size);
    let experts = recipe.experts.iter();
    experts.filter_map(|spec| models::step_bytes(&spec.architecture, dims, logits, batch)).sum()
}

/// What one epoch did.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EpochReport {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean training loss.
    pub train_loss: f64,
    /// Validation metrics by name: `accuracy`, `loss`, and `auprc` for two classes; with several heads `loss`, `auroc` and
    /// `auroc.<head>`.
    pub valid: BTreeMap<String, f64>,
    /// Whether this epoch's weights became the best.
    pub improved: bool,
}

/// Logits of one expert on the test split.
pub struct ExpertLogits {
    /// The expert's name.
    pub name: String,
    /// Row-major, examples x classes; examples x heads x classes where there are several heads.
    pub logits: Vec<f32>,
}

/// What a finished run leaves.
pub struct Outcome {
    /// Weights and BatchNorm buffers of the best epoch, by `<expert>.<path>`.
    pub weights: Tensors,
    /// Test logits of every expert, at the best epoch.
    pub logits: Vec<ExpertLogits>,
    /// Scalars of the best epoch by name: `test_accuracy` and `valid_accuracy` (percent), `test_loss`, `best_epoch`,
    /// `label_entropy`, `entropy.<expert>` (nats, mean over test examples), `test_auprc` for two classes. With several
    /// heads, in percent: `test_auroc`, `test_auroc.<head>`, `test_balanced_accuracy.<head>`, and `threshold.<head>`; a
    /// head with one class only has none of them.
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
