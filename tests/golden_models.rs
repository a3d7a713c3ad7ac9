//! Twenty training steps in f64 of every whole model end where PyTorch's end: each parameter and BatchNorm buffer
//! within 1e-8. `scripts/golden_models.py` made the golden file; initial values and batches come from the generator
//! that both sides have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "common/golden.rs"]
mod golden;

use dfdx::prelude::Cpu;
use golden::{golden, signed, uniforms};
use i2m2::experiment::Learner;
use i2m2::models::{Experts, Input, Inputs, Scope};
use i2m2::protocol::{Activation, Architecture, Modality, Optimizer, SelectBy, Training};
use i2m2::random::Seeds;

const STEPS: usize = 20;
const BATCH: usize = 4;

fn initial(name: &str, dims: &[usize]) -> Vec<f64> {
    let (scale, offset) =
        if name.ends_with("running_var") || name.contains(".norm") && name.ends_with(".weight") {
            (0.1, 1.0)
        } else if dims.len() < 2 {
            (0.1, 0.0)
        } else {
            let fan_in: usize = if dims.len() == 3 { dims[1] } else { dims[1..].iter().product() };
            (1.0 / (fan_in as f64).sqrt(), 0.0)
        };
    signed(name, dims.iter().product(), scale, offset)
}

/// PyTorch's order, example by example, to batch innermost.
fn batch_innermost(values: &[f64]) -> Vec<f64> {
    let len = values.len() / BATCH;
    (0..len).flat_map(|feature| (0..BATCH).map(move |n| values[n * len + feature])).collect()
}

struct Family {
    dims: [Vec<usize>; 3],
    classes: usize,
    optimizer: Optimizer,
    learning_rate: f64,
    weight_decay: f64,
}

fn digits() -> Family {
    Family {
        dims: [vec![1, 28, 28], vec![1, 32, 32], vec![]],
        classes: 10,
        optimizer: Optimizer::Sgd,
        learning_rate: 0.05,
        weight_decay: 1e-4,
    }
}

fn mortality() -> Family {
    Family {
        dims: [vec![5], vec![6, 12], vec![]],
        classes: 6,
        optimizer: Optimizer::Rmsprop,
        learning_rate: 1e-3,
        weight_decay: 0.0,
    }
}

fn image() -> (&'static str, Architecture) {
    ("image", Architecture::Lenet { modality: Modality::First, channels: 3, stages: 4, hidden: 20 })
}

fn audio() -> (&'static str, Architecture) {
    ("audio", Architecture::Lenet { modality: Modality::Second, channels: 2, stages: 5, hidden: 20 })
}

fn late_fusion() -> (&'static str, Architecture) {
    ("inter", Architecture::LenetLateFusion { channels: 2, stages: [4, 5], hidden: 20 })
}

fn low_rank(trainable_fusion: bool) -> (&'static str, Architecture) {
    let (channels, stages, rank, output, hidden) = (2, [4, 5], 5, 12, 20);
    ("inter", Architecture::LenetLowRank { channels, stages, rank, output, hidden, trainable_fusion })
}

const LEAKY: Activation = Activation::LeakyRelu { slope: 0.2 };

fn statics() -> (&'static str, Architecture) {
    ("static", Architecture::StaticMlp { encoder: 10, hidden: 40, activation: LEAKY })
}

fn series() -> (&'static str, Architecture) {
    ("series", Architecture::SeriesGru { gru: 30, projection: 15, hidden: 40, activation: LEAKY })
}

fn clinical() -> (&'static str, Architecture) {
    ("inter", Architecture::ClinicalLateFusion { encoder: 10, gru: 30, hidden: 40, activation: LEAKY })
}

