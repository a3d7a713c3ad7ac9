//! The paper's models at full size, learning from noise: for the doctor's comparisons, the benches and the examples.
//!
//! Invariant: steps go the way that runs go ([`super::feed`]), so what is measured here is what a run does; the noise and the
//! initial weights are fixed, so two devices can be compared.

use super::feed::{Feed, StepFailed};
use super::learner::{LearnError, Learner};
use super::noise::Noise;
use super::{Tensors, weights};
use crate::models::{Experts, ModelError, Scope};
use crate::ops::Backend;
use crate::ops::product_of_experts::Heads;
use crate::ops::simd::Real;
use crate::protocol::{
    Architecture, Modality, ProtocolError, ProtocolName, Settings, Task, Tier, Training, resolve,
};
use crate::random::Seeds;

/// The batch of AV-MNIST and MIMIC-III.
pub const BATCH: usize = 40;
/// Batches that steps learn from, over and over.
const BATCHES: usize = 10;

/// Every model of Tables 1 and 2, with its experts.
pub const MODELS: [(&str, &[&str]); 12] = [
    ("image", &["image"]),
    ("audio", &["audio"]),
    ("intra", &["image", "audio"]),
    ("lf", &["lf"]),
    ("lrtf", &["lrtf"]),
    ("i2m2-lf", &["image", "audio", "lf"]),
    ("i2m2-lrtf", &["image", "audio", "lrtf"]),
    ("static", &["static"]),
    ("series", &["series"]),
    ("mimic-intra", &["static", "series"]),
    ("mimic-inter", &["clinical"]),
    ("mimic-i2m2", &["static", "series", "clinical"]),
];

/// Models of Figures 2 and 4. Their slices have the side that is given for the second modality; the paper's is 320, and the
/// batch 16.
pub const KNEE_MODELS: [(&str, &[&str]); 6] = [
    ("magnitude", &["magnitude"]),
    ("early-fusion", &["early-fusion"]),
    ("knee-intra", &["magnitude", "phase"]),
    ("knee-i2m2", &["magnitude", "phase", "early-fusion"]),
    ("wide-magnitude", &["wide-magnitude"]),
    ("wide-early-fusion", &["wide-early-fusion"]),
];

/// A residual network that is small enough for an emulator, and whose convolutions are large enough to take the way of
/// fastMRI's: packed weights, padded copies, strides.
pub const SMALL_RESNET: &str = "small-resnet";

fn models() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    MODELS.into_iter().chain(KNEE_MODELS)
}

/// Why a model cannot rehearse.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// No such model.
    #[error("no model `{0}`; there are {models}", models = models().map(|(name, _)| name).collect::<Vec<_>>().join(", "))]
    Unknown(String),
    /// The protocol cannot be resolved: a bug.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// A network could not be built or run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A step failed.
    #[error(transparent)]
    Learn(#[from] LearnError),
}

/// A model's shape: what its networks are, what they see, and how it is trained.
pub struct Subject {
    experts: Vec<(&'static str, Architecture)>,
    /// Dimensions of a sample of each modality.
    pub dims: [Vec<usize>; 3],
    /// What it learns.
    pub task: Task,
    /// Hyper-parameters.
    pub training: Training,
}

/// An expert's network, as the protocol has it.
fn architecture(settings: &Settings, expert: &str) -> Architecture {
    let (avmnist, mimic) = (&settings.avmnist.experts, &settings.mimic.experts);
    let knee = &settings.fastmri.experts;
    match expert {
        "image" => &avmnist.image,
        "audio" => &avmnist.audio,
        "lf" => &avmnist.late_fusion,
        "lrtf" => &avmnist.low_rank,
        "static" => &mimic.static_,
        "series" => &mimic.series,
        "magnitude" => &knee.magnitude,
        "phase" => &knee.phase,
        "early-fusion" => &knee.inter,
        "wide-magnitude" => &knee.wide_magnitude,
        "wide-early-fusion" => &knee.wide_inter,
        _ => &mimic.inter,
    }
    .clone()
}

impl Subject {
    /// A model of [`MODELS`] or [`KNEE_MODELS`], with this batch and these sides of the images (the paper's: 40, and 28 and 112).
    ///
    /// # Errors
    /// If there is no such model.
    pub fn new(name: &str, batch: usize, sides: [usize; 2]) -> Result<Self, RehearsalError> {
        if name == SMALL_RESNET {
            return Subject::small_resnet(batch, sides[0]);
        }
        let unknown = || RehearsalError::Unknown(name.to_owned());
        let (_, experts) = models().find(|(model, _)| *model == name).ok_or_else(unknown)?;
        let mimic = experts.iter().any(|expert| ["static", "series", "clinical"].contains(expert));
        let settings = resolve(ProtocolName::Paper, Tier::Paper)?.settings;
        let knee = KNEE_MODELS.iter().any(|(model, _)| *model == name);
        let [first, second] = sides.map(|side| vec![1, side, side]);
        let (task, training, dims) = if mimic {
            let task = Task::Mortality;
            (task, settings.mimic.runs.unimodal.training(task), [vec![5], vec![24, 12], vec![]])
        } else if knee {
            (Task::Knee, settings.fastmri.runs.magnitude.training(), [second.clone(), second, vec![]])
        } else {
            let task = Task::Digits;
            (task, settings.avmnist.runs.unimodal.training(task), [first, second, vec![]])
        };
        let training = Training { batch_size: batch, ..training };
        let experts = experts.iter().map(|name| (*name, architecture(&settings, name))).collect();
        Ok(Subject { experts, dims, task, training })
    }

