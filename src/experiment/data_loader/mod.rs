//! Data loaders: how a device gets its batches, in training and in evaluation.
//!
//! Invariant: the order of epoch e depends on the seed and e alone; the last partial batch is kept; a step that fails is the
//! last one whose effects anybody sees.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod host;

pub(crate) use host::HostLoader;

use crate::data::{Dataset, Split};
use crate::experiment::learner::{LearnError, Learner};
use crate::models::{Inputs, ModelError};
use crate::ops::Backend;
use crate::ops::optimizer::StepStats;
use crate::random::Seeds;

/// The rows of an epoch, shuffled by the seed tree's node `shuffle/<epoch>`; epochs count from 1.
pub(crate) fn shuffled(seeds: &Seeds, epoch: usize, examples: usize) -> Vec<u32> {
    seeds.child("shuffle").child(epoch).stream().permutation(examples)
}

/// What an epoch trains on.
pub struct Epoch<'a> {
    /// The training rows, in their order.
    pub order: &'a [u32],
    /// Examples of a step.
    pub batch_size: usize,
    /// Examples that go through the networks at a time.
    pub micro_batch: usize,
    /// Where the augmentation of each sample is drawn from, by its row.
    pub augmentation: Seeds,
}

impl<'a> Epoch<'a> {
    /// An epoch of whole batches of samples as they are.
    pub fn plain(order: &'a [u32], batch_size: usize) -> Self {
        Epoch { order, batch_size, micro_batch: batch_size, augmentation: Seeds::root(0) }
    }
}

/// A step that was not taken.
pub struct StepFailed {
    /// Counted from 1.
    pub step: usize,
    /// Why.
    pub source: LearnError,
}

/// What is done with each batch of an evaluation.
pub(crate) type Work<'w, D> = &'w mut dyn FnMut(&Inputs<f32, D>) -> Result<(), ModelError>;

/// A device that networks are trained on.
pub trait TrainingDevice: Backend<f32> {
    /// Hands out the batches of a dataset: samples and targets of some rows, in the order asked for.
    type DataLoader<'a>;

    /// Examples evaluated at a time where that is ours to choose.
    const EVALUATION_BATCH: usize;

    /// A data loader of some modalities of a dataset, by their indices.
    ///
    /// # Errors
    /// When the device has no room.
    fn data_loader<'a>(
        &self,
        data: &'a dyn Dataset,
        modalities: &[usize],
    ) -> Result<Self::DataLoader<'a>, ModelError>;

    /// Sends every step as it is from now on; for comparisons, where steps are otherwise recorded.
    fn without_recording(_loader: &mut Self::DataLoader<'_>) {}

    /// Learns from the training rows of an epoch, batch by batch. `on_step` gets every step, in order, with its number of
    /// examples: on a GPU somewhat after it was taken.
    ///
    /// # Errors
    /// The first step that failed.
    fn train(
        loader: &mut Self::DataLoader<'_>,
        learner: &mut Learner<f32, Self>,
        epoch: &Epoch<'_>,
        on_step: &mut dyn FnMut(StepStats, usize),
    ) -> Result<(), StepFailed>;

    /// Hands out the rows of a split in order, batch by batch.
    ///
    /// # Errors
    /// When the device fails, and what `work` gives.
    fn evaluate(
        loader: &mut Self::DataLoader<'_>,
        split: Split,
        batch_size: usize,
        work: Work<'_, Self>,
    ) -> Result<(), ModelError>;
}
