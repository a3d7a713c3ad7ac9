//! The models of the studies at full size, learning from noise: for the doctor's comparisons, the benches and the examples.
//!
//! Invariant: steps go the way that runs go ([`super::data_loader`]), so what is measured here is what a run does; the noise and the
//! initial weights are fixed, so two devices can be compared.

use super::data_loader::{Epoch, StepFailed, TrainingDevice};
use super::learner::{LearnError, Learner};
use super::loss::Loss;
use super::noise::Noise;
use super::{Tensors, weights};
use crate::data::{Kind, Modality, Target, Task};
use crate::models::{Experts, ModelError, Scope};
use crate::ops::Backend;
use crate::ops::simd::Real;
use crate::random::Seeds;
use crate::study::{Backbone, ExpertSpec, Init, Network, ProtocolName, StudyError, Tier, Training, resolve};

/// The batch of AV-MNIST and MIMIC-III.
pub const BATCH: usize = 40;
/// Batches that steps learn from, over and over.
const BATCHES: usize = 10;

/// The models of Tables 1 and 2, as `<study>/<model>`.
pub const MODELS: [&str; 12] = [
    "avmnist/image",
    "avmnist/audio",
    "avmnist/intra",
    "avmnist/inter-lf",
    "avmnist/inter-lrtf",
    "avmnist/i2m2-lf",
    "avmnist/i2m2-lrtf",
    "mimic/static",
    "mimic/series",
    "mimic/intra",
    "mimic/inter",
    "mimic/i2m2",
];

/// A residual network that is small enough for an emulator, and whose convolutions are large enough to take the way of
/// fastMRI's: packed weights, padded copies, strides.
pub const SMALL_RESNET: &str = "small-resnet";

/// Why there is no workload.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// No such model.
    #[error("no model `{name}`: expected STUDY/MODEL, for example {}", MODELS[0])]
    Name {
        /// What was asked for.
        name: String,
    },
    /// The study has no such model.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// A network could not be built or run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A step failed.
    #[error(transparent)]
    Learn(#[from] LearnError),
}

/// A model's shape: what its networks are, what they see, and how it is trained.
pub struct Workload {
    experts: Vec<ExpertSpec>,
    /// What it looks at.
    pub modalities: Vec<Modality>,
    /// What it learns.
    pub task: Task,
    /// Hyper-parameters.
    pub training: Training,
}

impl Workload {
    /// A model of a study (`avmnist/i2m2-lf`, or [`SMALL_RESNET`]) with this batch. Maps have the paper's size, or these sides,
    /// the last of which stands for all that follow.
    ///
    /// # Errors
    /// If there is no such model.
    pub fn new(name: &str, batch: usize, sides: &[usize]) -> Result<Self, WorkloadError> {
        let small = name == SMALL_RESNET;
        let name = if small { "fastmri/inter" } else { name };
        let unknown = || WorkloadError::Name { name: name.to_owned() };
        let (study, model) = name.split_once('/').ok_or_else(unknown)?;
        let protocol = resolve(ProtocolName::Paper, Tier::Paper)?;
        let study = protocol.study(study)?;
        let task = study.tasks.first().ok_or_else(unknown)?;
        let recipe = study.recipe(model, &task.id, None)?.recipe;
        let mut maps = 0;
        let modalities = study.dataset.modalities.iter().map(|spec| {
            let mut dims = spec.dims.to_vec();
            if spec.kind == Kind::Map && !sides.is_empty() {
                let side = sides[maps.min(sides.len() - 1)];
                maps += 1;
                dims = vec![1, side, side];
            }
            Modality::new(spec.name, dims)
        });
        let modalities = modalities.collect();
        let training = recipe.training.ok_or_else(unknown)?;
        let mut workload = Workload {
            experts: recipe.experts,
            modalities,
            task: recipe.task,
            training: Training { batch_size: batch, ..training },
        };
        if small {
            workload.experts.iter_mut().for_each(shrink);
        }
        Ok(workload)
    }

    /// Its networks with fresh weights, and their optimiser.
    ///
    /// # Errors
    /// If the device fails.
    pub fn learner<E: Real, D: Backend<E>>(&self, device: &D) -> Result<Learner<E, D>, ModelError> {
        let experts = Experts::new(
            &Scope::new(device.clone(), Seeds::root(0).child("init")),
            self.experts.iter().map(|expert| (expert.name.as_str(), &expert.network)),
            &self.modalities,
            self.task.logits(),
        )?;
        let mut learner = Learner::new(device, experts, &self.training)?;
        let binary = matches!(self.task.target, Target::Binary { .. });
        // As where a fifth of the slices has each finding.
        let weights = [0.625, 2.5].repeat(self.task.questions().len());
        learner.minimise(Loss::new(device, &self.task, binary.then_some(&weights[..]))?);
        Ok(learner)
    }

    /// The noise it learns from.
    pub fn noise(&self) -> impl crate::data::Dataset + use<> {
        Noise::with_rows(self.modalities.clone(), &self.task.target, BATCHES * self.training.batch_size, 1)
    }
}

