//! The paper's models at full size on random inputs, for examples and benches.
#![allow(dead_code, reason = "each program uses its share")]

use anyhow::Context as _;
use dfdx::prelude::Cpu;
use i2m2::experiment::Learner;
use i2m2::models::{Experts, Input, Inputs, Scope};
use i2m2::protocol::{Architecture, Modality, ProtocolName, Settings, Task, Tier, Training, resolve};
use i2m2::random::Seeds;

/// The batch of AV-MNIST and MIMIC-III.
pub const BATCH: usize = 40;

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

/// An expert's network, as the protocol has it.
fn architecture(settings: &Settings, expert: &str) -> Architecture {
    let (avmnist, mimic) = (&settings.avmnist.experts, &settings.mimic.experts);
    match expert {
        "image" => &avmnist.image,
        "audio" => &avmnist.audio,
        "lf" => &avmnist.late_fusion,
        "lrtf" => &avmnist.low_rank,
        "static" => &mimic.static_,
        "series" => &mimic.series,
        _ => &mimic.inter,
    }
    .clone()
}

/// A model, its optimiser, and one batch that it learns from again and again.
pub struct Model {
    pub learner: Learner<f32, Cpu>,
    inputs: Inputs<f32, Cpu>,
    labels: Vec<u8>,
}

impl Model {
    /// A model of [`MODELS`] at the paper's sizes.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        Model::with(name, BATCH, [28, 112])
    }

    /// The same with another batch and other sides of the images.
    pub fn with(name: &str, batch: usize, sides: [usize; 2]) -> anyhow::Result<Self> {
        let (_, experts) =
            MODELS.iter().find(|(model, _)| *model == name).context("no such model; --help lists them")?;
        let mimic = experts.iter().any(|expert| ["static", "series", "clinical"].contains(expert));
        let settings = resolve(ProtocolName::Paper, Tier::Paper)?.settings;
        let (task, runs, dims) = if mimic {
            (Task::Mortality, &settings.mimic.runs.unimodal, [vec![5], vec![24, 12]])
        } else {
            (Task::Digits, &settings.avmnist.runs.unimodal, sides.map(|side| vec![1, side, side]))
        };
        let (training, classes) = (Training { batch_size: batch, ..runs.training(task) }, task.classes());
        let device = Cpu::default();
        let seeds = Seeds::root(0);
        let architectures: Vec<_> =
            experts.iter().map(|name| (*name, architecture(&settings, name))).collect();
        let built = Experts::<f32, Cpu>::new(
            &Scope::new(device.clone(), seeds.child("init")),
            architectures.iter().map(|(name, architecture)| (*name, architecture)),
            [&dims[0], &dims[1]],
            classes,
        )?;
        let mut inputs = Inputs([None, None]);
        for (m, modality) in [Modality::First, Modality::Second].into_iter().enumerate() {
            let mut stream = seeds.child("input").child(m).stream();
            let count = batch * dims[m].iter().product::<usize>();
            let mut input = Input::zeros(&device, modality, &dims[m], batch)?;
            input.fill(&(0..count).map(|_| stream.uniform() as f32).collect::<Vec<_>>());
            inputs.0[m] = Some(input);
        }
        let mut stream = seeds.child("labels").stream();
        let labels: Vec<u8> = (0..batch).map(|_| stream.below(classes as u64) as u8).collect();
        Ok(Model { learner: Learner::new(&device, built, &training)?, inputs, labels })
    }

    /// One training step; gives the loss.
    pub fn step(&mut self) -> anyhow::Result<f64> {
        Ok(self.learner.step(&self.inputs, &self.labels)?)
    }
}
