//! Batches: which rows, in which order, gathered ahead into buffers that are used again.
//!
//! Invariant: the order of epoch e depends on the seed and e alone; the last partial batch is kept; gathering ahead
//! changes when work is done, never what comes out.

use crate::data::{Dataset, Split};
use crate::models::{Input, Inputs, ModelError};
use crate::ops::Backend;
use crate::protocol::Modality;
use crate::random::Seeds;

/// The rows of an epoch, shuffled by the seed tree's node `shuffle/<epoch>`; epochs count from 1.
pub fn shuffled(seeds: &Seeds, epoch: usize, examples: usize) -> Vec<u32> {
    seeds.child("shuffle").child(epoch).stream().permutation(examples)
}

/// Samples of one batch in host memory, batch innermost.
#[derive(Default)]
pub struct Batch {
    values: [Vec<f32>; 2],
    labels: Vec<u8>,
}

/// What batches are made of: some modalities of a split.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The data.
    pub data: &'a dyn Dataset,
    /// The split.
    pub split: Split,
    /// The modalities that somebody looks at.
    pub modalities: &'a [Modality],
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

    /// The labels.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }
}

/// Calls `work` with every batch of `order`, gathering the next one meanwhile on another thread of the current pool,
/// if it has one to spare.
pub fn for_each_batch<F, Error>(
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

/// The tensors that a batch is copied into, kept while batches have the same size.
pub struct OnDevice<D: Backend<f32>> {
    device: D,
    held: Option<(usize, Inputs<f32, D>)>,
}

impl<D: Backend<f32>> OnDevice<D> {
    /// No tensors yet.
    pub fn new(device: D) -> Self {
        OnDevice { device, held: None }
    }

    /// The batch as the networks see it.
    pub fn load(&mut self, source: Source<'_>, batch: &Batch) -> Result<&Inputs<f32, D>, ModelError> {
        let size = batch.labels.len();
        if self.held.as_ref().is_some_and(|(held, _)| *held != size) {
            self.held = None;
        }
        if self.held.is_none() {
            let mut inputs = Inputs([None, None]);
            for &modality in source.modalities {
                let zeros = Input::zeros(&self.device, modality, source.data.dims(modality), size)?;
                inputs.0[modality as usize] = Some(zeros);
            }
            self.held = Some((size, inputs));
        }
        let (_, inputs) = self.held.as_mut().ok_or(ModelError::Nothing)?;
        for (input, values) in inputs.0.iter_mut().zip(&batch.values) {
            if let Some(input) = input {
                input.fill(values);
            }
        }
        Ok(inputs)
    }
}