/// Makes a residual network [`SMALL_RESNET`].
fn shrink(expert: &mut ExpertSpec) {
    expert.init = Init::Scratch;
    if let Network::Backbone { backbone: Backbone::PreactResnet { stem, widths, blocks, groups, pool, .. } } =
        &mut expert.network
    {
        (*stem, *widths, *blocks, *groups, *pool) = (40, vec![40, 56], 1, 8, 2);
    }
}

/// A workload under way on a device.
pub struct Running<'a, D: TrainingDevice> {
    learner: Learner<f32, D>,
    loader: D::DataLoader<'a>,
    batch: usize,
    done: usize,
}

impl<'a, D: TrainingDevice> Running<'a, D> {
    /// A model before its first step, trained on `noise`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(
        device: &D,
        workload: &Workload,
        noise: &'a dyn crate::data::Dataset,
    ) -> Result<Self, WorkloadError> {
        let learner = workload.learner(device)?;
        let loader = device.data_loader(noise, learner.experts.modalities())?;
        Ok(Running { learner, loader, batch: workload.training.batch_size, done: 0 })
    }

    /// The same, with every step sent as it is, not recorded; where nothing is recorded, there is no difference.
    ///
    /// # Errors
    /// If the device fails.
    pub fn plain(
        device: &D,
        workload: &Workload,
        noise: &'a dyn crate::data::Dataset,
    ) -> Result<Self, WorkloadError> {
        let mut running = Running::new(device, workload, noise)?;
        D::without_recording(&mut running.loader);
        Ok(running)
    }

    /// Takes steps; gives the loss of each.
    ///
    /// # Errors
    /// If one fails.
    pub fn steps(&mut self, count: usize) -> Result<Vec<f64>, WorkloadError> {
        let first = self.done * self.batch;
        let rows = BATCHES * self.batch;
        let order: Vec<u32> = (first..first + count * self.batch).map(|row| (row % rows) as u32).collect();
        self.done += count;
        let mut losses = Vec::with_capacity(count);
        let mut on_step = |stats: crate::ops::optimizer::StepStats, _| losses.push(stats.loss);
        D::train(&mut self.loader, &mut self.learner, &Epoch::plain(&order, self.batch), &mut on_step)
            .map_err(|StepFailed { source, .. }| source)?;
        Ok(losses)
    }

    /// Weights and running statistics.
    pub fn weights(&mut self) -> Tensors {
        weights::export(&mut self.learner.experts)
    }

    /// What the device keeps between batches.
    pub fn loader(&self) -> &D::DataLoader<'a> {
        &self.loader
    }
}

/// How far two trainings of one model are from each other.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Distance {
    /// The largest relative difference of the losses of one step.
    pub loss: f64,
    /// The largest difference of a weight or running statistic at the end, relative to the largest of its tensor.
    pub weight: f64,
    /// Whether all bits agree.
    pub same_bits: bool,
}

impl Distance {
    /// Between two trainings: losses step by step, and what is left.
    pub fn between(first: (&[f64], &Tensors), second: (&[f64], &Tensors)) -> Self {
        let or_infinite = |x: f64| if x.is_nan() { f64::INFINITY } else { x };
        let losses =
            first.0.iter().zip(second.0).map(|(a, b)| or_infinite((a - b).abs() / a.abs().max(1e-12)));
        let weights = first.1.0.iter().map(|(name, a)| {
            let Some(b) = second.1.0.get(name) else { return f64::INFINITY };
            let scale = a.values.iter().fold(1e-12, |most: f64, &value| most.max(f64::from(value).abs()));
            let apart =
                a.values.iter().zip(&b.values).map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs() / scale);
            apart.map(or_infinite).fold(0.0, f64::max)
        });
        let bits = |losses: &[f64]| losses.iter().map(|loss| loss.to_bits()).collect::<Vec<_>>();
        Distance {
            loss: losses.fold(0.0, f64::max),
            weight: weights.fold(0.0, f64::max),
            same_bits: bits(first.0) == bits(second.0) && first.1.digest() == second.1.digest(),
        }
    }
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::Cpu;

    use super::*;

    /// Losses and weights of some steps on the CPU, on small images.
    fn trained(name: &str, steps: [usize; 2]) -> (Vec<f64>, Tensors) {
        let workload = Workload::new(name, 7, &[16, 64]).unwrap();
        let noise = workload.noise();
        let mut running = Running::new(&Cpu::default(), &workload, &noise).unwrap();
        let mut losses = running.steps(steps[0]).unwrap();
        losses.extend(running.steps(steps[1]).unwrap());
        (losses, running.weights())
    }

    #[test]
    fn runnings_repeat_and_learn() {
        for name in ["avmnist/inter-lf", "mimic/i2m2"] {
            let (first, again) = (trained(name, [3, 4]), trained(name, [5, 2]));
            let distance = Distance::between((&first.0, &first.1), (&again.0, &again.1));
            assert!(distance.same_bits && distance.loss == 0.0 && distance.weight == 0.0, "{distance:?}");
            let other = trained(name, [3, 3]);
            assert!(!Distance::between((&first.0, &first.1), (&other.0, &other.1)).same_bits);
        }
        assert!(matches!(Workload::new("none", 1, &[]), Err(WorkloadError::Name { .. })));
    }
}
