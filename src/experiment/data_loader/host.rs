//! Batches that are gathered in host memory, ahead of the networks, into buffers that are used again. The CPU's data loader; and
//! that of every device for images and texts.
//!
//! Invariant: gathering ahead changes when work is done, never what comes out. A sample's augmentation depends on the seed, the
//! epoch and its row alone.

use rayon::prelude::*;

use super::{Epoch, StepFailed, Work};
use crate::data::{Dataset, Kind, Split, Targets, gather_rows};
use crate::experiment::learner::{LearnError, Learner};
use crate::experiment::loss::TargetTensors;
use crate::models::{Inputs, ModelError};
use crate::ops::optimizer::StepStats;
use crate::ops::product_of_experts::Labels;
use crate::ops::{Backend, Features, OpError};
use crate::random::Seeds;

/// Samples and targets of one batch, or of a part of one.
#[derive(Default)]
struct Batch {
    /// By index of the modality.
    values: Vec<Vec<f32>>,
    size: usize,
    labels: Vec<u32>,
    /// Classes x batch, where targets are soft.
    scores: Vec<f32>,
}

/// What batches are made of: some modalities of a split.
#[derive(Clone, Copy)]
struct Source<'a> {
    data: &'a dyn Dataset,
    split: Split,
    /// Indices of the modalities that some expert reads.
    used: &'a [usize],
    /// Where augmentation is drawn from, in training.
    augmentation: Option<&'a Seeds>,
}

/// A batch, or a part of one that goes through the networks at a time.
#[derive(Clone, Copy)]
struct Piece<'a> {
    rows: &'a [u32],
    /// Examples of the whole batch.
    batch: usize,
    /// Whether it is the batch's last.
    last: bool,
}

/// Batches of `batch_size` rows in parts of `micro_batch`.
fn pieces(order: &[u32], batch_size: usize, micro_batch: usize) -> impl Iterator<Item = Piece<'_>> {
    order.chunks(batch_size).flat_map(move |batch| {
        let parts = batch.len().div_ceil(micro_batch);
        let piece = move |(part, rows)| Piece { rows, batch: batch.len(), last: part + 1 == parts };
        batch.chunks(micro_batch).enumerate().map(piece)
    })
}

impl Batch {
    fn gather(&mut self, source: Source<'_>, rows: &[u32]) {
        let modalities = source.data.modalities();
        self.values.resize_with(modalities.len(), Vec::new);
        self.size = rows.len();
        for &modality in source.used {
            let values = &mut self.values[modality];
            let features = modalities[modality].features();
            values.resize(features * rows.len(), 0.0);
            match modalities[modality].kind {
                Kind::Vector | Kind::Series | Kind::Map => {
                    source.data.gather(source.split, modality, rows, values);
                }
                // Samples stand one after the other, and decoding them is work.
                Kind::Images | Kind::Tokens => {
                    let samples = values.par_chunks_mut(features.max(1)).zip(rows);
                    samples.for_each(|(sample, &row)| source.sample(modality, row, sample));
                }
            }
        }
        self.labels.clear();
        self.scores.clear();
        match source.data.targets(source.split) {
            Targets::Labels(labels) => self.labels.extend(rows.iter().map(|&row| labels[row as usize])),
            Targets::Soft { scores, classes } => {
                self.scores.resize(classes * rows.len(), 0.0);
                gather_rows(scores, classes, rows, &mut self.scores);
            }
        }
    }

    /// Its targets for the device.
    fn targets<D: Backend<f32>>(&self, device: &D) -> Result<TargetTensors<f32, D>, ModelError> {
        if self.scores.is_empty() {
            return Ok(TargetTensors::Labels(Labels::new(device, &self.labels)?));
        }
        let shape = (self.scores.len() / self.size, self.size);
        let mut scores: Features<f32, D> =
            device.try_zeros_like(&shape).map_err(OpError::device("soft scores"))?;
        scores.copy_from(&self.scores);
        Ok(TargetTensors::Soft(scores))
    }
}

impl Source<'_> {
    /// One sample of images or tokens.
    fn sample(&self, modality: usize, row: u32, sample: &mut [f32]) {
        match self.augmentation {
            Some(seeds) if self.data.augments() => {
                let seeds = seeds.child(row).child(modality);
                self.data.augmented(self.split, modality, row, &seeds, sample);
            }
            _ => self.data.gather(self.split, modality, &[row], sample),
        }
    }
}

