//! Twenty training steps in f64 of every whole model end where PyTorch's end: each parameter and BatchNorm buffer
//! within 1e-8. `scripts/golden_models.py` made the golden file; initial values and batches come from the generator
//! that both sides have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "common/golden.rs"]
mod golden;

use dfdx::prelude::Cpu;
use golden::{golden, signed, uniforms};
use i2m2::data::Modality;
use i2m2::experiment::Learner;
use i2m2::models::{Experts, Input, Inputs, Scope};
use i2m2::random::Seeds;
use i2m2::study::{Activation, Encoder, Fusion, Head, LowRank, Network, Optimizer, SelectBy, Training};

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

fn lenet(channels: usize, stages: usize) -> Encoder {
    Encoder::Lenet { channels, stages }
}

fn head(hidden: usize, activation: Activation) -> Head {
    Head { hidden, activation }
}

fn image() -> (&'static str, Network) {
    ("image", Network::of([("m0", lenet(3, 4))], Fusion::Concatenate, head(20, Activation::Relu)))
}

fn audio() -> (&'static str, Network) {
    ("audio", Network::of([("m1", lenet(2, 5))], Fusion::Concatenate, head(20, Activation::Relu)))
}

fn both(fusion: Fusion) -> (&'static str, Network) {
    ("inter", Network::of([("m0", lenet(2, 4)), ("m1", lenet(2, 5))], fusion, head(20, Activation::Relu)))
}

fn late_fusion() -> (&'static str, Network) {
    both(Fusion::Concatenate)
}

fn low_rank(trainable: bool) -> (&'static str, Network) {
    both(Fusion::LowRank(LowRank { rank: 5, output: 12, trainable }))
}

const LEAKY: Activation = Activation::LeakyRelu { slope: 0.2 };
const MLP: Encoder = Encoder::Mlp { units: 10, activation: LEAKY };

fn statics() -> (&'static str, Network) {
    ("static", Network::of([("m0", MLP)], Fusion::Concatenate, head(40, LEAKY)))
}

fn series() -> (&'static str, Network) {
    let encoder = Encoder::Gru { hidden: 30, projection: Some(15) };
    ("series", Network::of([("m1", encoder)], Fusion::Concatenate, head(40, LEAKY)))
}

fn clinical() -> (&'static str, Network) {
    let encoders = [("m0", MLP), ("m1", Encoder::Gru { hidden: 30, projection: None })];
    ("inter", Network::of(encoders, Fusion::Concatenate, head(40, LEAKY)))
}

fn follows(case: &str, family: &Family, experts: &[(&str, Network)]) {
    let device = Cpu::default();
    let scope = Scope::new(device.clone(), Seeds::root(0));
    let specs = experts.iter().map(|(name, network)| (*name, network));
    let modalities: Vec<Modality> = (family.dims.iter().enumerate())
        .filter(|(_, dims)| !dims.is_empty())
        .map(|(place, dims)| Modality::new(format!("m{place}"), dims.to_vec()))
        .collect();
    let mut experts: Experts<f64, Cpu> = Experts::new(&scope, specs, &modalities, family.classes).unwrap();
    let named_tensors = experts.named_tensors();
    for (name, parameter) in named_tensors.parameters {
        parameter.value.copy_from(&initial(&name, &parameter.dims));
    }
    for (name, buffer) in named_tensors.buffers {
        let channels = buffer.as_vec().len();
        buffer.copy_from(&initial(&name, &[channels]));
    }
    let training = Training {
        optimizer: family.optimizer,
        learning_rate: family.learning_rate,
        weight_decay: family.weight_decay,
        betas: None,
        clip_norm: Some(1.0),
        batch_size: BATCH,
        micro_batch: None,
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
        let mut inputs = Inputs(Vec::new());
        for (m, modality) in modalities.iter().enumerate() {
            let mut input = Input::zeros(&device, modality, BATCH).unwrap();
            let count = BATCH * modality.features();
            input.fill(&batch_innermost(&signed(&format!("input{m}/{step}"), count, 1.0, 0.0))).unwrap();
            inputs.0.push(Some(input));
        }
        let labels: Vec<u32> = uniforms(&format!("labels/{step}"), BATCH)
            .into_iter()
            .map(|u| (u * family.classes as f64) as u32)
            .collect();
        losses.push(learner.step(&inputs, &labels).unwrap());
    }
    near("losses", &losses);
    let named_tensors = learner.experts.named_tensors();
    let mut compared = 1;
    let parameters =
        named_tensors.parameters.into_iter().map(|(name, parameter)| (name, parameter.value.as_vec()));
    let buffers = named_tensors.buffers.into_iter().map(|(name, buffer)| (name, buffer.as_vec()));
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