    /// [`SMALL_RESNET`] on images of both modalities.
    fn small_resnet(batch: usize, side: usize) -> Result<Self, RehearsalError> {
        let runs = resolve(ProtocolName::Paper, Tier::Paper)?.settings.fastmri.runs;
        let network = Architecture::PreactResnet {
            modalities: vec![Modality::First, Modality::Second],
            stem: 40,
            widths: vec![40, 56],
            blocks: 1,
            groups: 8,
            pool: 2,
        };
        let image = vec![1, side, side];
        Ok(Subject {
            experts: vec![("inter", network)],
            dims: [image.clone(), image, vec![]],
            task: Task::Knee,
            training: Training { batch_size: batch, ..runs.inter.training() },
        })
    }

    /// Its networks with fresh weights, and their optimiser.
    ///
    /// # Errors
    /// If the device fails.
    pub fn learner<E: Real, D: Backend<E>>(&self, device: &D) -> Result<Learner<E, D>, ModelError> {
        let experts = Experts::new(
            &Scope::new(device.clone(), Seeds::root(0).child("init")),
            self.experts.iter().map(|(name, architecture)| (*name, architecture)),
            [&self.dims[0], &self.dims[1], &self.dims[2]],
            self.task.logits(),
        )?;
        let mut learner = Learner::new(device, experts, &self.training)?;
        let heads = self.task.heads().len();
        if heads > 0 {
            // As where a fifth of the slices has each finding.
            let weights = [0.625, 2.5].repeat(heads);
            learner.ask(Heads::new(device, heads, self.task.classes(), &weights)?);
        }
        Ok(learner)
    }

    /// The noise it learns from.
    pub fn noise(&self) -> impl crate::data::Dataset + use<> {
        Noise::with_rows(self.dims.clone(), self.task.labels(), BATCHES * self.training.batch_size, 1)
    }
}

/// A model at work on a device.
pub struct Rehearsal<'a, D: Feed> {
    learner: Learner<f32, D>,
    held: D::Held<'a>,
    batch: usize,
    done: usize,
}

impl<'a, D: Feed> Rehearsal<'a, D> {
    /// A model before its first step, fed from `noise`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(
        device: &D,
        subject: &Subject,
        noise: &'a dyn crate::data::Dataset,
    ) -> Result<Self, RehearsalError> {
        let learner = subject.learner(device)?;
        let held = device.hold(noise, learner.experts.modalities())?;
        Ok(Rehearsal { learner, held, batch: subject.training.batch_size, done: 0 })
    }

    /// The same, with every step sent as it is, not recorded; where nothing is recorded, there is no difference.
    ///
    /// # Errors
    /// If the device fails.
    pub fn plain(
        device: &D,
        subject: &Subject,
        noise: &'a dyn crate::data::Dataset,
    ) -> Result<Self, RehearsalError> {
        let mut rehearsal = Rehearsal::new(device, subject, noise)?;
        D::without_recording(&mut rehearsal.held);
        Ok(rehearsal)
    }

    /// Takes steps; gives the loss of each.
    ///
    /// # Errors
    /// If one fails.
    pub fn steps(&mut self, count: usize) -> Result<Vec<f64>, RehearsalError> {
        let first = self.done * self.batch;
        let rows = BATCHES * self.batch;
        let order: Vec<u32> = (first..first + count * self.batch).map(|row| (row % rows) as u32).collect();
        self.done += count;
        let mut losses = Vec::with_capacity(count);
        let mut told = |met: crate::ops::optimizer::Met, _| losses.push(met.loss);
        D::train(&mut self.held, &mut self.learner, &order, self.batch, &mut told)
            .map_err(|StepFailed { source, .. }| source)?;
        Ok(losses)
    }

    /// Weights and running statistics.
    pub fn weights(&mut self) -> Tensors {
        weights::export(&mut self.learner.experts)
    }

    /// What the device keeps between batches.
    pub fn held(&self) -> &D::Held<'a> {
        &self.held
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
        let subject = Subject::new(name, 7, [16, 64]).unwrap();
        let noise = subject.noise();
        let mut rehearsal = Rehearsal::new(&Cpu::default(), &subject, &noise).unwrap();
        let mut losses = rehearsal.steps(steps[0]).unwrap();
        losses.extend(rehearsal.steps(steps[1]).unwrap());
        (losses, rehearsal.weights())
    }

    #[test]
    fn rehearsals_repeat_and_learn() {
        for name in ["lf", "mimic-i2m2"] {
            let (first, again) = (trained(name, [3, 4]), trained(name, [5, 2]));
            let distance = Distance::between((&first.0, &first.1), (&again.0, &again.1));
            assert!(distance.same_bits && distance.loss == 0.0 && distance.weight == 0.0, "{distance:?}");
            let other = trained(name, [3, 3]);
            assert!(!Distance::between((&first.0, &first.1), (&other.0, &other.1)).same_bits);
        }
        assert!(matches!(Subject::new("none", 1, [16, 64]), Err(RehearsalError::Unknown(_))));
    }
}