/// Calls `work` with every piece, gathering the next one meanwhile on another thread of the current pool, if it has one to spare.
fn for_each_piece<'p, F, Error>(
    source: Source<'_>,
    mut pieces: impl Iterator<Item = Piece<'p>>,
    buffers: &mut [Batch; 2],
    mut work: F,
) -> Result<(), Error>
where
    F: FnMut(&Batch, Piece<'p>) -> Result<(), Error>,
{
    let [current, next] = buffers;
    let mut piece = pieces.next();
    if let Some(piece) = piece {
        current.gather(source, piece.rows);
    }
    while let Some(now) = piece {
        piece = pieces.next();
        rayon::in_place_scope(|scope| {
            if let Some(piece) = piece {
                scope.spawn(|_| next.gather(source, piece.rows));
            }
            work(current, now)
        })?;
        std::mem::swap(current, next);
    }
    Ok(())
}

/// What a device needs of a dataset between batches.
pub struct HostLoader<'a, D: Backend<f32>> {
    device: D,
    data: &'a dyn Dataset,
    used: Vec<usize>,
    buffers: [Batch; 2],
    tensors: Tensors<D>,
}

/// The tensors that a batch is copied into, kept while batches have the same size.
type Tensors<D> = Option<(usize, Inputs<f32, D>)>;

/// The batch as the networks see it.
fn load<'t, D: Backend<f32>>(
    device: &D,
    tensors: &'t mut Tensors<D>,
    source: Source<'_>,
    batch: &Batch,
) -> Result<&'t Inputs<f32, D>, ModelError> {
    let size = batch.size;
    if tensors.as_ref().is_some_and(|(batch, _)| *batch != size) {
        *tensors = None;
    }
    if tensors.is_none() {
        let inputs = Inputs::zeros(device, source.data.modalities(), source.used, size)?;
        *tensors = Some((size, inputs));
    }
    let (_, inputs) = tensors.as_mut().ok_or(ModelError::Nothing)?;
    for (input, values) in inputs.0.iter_mut().zip(&batch.values) {
        if let Some(input) = input {
            input.fill(values)?;
        }
    }
    Ok(inputs)
}

impl<'a, D: Backend<f32>> HostLoader<'a, D> {
    /// A loader of some modalities of a dataset, by their indices.
    pub(crate) fn new(device: &D, data: &'a dyn Dataset, modalities: &[usize]) -> Self {
        let (buffers, used) = (Default::default(), modalities.to_vec());
        HostLoader { device: device.clone(), data, used, buffers, tensors: None }
    }

    /// See [`super::TrainingDevice::train`].
    pub(super) fn train(
        &mut self,
        learner: &mut Learner<f32, D>,
        epoch: &Epoch<'_>,
        on_step: &mut dyn FnMut(StepStats, usize),
    ) -> Result<(), StepFailed> {
        let HostLoader { device, data, used, buffers, tensors } = self;
        let augmentation = Some(&epoch.augmentation);
        let source = Source { data: *data, split: Split::Train, used, augmentation };
        let mut step = 1;
        let pieces = pieces(epoch.order, epoch.batch_size, epoch.micro_batch);
        for_each_piece(source, pieces, buffers, |batch, piece| {
            let mut taken = || {
                let inputs = load(device, tensors, source, batch)?;
                let targets = batch.targets(device)?;
                if batch.size == piece.batch {
                    learner.send(inputs, &targets)?;
                } else {
                    learner.accumulate(inputs, &targets, batch.size as f64 / piece.batch as f64)?;
                }
                if piece.last {
                    learner.apply()?;
                    for stats in learner.step_stats()? {
                        on_step(stats.check()?, piece.batch);
                    }
                }
                Ok(())
            };
            taken().map_err(|source: LearnError| StepFailed { step, source })?;
            step += usize::from(piece.last);
            Ok(())
        })
    }

    /// See [`super::TrainingDevice::evaluate`].
    pub(super) fn evaluate(
        &mut self,
        split: Split,
        batch_size: usize,
        work: Work<'_, D>,
    ) -> Result<(), ModelError> {
        let rows: Vec<u32> = (0..self.data.len(split) as u32).collect();
        self.visit(split, &rows, batch_size, work)
    }

    /// Hands out rows of a split as they are, in order, batch by batch.
    ///
    /// # Errors
    /// When the device fails, and what `work` gives.
    pub(crate) fn visit(
        &mut self,
        split: Split,
        rows: &[u32],
        batch_size: usize,
        work: Work<'_, D>,
    ) -> Result<(), ModelError> {
        let HostLoader { device, data, used, buffers, tensors } = self;
        let source = Source { data: *data, split, used, augmentation: None };
        for_each_piece(source, pieces(rows, batch_size, batch_size), buffers, |batch, _| {
            work(load(device, tensors, source, batch)?)
        })
    }
}
