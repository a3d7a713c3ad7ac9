//! Why a run could not be trained.

use super::Job;
use super::checkpoint::CheckpointError;
use super::learner::LearnError;
use crate::data::Split;
use crate::models::ModelError;
use crate::ops::OpError;

/// Why a run could not be trained; no outcome exists then.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A step failed: a loss or gradient that is not finite, or an op.
    #[error("{run}: epoch {epoch}, step {step}, batch of {batch}: {source}")]
    Step {
        /// The run's experts and seed.
        run: String,
        /// Counted from 1.
        epoch: usize,
        /// Counted from 1 within the epoch.
        step: usize,
        /// Examples of a full batch.
        batch: usize,
        /// What happened.
        source: Box<LearnError>,
    },
    /// A split could not be evaluated: an op, or the device.
    #[error("{run}: evaluating the {split} split, batch of {batch}: {source}")]
    Evaluation {
        /// The run's experts and seed.
        run: String,
        /// The split.
        split: String,
        /// Examples of a full batch.
        batch: usize,
        /// What happened.
        source: Box<ModelError>,
    },
    /// No epoch had a validation metric above 0.
    #[error(
        "none of {epochs} epochs had a validation metric above 0, so there is no best checkpoint; check the labels"
    )]
    NeverImproved {
        /// Epochs trained.
        epochs: usize,
    },
    /// The recipe selects by a metric that the task does not have.
    #[error("the recipe selects by {metric}, which needs {needs}")]
    Select {
        /// The metric.
        metric: &'static str,
        /// What it is defined for.
        needs: &'static str,
    },
    /// The metric that is selected by is not defined for these labels.
    #[error("{metric} of the validation split is undefined: {why}; choose another split, or more examples")]
    Undefined {
        /// The metric.
        metric: &'static str,
        /// Why.
        why: &'static str,
    },
    /// The recipe cannot be trained.
    #[error("the recipe cannot be trained: {0}")]
    Recipe(String),
    /// The data does not fit the recipe.
    #[error("the data does not fit the recipe: {0}")]
    Data(String),
    /// Rows that could be read before cannot be read any more.
    #[error(
        "the data can no longer be read: {0}; the run is void, run the same command again once the files are back"
    )]
    Unreadable(String),
    /// The data has no noisy form.
    #[error("the recipe evaluates under noise, but the data has no peak to scale it by")]
    Noise,
    /// An upstream run is missing.
    #[error("expert `{expert}` starts from upstream run {run}, which was not given")]
    Upstream {
        /// The expert.
        expert: String,
        /// Index into the upstream list.
        run: usize,
    },
    /// The saved state cannot be used or made.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The state could not be saved: never ignored.
    #[error("the state after epoch {epoch} could not be saved: {source}")]
    Save {
        /// The epoch.
        epoch: usize,
        /// Why.
        source: std::io::Error,
    },
    /// The device that was asked for is not there.
    #[error("the device cannot be used: {0}")]
    Device(String),
    /// A network could not be built, filled or run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The optimiser could not be built.
    #[error(transparent)]
    Op(#[from] OpError),
}

/// Experts and seed of a job.
fn name(job: &Job<'_>) -> String {
    let experts: Vec<&str> = job.recipe.experts.iter().map(|spec| spec.name.as_str()).collect();
    format!("{} (seed {})", experts.join(" + "), job.seed)
}

impl TrainError {
    /// A step of a job that failed.
    pub(super) fn step(job: &Job<'_>, epoch: usize, step: usize, source: LearnError) -> Self {
        let batch = job.recipe.training.as_ref().map_or(0, |training| training.batch_size);
        TrainError::Step { run: name(job), epoch, step, batch, source: Box::new(source) }
    }

    /// A split of a job's data that could not be evaluated in batches of this size.
    pub(super) fn evaluation(job: &Job<'_>, split: Split, batch: usize, source: ModelError) -> Self {
        let split = job.data.name_of(split).to_owned();
        TrainError::Evaluation { run: name(job), split, batch, source: Box::new(source) }
    }
}
