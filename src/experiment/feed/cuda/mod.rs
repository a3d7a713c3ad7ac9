//! Feeding a GPU: the dataset lives there, batches are gathered there by row number, and a step is recorded once and sent
//! again.
//!
//! Invariant: nothing crosses the bus in a step; the order of an epoch goes up once, what the steps met comes back once per
//! [`TOLD_EVERY`] steps. A split that the GPU has no room for comes in windows of the epoch's order, between steps; what is
//! computed is the same.

mod samples;

use std::collections::BTreeMap;
use std::sync::Arc;

use dfdx::prelude::Cuda;

use super::{Feed, StepFailed, Work};
use crate::data::{Dataset, Split};
use crate::device::cuda::{
    Address, Buffer, Counts, GpuError, Recorded, Recording, StepSize, address, counts, record,
};
use crate::experiment::learner::{LearnError, Learner};
use crate::models::{Input, Inputs, ModelError};
use crate::ops::OpError;
use crate::ops::gather::{Pick, gather};
use crate::ops::optimizer::Met;
use crate::ops::product_of_experts::Labels;
use crate::protocol::Modality;
use samples::Samples;

/// Steps that are sent before the host looks at what they met.
const TOLD_EVERY: usize = 256;

/// A batch on the GPU, at the same addresses for as long as batches have this size.
struct Batch {
    inputs: Inputs<f32, Cuda>,
    labels: Arc<Buffer<u8>>,
}

/// What a GPU needs of a dataset between batches.
pub struct Held<'a> {
    device: Cuda,
    data: &'a dyn Dataset,
    modalities: Vec<Modality>,
    train: Samples,
    /// Where the training rows stand, in the order of an epoch.
    order: Buffer<u32>,
    batches: BTreeMap<usize, Batch>,
    /// Steps by batch size.
    recorded: BTreeMap<usize, Recorded>,
    /// Where the parameters were when steps were recorded.
    parameters: Vec<Address>,
    /// Why a step could not be recorded.
    refused: Option<String>,
    /// Work of one step, of each size.
    work: BTreeMap<usize, Counts>,
}

fn failed(error: &GpuError) -> ModelError {
    ModelError::Op(OpError::Device { op: "batch", reason: error.to_string() })
}

/// The samples could not be brought to the device.
fn no_room(error: &GpuError) -> ModelError {
    ModelError::Op(OpError::Device { op: "the data's samples", reason: error.to_string() })
}

/// Where a batch's tensor is.
fn place(input: &Input<f32, Cuda>) -> Address {
    match input {
        Input::Maps(maps) => address(maps),
        Input::Vectors(vectors) => address(vectors),
        Input::Series(series) => address(series),
    }
}