fn follows(case: &str, family: &Family, experts: &[(&str, Architecture)]) {
    let device = Cpu::default();
    let scope = Scope::new(device.clone(), Seeds::root(0));
    let specs = experts.iter().map(|(name, architecture)| (*name, architecture));
    let dims = [&family.dims[0][..], &family.dims[1][..], &family.dims[2][..]];
    let mut experts: Experts<f64, Cpu> = Experts::new(&scope, specs, dims, family.classes).unwrap();
    let slots = experts.slots();
    for (name, parameter) in slots.parameters {
        parameter.value.copy_from(&initial(&name, &parameter.dims));
    }
    for (name, buffer) in slots.buffers {
        let channels = buffer.as_vec().len();
        buffer.copy_from(&initial(&name, &[channels]));
    }
    let training = Training {
        optimizer: family.optimizer,
        learning_rate: family.learning_rate,
        weight_decay: family.weight_decay,
        clip_norm: Some(1.0),
        batch_size: BATCH,
        epochs: 1,
        patience: None,
        select_by: SelectBy::Accuracy,
        class_weights: None,
    };
    let golden = golden("models");
    let near = |name: &str, found: &[f64]| {
        let expected = &golden[&format!("{case}/{name}")];
        assert_eq!(found.len(), expected.len(), "{case}/{name}");
        for (found, expected) in found.iter().zip(expected) {
            let error = (found - expected).abs() / expected.abs().max(1.0);
            assert!(error < 1e-8, "{case}/{name}: {found} instead of {expected}");
        }
    };
    let mut learner = Learner::new(&Cpu::default(), experts, &training).unwrap();
    let mut losses = Vec::new();
    for step in 0..STEPS {
        let mut inputs = Inputs::default();
        for (m, modality) in [Modality::First, Modality::Second].into_iter().enumerate() {
            let mut input = Input::zeros(&device, modality, dims[m], BATCH).unwrap();
            let count = BATCH * dims[m].iter().product::<usize>();
            input.fill(&batch_innermost(&signed(&format!("input{m}/{step}"), count, 1.0, 0.0)));
            inputs.0[m] = Some(input);
        }
        let labels: Vec<u8> = uniforms(&format!("labels/{step}"), BATCH)
            .into_iter()
            .map(|u| (u * family.classes as f64) as u8)
            .collect();
        losses.push(learner.step(&inputs, &labels).unwrap());
    }
    near("losses", &losses);
    let slots = learner.experts.slots();
    let mut compared = 1;
    let parameters = slots.parameters.into_iter().map(|(name, parameter)| (name, parameter.value.as_vec()));
    let buffers = slots.buffers.into_iter().map(|(name, buffer)| (name, buffer.as_vec()));
    for (name, values) in parameters.chain(buffers) {
        near(&name, &values);
        compared += 1;
    }
    let stored = golden.keys().filter(|name| name.split('/').next() == Some(case)).count();
    assert_eq!(compared, stored, "{case}: every stored tensor is compared");
}

#[test]
fn unimodal_and_intra_of_avmnist_follow_pytorch() {
    follows("image", &digits(), &[image()]);
    follows("audio", &digits(), &[audio()]);
    follows("intra", &digits(), &[image(), audio()]);
}

#[test]
fn late_fusion_follows_pytorch() {
    follows("lf", &digits(), &[late_fusion()]);
    follows("i2m2-lf", &digits(), &[image(), audio(), late_fusion()]);
}

#[test]
fn low_rank_fusion_follows_pytorch_trained_and_frozen() {
    follows("lrtf", &digits(), &[low_rank(true)]);
    follows("lrtf-frozen", &digits(), &[low_rank(false)]);
    follows("i2m2-lrtf", &digits(), &[image(), audio(), low_rank(true)]);
}

#[test]
fn mimic_follows_pytorch() {
    follows("static", &mortality(), &[statics()]);
    follows("series", &mortality(), &[series()]);
    follows("mimic-intra", &mortality(), &[statics(), series()]);
    follows("mimic-inter", &mortality(), &[clinical()]);
    follows("mimic-i2m2", &mortality(), &[statics(), series(), clinical()]);
}

/// The comparison can fail: a trained fusion does not follow the frozen one's trajectory.
#[test]
#[should_panic(expected = "lrtf-frozen/losses")]
fn a_trained_fusion_leaves_the_frozen_trajectory() {
    follows("lrtf-frozen", &digits(), &[low_rank(true)]);
}
