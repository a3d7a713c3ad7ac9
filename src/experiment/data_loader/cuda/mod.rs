//! The data loader of GPUs: the dataset lives there, batches are gathered there by row number, and a step is recorded once and sent
//! again.
//!
//! Invariant: nothing crosses the bus in a step; the order of an epoch goes up once, the statistics of the steps come back once per
//! [`STATS_EVERY`] steps. A split that the GPU has no room for comes in windows of the epoch's order, between steps; what is
//! computed is the same. Images and texts are decoded on the host and come batch by batch ([`HostLoader`]).

mod samples;

use std::collections::BTreeMap;
use std::sync::Arc;

use dfdx::prelude::{Cuda, HasShape, ZerosTensor};

use super::{Epoch, HostLoader, StepFailed, TrainingDevice, Work};
use crate::data::{Dataset, Kind, Split, Targets};
use crate::device::cuda::{
    Address, Buffer, Counts, GpuError, Recorded, Recording, StepSize, address, counts, record,
};
use crate::experiment::learner::{LearnError, Learner};
use crate::experiment::loss::TargetTensors;
use crate::models::{Input, Inputs, ModelError};
use crate::ops::gather::{Pick, gather};
use crate::ops::optimizer::StepStats;
use crate::ops::product_of_experts::Labels;
use crate::ops::{Features, OpError};
use samples::{SampleTargets, Samples};

/// Steps that are sent before the host looks at their statistics.
const STATS_EVERY: usize = 256;

/// A batch on the GPU, at the same addresses for as long as batches have this size.
struct Batch {
    inputs: Inputs<f32, Cuda>,
    targets: BatchTargets,
}

/// The targets of a batch.
enum BatchTargets {
    Labels(Arc<Buffer<u32>>),
    /// Classes x batch.
    Soft(Features<f32, Cuda>),
}