impl Held<'_> {
    /// Makes the tensors of batches of this size, if they are not there yet.
    fn make_room(&mut self, size: usize) -> Result<(), ModelError> {
        if self.batches.contains_key(&size) {
            return Ok(());
        }
        let mut inputs = Inputs::default();
        for &modality in &self.modalities {
            let zeros = Input::zeros(&self.device, modality, self.data.dims(modality), size)?;
            inputs.0[modality as usize] = Some(zeros);
        }
        let labels = Arc::new(Buffer::zeros(size).map_err(|error| failed(&error))?);
        self.batches.insert(size, Batch { inputs, labels });
        Ok(())
    }

    /// Gathers a batch of a split, with its labels if the samples have any.
    fn fill(&self, batch: &Batch, pick: Pick<'_>, samples: &Samples) -> Result<(), ModelError> {
        let mut labels = samples.labels.as_ref().map(|labels| (labels, &*batch.labels));
        for (&modality, (values, index)) in self.modalities.iter().zip(samples.modalities()) {
            let Some(input) = &batch.inputs.0[modality as usize] else { continue };
            let features: usize = self.data.dims(modality).iter().product();
            gather(pick, features, values, index, place(input), labels.take())
                .map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    /// Sends one training step: recorded the first time, again from then on.
    fn send(
        &mut self,
        learner: &mut Learner<f32, Cuda>,
        size: usize,
        stride: usize,
    ) -> Result<(), LearnError> {
        if let Some(recorded) = self.recorded.get(&size) {
            return recorded.again().map_err(|error| failed(&error).into());
        }
        self.make_room(size)?;
        let step = learner.optimizer().log().steps_done();
        let pick = Pick { order: &self.order, first: 0, step: Some(step), stride, batch: size };
        let batch = &self.batches[&size];
        let classes = self.data.classes();
        let before = counts();
        let mut step = || {
            self.fill(batch, pick, &self.train)?;
            learner.send(&batch.inputs, &Labels::held(Arc::clone(&batch.labels), size, classes))
        };
        // Once refused, always refused.
        if self.refused.is_some() {
            step()?;
        } else {
            match record(step)? {
                ((), Recording::Done(recorded)) => drop(self.recorded.insert(size, recorded)),
                ((), Recording::Refused(why)) => self.refused = Some(why),
            }
        }
        self.work.insert(size, counts().since(before));
        Ok(())
    }

    /// What one step of this size is made of, if one was recorded.
    pub fn recorded(&self, size: usize) -> Option<StepSize> {
        self.recorded.get(&size).map(Recorded::size)
    }

    /// Why steps are not recorded, if that was tried.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// What was sent for one step of this size.
    pub fn work(&self, size: usize) -> Option<Counts> {
        self.work.get(&size).copied()
    }
}

/// Where everything that a step changes stands.
fn addresses(learner: &mut Learner<f32, Cuda>) -> Vec<Address> {
    let slots = learner.experts.slots();
    let parameters = slots.parameters.iter().map(|(_, parameter)| address(&parameter.value));
    parameters.chain(slots.buffers.iter().map(|(_, buffer)| address(&**buffer))).collect()
}

impl Feed for Cuda {
    type Held<'a> = Held<'a>;
    const EVALUATION_BATCH: usize = 1000;

    fn hold<'a>(&self, data: &'a dyn Dataset, modalities: &[Modality]) -> Result<Held<'a>, ModelError> {
        let gpu = |error: GpuError| failed(&error);
        let train = Samples::of(data, Split::Train, modalities)
            .and_then(|samples| samples.labelled(data, Split::Train))
            .map_err(|error| no_room(&error))?;
        Ok(Held {
            device: self.clone(),
            data,
            modalities: modalities.to_vec(),
            train,
            order: Buffer::zeros(0).map_err(gpu)?,
            batches: BTreeMap::new(),
            recorded: BTreeMap::new(),
            parameters: Vec::new(),
            refused: None,
            work: BTreeMap::new(),
        })
    }

    fn without_recording(held: &mut Held<'_>) {
        held.recorded.clear();
        held.refused = Some("asked not to".to_owned());
    }

    fn train(
        held: &mut Held<'_>,
        learner: &mut Learner<f32, Cuda>,
        order: &[u32],
        batch_size: usize,
        told: &mut dyn FnMut(Met, usize),
    ) -> Result<(), StepFailed> {
        let at = |step: usize| move |source: LearnError| StepFailed { step, source };
        let gpu = |error: GpuError| LearnError::from(failed(&error));
        let parameters = addresses(learner);
        if parameters != held.parameters {
            held.recorded.clear();
            held.parameters = parameters;
        }
        let span = held.train.span(held.data, &held.modalities, order.len(), batch_size);
        if span > held.order.len() {
            held.recorded.clear();
            held.order = Buffer::zeros(span).map_err(gpu).map_err(at(1))?;
        }
        let (mut done, mut heard) = (0, 0);
        let size_of = |step: usize| batch_size.min(order.len() - step * batch_size);
        for rows in order.chunks(span.max(1)) {
            let loaded = held.train.load(held.data, Split::Train, &held.modalities, rows, span);
            let loaded = loaded.map_err(|error| LearnError::from(no_room(&error))).map_err(at(done + 1))?;
            if loaded.moved {
                held.recorded.clear();
            }
            held.order.write(0, &loaded.places).map_err(gpu).map_err(at(done + 1))?;
            learner.optimizer().log().restart().map_err(gpu).map_err(at(done + 1))?;
            let last = done + rows.len().div_ceil(batch_size);
            while done < last {
                held.send(learner, size_of(done), batch_size).map_err(at(done + 1))?;
                done += 1;
                if done.is_multiple_of(TOLD_EVERY) || done == last {
                    for met in learner.met().map_err(at(heard + 1))? {
                        heard += 1;
                        told(met.check().map_err(LearnError::from).map_err(at(heard))?, size_of(heard - 1));
                    }
                }
            }
        }
        Ok(())
    }

    fn evaluate(
        held: &mut Held<'_>,
        split: Split,
        batch_size: usize,
        work: Work<'_, Cuda>,
    ) -> Result<(), ModelError> {
        let gpu = |error: GpuError| failed(&error);
        let rows: Vec<u32> = (0..held.data.len(split) as u32).collect();
        let no_room = |error: GpuError| no_room(&error);
        let mut samples = Samples::of(held.data, split, &held.modalities).map_err(no_room)?;
        let span = samples.span(held.data, &held.modalities, rows.len(), batch_size);
        let mut order = Buffer::zeros(span).map_err(gpu)?;
        for rows in rows.chunks(span.max(1)) {
            let loaded = samples.load(held.data, split, &held.modalities, rows, span).map_err(no_room)?;
            order.write(0, &loaded.places).map_err(gpu)?;
            for first in (0..rows.len()).step_by(batch_size) {
                let size = batch_size.min(rows.len() - first);
                held.make_room(size)?;
                let batch = &held.batches[&size];
                let pick = Pick { order: &order, first, step: None, stride: 0, batch: size };
                held.fill(batch, pick, &samples)?;
                work(&batch.inputs)?;
            }
        }
        Ok(())
    }
}
