//! Feeding the CPU: batches are gathered ahead into buffers that are used again.
//!
//! Invariant: gathering ahead changes when work is done, never what comes out.

use dfdx::prelude::Cpu;

use super::{Feed, StepFailed, Work};
use crate::data::{Dataset, Split};
use crate::experiment::learner::{LearnError, Learner};
use crate::models::{Input, Inputs, ModelError};
use crate::ops::optimizer::Met;
use crate::ops::product_of_experts::Labels;
use crate::protocol::Modality;

/// Samples of one batch in host memory, batch innermost.
#[derive(Default)]
struct Batch {
    values: [Vec<f32>; 3],
    labels: Vec<u8>,
}

/// What batches are made of: some modalities of a split.
#[derive(Clone, Copy)]
struct Source<'a> {
    data: &'a dyn Dataset,
    split: Split,
    /// Those that somebody looks at.
    modalities: &'a [Modality],
}

impl Batch {
    fn gather(&mut self, source: Source<'_>, rows: &[u32]) {
        for &modality in source.modalities {
            let values = &mut self.values[modality as usize];
            values.resize(source.data.dims(modality).iter().product::<usize>() * rows.len(), 0.0);
            source.data.gather(source.split, modality, rows, values);
        }
        let labels = source.data.labels(source.split);
        self.labels.clear();
        self.labels.extend(rows.iter().map(|&row| labels[row as usize]));
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
pub struct Held<'a> {
    device: Cpu,
    data: &'a dyn Dataset,
    modalities: Vec<Modality>,
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
    let size = batch.labels.len();
    if tensors.as_ref().is_some_and(|(held, _)| *held != size) {
        *tensors = None;
    }
    if tensors.is_none() {
        let mut inputs = Inputs::default();
        for &modality in source.modalities {
            let zeros = Input::zeros(device, modality, source.data.dims(modality), size)?;
            inputs.0[modality as usize] = Some(zeros);
        }
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

impl Feed for Cpu {
    type Held<'a> = Held<'a>;
    const EVALUATION_BATCH: usize = 120;

    fn hold<'a>(&self, data: &'a dyn Dataset, modalities: &[Modality]) -> Result<Held<'a>, ModelError> {
        let (buffers, modalities) = (Default::default(), modalities.to_vec());
        Ok(Held { device: self.clone(), data, modalities, buffers, tensors: None })
    }

    fn train(
        held: &mut Held<'_>,
        learner: &mut Learner<f32, Cpu>,
        order: &[u32],
        batch_size: usize,
        told: &mut dyn FnMut(Met, usize),
    ) -> Result<(), StepFailed> {
        let Held { device, data, modalities, buffers, tensors } = held;
        let source = Source { data: *data, split: Split::Train, modalities };
        let mut step = 0;
        for_each_batch(source, order, batch_size, buffers, |batch| {
            step += 1;
            let mut taken = || {
                let inputs = load(device, tensors, source, batch)?;
                let labels = Labels::new(device, &batch.labels).map_err(ModelError::from)?;
                learner.send(inputs, &labels)?;
                for met in learner.met()? {
                    told(met.check()?, batch.labels.len());
                }
                Ok(())
            };
            taken().map_err(|source: LearnError| StepFailed { step, source })
        })
    }

    fn evaluate(
        held: &mut Held<'_>,
        split: Split,
        batch_size: usize,
        work: Work<'_, Cpu>,
    ) -> Result<(), ModelError> {
        let Held { device, data, modalities, buffers, tensors } = held;
        let source = Source { data: *data, split, modalities };
        let rows: Vec<u32> = (0..data.len(split) as u32).collect();
        for_each_batch(source, &rows, batch_size, buffers, |batch| {
            work(load(device, tensors, source, batch)?)
        })
    }
}
