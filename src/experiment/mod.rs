//! The training loop, evaluation, checkpoints and early stopping.
//!
//! Invariant: an outcome depends on (recipe, data, seed, upstream weights) alone, bit for bit; a run that is
//! interrupted after any epoch and resumed from its state ends with the same bits.

use crate::data::{Dataset, Modality, Pretrained};
use crate::metric::Metrics;
use crate::models;
use crate::study::Recipe;

mod canary;
mod checkpoint;
pub(crate) mod data_loader;
mod error;
mod evaluate;
#[cfg(feature = "cuda")]
pub(crate) mod examine;
pub(crate) mod faults;
mod features;
#[cfg(test)]
mod fiber_tests;
mod heads;
#[cfg(test)]
mod knee_tests;
mod learner;
mod loss;
mod measure;
mod metrics;
mod networks;
mod noise;
mod pretrained;
pub(crate) mod ranking;
mod reevaluate;
mod rescue;
mod selection;
#[cfg(test)]
mod soft_tests;
pub(crate) mod tensors;
#[cfg(test)]
mod tests;
mod train;
mod weights;
pub mod workload;

pub use canary::{Canaries, Canary, canaries};
pub use checkpoint::CheckpointError;
pub use error::TrainError;
pub use learner::{LearnError, Learner};
pub use loss::{Loss, TargetTensors};
pub use measure::outcomes;
pub use pretrained::fixture_weights;
pub use tensors::Tensors;
pub use train::train;

/// What a run trains on.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The resolved configuration.
    pub recipe: &'a Recipe,
    /// The prepared data, with the labels of the recipe's task.
    pub data: &'a dyn Dataset,
    /// Root of the run's seed tree.
    pub seed: u64,
    /// The upstream runs, in the order that `Init::Upstream` counts.
    pub upstream: &'a [Upstream],
    /// The pretrained weights that the recipe names.
    pub pretrained: Option<&'a Pretrained>,
}

/// What a run takes from one that it stands on; empty where it does not need it ([`Recipe::reads_logits`]).
#[derive(Default)]
pub struct Upstream {
    /// Weights and buffers of its best epoch.
    pub weights: Tensors,
    /// Logits of its experts on every test split.
    pub logits: Vec<ExpertLogits>,
}

/// Whether a run of this recipe trains networks that need memory worth asking about.
pub fn is_large(recipe: &Recipe) -> bool {
    recipe.trains() && recipe.experts.iter().any(|spec| models::is_large(&spec.network))
}

/// Bytes that a run of this recipe needs for a training step on samples of these modalities, of the networks large enough
/// to ask; 0 for a run that trains nothing.
pub fn step_bytes(recipe: &Recipe, modalities: &[Modality]) -> u64 {
    let Some(training) = &recipe.training else { return 0 };
    let (logits, batch) = (recipe.task.logits(), training.batch_size);
    let experts = recipe.experts.iter();
    experts.filter_map(|spec| models::step_bytes(&spec.network, modalities, logits, batch)).sum()
}

/// What one epoch did.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EpochReport {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean training loss.
    pub train_loss: f64,
    /// Validation metrics, without a split in their names: loss, and for classes accuracy, for two of them AUPRC; for questions
    /// the AUROC of each and their mean; for soft scores their mean.
    pub valid: Metrics,
    /// Whether this epoch's weights became the best.
    pub improved: bool,
}

/// Logits of one expert on one test split.
pub struct ExpertLogits {
    /// The split's name.
    pub split: String,
    /// The expert's name.
    pub name: String,
    /// Row-major, examples x classes; examples x heads x classes where there are several heads.
    pub logits: Vec<f32>,
}

/// What a finished run leaves.
pub struct RunOutput {
    /// Weights and BatchNorm buffers of the best epoch, by `<expert>.<path>`.
    pub weights: Tensors,
    /// Logits of every expert on every test split, at the best epoch: split by split, expert by expert.
    pub logits: Vec<ExpertLogits>,
    /// Scalars of the best epoch. For every test split: loss, label entropy, the entropy of each expert (mean over its
    /// examples); of classes accuracy, and of two of them AUPRC; of questions AUROC, balanced accuracy and its threshold, but
    /// for a question with one answer only; of soft scores their mean. Beside them the best epoch, and its validation
    /// accuracy where there is one.
    pub metrics: Metrics,
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