/// What a GPU needs of a dataset between batches.
pub enum DataLoader<'a> {
    /// Its samples, which live there.
    Samples(Box<SampleLoader<'a>>),
    /// Batches from the host.
    Host(Box<HostLoader<'a, Cuda>>),
}

/// Samples that live on the GPU.
pub struct SampleLoader<'a> {
    device: Cuda,
    data: &'a dyn Dataset,
    /// Indices of the modalities that some expert reads.
    used: Vec<usize>,
    /// Every label of the training split is below this.
    below: usize,
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
fn address_of(input: &Input<f32, Cuda>) -> Result<Address, ModelError> {
    match input {
        Input::Maps(maps) => Ok(address(maps)),
        Input::Vectors(vectors) => Ok(address(vectors)),
        Input::Series(series) => Ok(address(series)),
        Input::Images(_) | Input::Tokens(_) => {
            let reason = "images and texts come from the host".to_owned();
            Err(ModelError::Op(OpError::Device { op: "batch", reason }))
        }
    }
}

impl SampleLoader<'_> {
    /// Makes the tensors of batches of this size, if they are not there yet.
    fn make_room(&mut self, size: usize) -> Result<(), ModelError> {
        if self.batches.contains_key(&size) {
            return Ok(());
        }
        let inputs = Inputs::zeros(&self.device, self.data.modalities(), &self.used, size)?;
        let targets = match self.data.targets(Split::Train) {
            Targets::Labels(_) => {
                BatchTargets::Labels(Arc::new(Buffer::zeros(size).map_err(|error| failed(&error))?))
            }
            Targets::Soft { classes, .. } => {
                let scores = self.device.try_zeros_like(&(classes, size));
                BatchTargets::Soft(scores.map_err(OpError::device("soft scores"))?)
            }
        };
        self.batches.insert(size, Batch { inputs, targets });
        Ok(())
    }

    /// Gathers a batch of a split, with its targets if the samples have any.
    fn fill(&self, batch: &Batch, pick: Pick<'_>, samples: &Samples) -> Result<(), ModelError> {
        let mut labels = match (&samples.targets, &batch.targets) {
            (Some(SampleTargets::Labels(from)), BatchTargets::Labels(to)) => Some((from, &**to)),
            _ => None,
        };
        for (&modality, (values, index)) in self.used.iter().zip(samples.modalities()) {
            let Some(input) = &batch.inputs.0[modality] else { continue };
            let features = self.data.modalities()[modality].features();
            gather(pick, features, values, index, address_of(input)?, labels.take())
                .map_err(|error| failed(&error))?;
        }
        if let (Some(SampleTargets::Soft(scores)), BatchTargets::Soft(out)) =
            (&samples.targets, &batch.targets)
        {
            let classes = out.shape().0;
            gather(pick, classes, scores, None, address(out), None).map_err(|error| failed(&error))?;
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
        let before = counts();
        let mut step = || {
            self.fill(batch, pick, &self.train)?;
            let targets = match &batch.targets {
                BatchTargets::Labels(labels) => {
                    TargetTensors::Labels(Labels::held(Arc::clone(labels), size, self.below))
                }
                BatchTargets::Soft(scores) => TargetTensors::Soft(scores.clone()),
            };
            learner.send(&batch.inputs, &targets)
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
}

impl<'a> DataLoader<'a> {
    /// The samples that live on the GPU, if they do.
    fn samples(&self) -> Option<&SampleLoader<'a>> {
        match self {
            DataLoader::Samples(loader) => Some(loader),
            DataLoader::Host(_) => None,
        }
    }

    /// What one step of this size is made of, if one was recorded.
    pub fn recorded(&self, size: usize) -> Option<StepSize> {
        self.samples()?.recorded.get(&size).map(Recorded::size)
    }

    /// Why steps are not recorded, if that was tried.
    pub fn refused(&self) -> Option<&str> {
        self.samples()?.refused.as_deref()
    }

    /// What was sent for one step of this size.
    pub fn work(&self, size: usize) -> Option<Counts> {
        self.samples()?.work.get(&size).copied()
    }
}

/// Where everything that a step changes stands.
fn addresses(learner: &mut Learner<f32, Cuda>) -> Vec<Address> {
    let named_tensors = learner.experts.named_tensors();
    let parameters = named_tensors.parameters.iter().map(|(_, parameter)| address(&parameter.value));
    parameters.chain(named_tensors.buffers.iter().map(|(_, buffer)| address(&**buffer))).collect()
}

impl TrainingDevice for Cuda {
    type DataLoader<'a> = DataLoader<'a>;
    const EVALUATION_BATCH: usize = 1000;

    fn data_loader<'a>(
        &self,
        data: &'a dyn Dataset,
        modalities: &[usize],
    ) -> Result<DataLoader<'a>, ModelError> {
        let from_host =
            |&modality: &usize| matches!(data.modalities()[modality].kind, Kind::Images | Kind::Tokens);
        if modalities.iter().any(from_host) {
            return Ok(DataLoader::Host(Box::new(HostLoader::new(self, data, modalities))));
        }
        let gpu = |error: GpuError| failed(&error);
        let train = Samples::of(data, Split::Train, modalities)
            .and_then(|samples| samples.with_targets(data, Split::Train))
            .map_err(|error| no_room(&error))?;
        Ok(DataLoader::Samples(Box::new(SampleLoader {
            device: self.clone(),
            data,
            used: modalities.to_vec(),
            below: data.targets(Split::Train).labels().iter().max().map_or(0, |&label| label as usize + 1),
            train,
            order: Buffer::zeros(0).map_err(gpu)?,
            batches: BTreeMap::new(),
            recorded: BTreeMap::new(),
            parameters: Vec::new(),
            refused: None,
            work: BTreeMap::new(),
        })))
    }

    fn without_recording(loader: &mut DataLoader<'_>) {
        if let DataLoader::Samples(loader) = loader {
            loader.recorded.clear();
            loader.refused = Some("asked not to".to_owned());
        }
    }

    fn train(
        loader: &mut DataLoader<'_>,
        learner: &mut Learner<f32, Cuda>,
        epoch: &Epoch<'_>,
        on_step: &mut dyn FnMut(StepStats, usize),
    ) -> Result<(), StepFailed> {
        let loader = match loader {
            DataLoader::Samples(loader) => loader,
            DataLoader::Host(loader) => return loader.train(learner, epoch, on_step),
        };
        // Samples that live here are small: a batch goes through the networks whole.
        let &Epoch { order, batch_size, .. } = epoch;
        let at = |step: usize| move |source: LearnError| StepFailed { step, source };
        let gpu = |error: GpuError| LearnError::from(failed(&error));
        let parameters = addresses(learner);
        if parameters != loader.parameters {
            loader.recorded.clear();
            loader.parameters = parameters;
        }
        let span = loader.train.span(loader.data, &loader.used, order.len(), batch_size);
        if span > loader.order.len() {
            loader.recorded.clear();
            loader.order = Buffer::zeros(span).map_err(gpu).map_err(at(1))?;
        }
        let (mut done, mut heard) = (0, 0);
        let size_of = |step: usize| batch_size.min(order.len() - step * batch_size);
        for rows in order.chunks(span.max(1)) {
            let loaded = loader.train.load(loader.data, Split::Train, &loader.used, rows, span);
            let loaded = loaded.map_err(|error| LearnError::from(no_room(&error))).map_err(at(done + 1))?;
            if loaded.moved {
                loader.recorded.clear();
            }
            loader.order.write(0, &loaded.indices).map_err(gpu).map_err(at(done + 1))?;
            learner.optimizer().log().restart().map_err(gpu).map_err(at(done + 1))?;
            let last = done + rows.len().div_ceil(batch_size);
            while done < last {
                loader.send(learner, size_of(done), batch_size).map_err(at(done + 1))?;
                done += 1;
                if done.is_multiple_of(STATS_EVERY) || done == last {
                    for stats in learner.step_stats().map_err(at(heard + 1))? {
                        heard += 1;
                        on_step(
                            stats.check().map_err(LearnError::from).map_err(at(heard))?,
                            size_of(heard - 1),
                        );
                    }
                }
            }
        }
        Ok(())
    }

    fn evaluate(
        loader: &mut DataLoader<'_>,
        split: Split,
        batch_size: usize,
        work: Work<'_, Cuda>,
    ) -> Result<(), ModelError> {
        let loader = match loader {
            DataLoader::Samples(loader) => loader,
            DataLoader::Host(loader) => return loader.evaluate(split, batch_size, work),
        };
        let gpu = |error: GpuError| failed(&error);
        let rows: Vec<u32> = (0..loader.data.len(split) as u32).collect();
        let no_room = |error: GpuError| no_room(&error);
        let mut samples = Samples::of(loader.data, split, &loader.used).map_err(no_room)?;
        let span = samples.span(loader.data, &loader.used, rows.len(), batch_size);
        let mut order = Buffer::zeros(span).map_err(gpu)?;
        for rows in rows.chunks(span.max(1)) {
            let loaded = samples.load(loader.data, split, &loader.used, rows, span).map_err(no_room)?;
            order.write(0, &loaded.indices).map_err(gpu)?;
            for first in (0..rows.len()).step_by(batch_size) {
                let size = batch_size.min(rows.len() - first);
                loader.make_room(size)?;
                let batch = &loader.batches[&size];
                let pick = Pick { order: &order, first, step: None, stride: 0, batch: size };
                loader.fill(batch, pick, &samples)?;
                work(&batch.inputs)?;
            }
        }
        Ok(())
    }
}
