//! The data loader of the CPU: batches are gathered ahead into buffers that are used again.
//!
//! Invariant: gathering ahead changes when work is done, never what comes out.

use dfdx::prelude::{Cpu, ZerosTensor};

use super::{StepFailed, TrainingDevice, Work};
use crate::data::{Dataset, Split, Targets, gather_rows};
use crate::experiment::learner::{LearnError, Learner};
use crate::experiment::loss::TargetTensors;
use crate::models::{Inputs, ModelError};
use crate::ops::optimizer::StepStats;
use crate::ops::product_of_experts::Labels;
use crate::ops::{Features, OpError};

/// Samples and targets of one batch in host memory, batch innermost.
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
}

impl Batch {
    fn gather(&mut self, source: Source<'_>, rows: &[u32]) {
        let modalities = source.data.modalities();
        self.values.resize_with(modalities.len(), Vec::new);
        self.size = rows.len();
        for &modality in source.used {
            let values = &mut self.values[modality];
            values.resize(modalities[modality].features() * rows.len(), 0.0);
            source.data.gather(source.split, modality, rows, values);
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
    fn targets(&self, device: &Cpu) -> Result<TargetTensors<f32, Cpu>, ModelError> {
        if self.scores.is_empty() {
            return Ok(TargetTensors::Labels(Labels::new(device, &self.labels)?));
        }
        let shape = (self.scores.len() / self.size, self.size);
        let mut scores: Features<f32, Cpu> =
            device.try_zeros_like(&shape).map_err(OpError::device("soft scores"))?;
        scores.copy_from(&self.scores);
        Ok(TargetTensors::Soft(scores))
    }
}

/// Calls `work` with every batch of `order`, gathering the next one meanwhile on another thread of the current pool,
/// if it has one to spare.
fn for_each_batch<F, Error>(
    source: Source<'_>,
    order: &[u32],
    batch_size: usize,
    buffers: &mut [Batch; 2],
    mut work: F,
) -> Result<(), Error>
where
    F: FnMut(&Batch) -> Result<(), Error>,
{
    let [current, next] = buffers;
    let mut batches = order.chunks(batch_size);
    let mut rows = batches.next();
    if let Some(rows) = rows {
        current.gather(source, rows);
    }
    while rows.is_some() {
        rows = batches.next();
        rayon::in_place_scope(|scope| {
            if let Some(rows) = rows {
                scope.spawn(|_| next.gather(source, rows));
            }
            work(current)
        })?;
        std::mem::swap(current, next);
    }
    Ok(())
}

/// What the CPU needs of a dataset between batches.
pub struct DataLoader<'a> {
    device: Cpu,
    data: &'a dyn Dataset,
    used: Vec<usize>,
    buffers: [Batch; 2],
    tensors: Tensors,
}

/// The tensors that a batch is copied into, kept while batches have the same size.
type Tensors = Option<(usize, Inputs<f32, Cpu>)>;

/// The batch as the networks see it.
fn load<'t>(
    device: &Cpu,
    tensors: &'t mut Tensors,
    source: Source<'_>,
    batch: &Batch,
) -> Result<&'t Inputs<f32, Cpu>, ModelError> {
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
            input.fill(values);
        }
    }
    Ok(inputs)
}

impl TrainingDevice for Cpu {
    type DataLoader<'a> = DataLoader<'a>;
    const EVALUATION_BATCH: usize = 120;

    fn data_loader<'a>(
        &self,
        data: &'a dyn Dataset,
        modalities: &[usize],
    ) -> Result<DataLoader<'a>, ModelError> {
        let (buffers, used) = (Default::default(), modalities.to_vec());
        Ok(DataLoader { device: self.clone(), data, used, buffers, tensors: None })
    }

    fn train(
        loader: &mut DataLoader<'_>,
        learner: &mut Learner<f32, Cpu>,
        order: &[u32],
        batch_size: usize,
        on_step: &mut dyn FnMut(StepStats, usize),
    ) -> Result<(), StepFailed> {
        let DataLoader { device, data, used, buffers, tensors } = loader;
        let source = Source { data: *data, split: Split::Train, used };
        let mut step = 0;
        for_each_batch(source, order, batch_size, buffers, |batch| {
            step += 1;
            let mut taken = || {
                let inputs = load(device, tensors, source, batch)?;
                learner.send(inputs, &batch.targets(device)?)?;
                for stats in learner.step_stats()? {
                    on_step(stats.check()?, batch.size);
                }
                Ok(())
            };
            taken().map_err(|source: LearnError| StepFailed { step, source })
        })
    }

    fn evaluate(
        loader: &mut DataLoader<'_>,
        split: Split,
        batch_size: usize,
        work: Work<'_, Cpu>,
    ) -> Result<(), ModelError> {
        let DataLoader { device, data, used, buffers, tensors } = loader;
        let source = Source { data: *data, split, used };
        let rows: Vec<u32> = (0..data.len(split) as u32).collect();
        for_each_batch(source, &rows, batch_size, buffers, |batch| {
            work(load(device, tensors, source, batch)?)
        })
    }
}
