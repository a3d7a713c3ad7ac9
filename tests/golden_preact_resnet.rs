//! fastMRI's network against PyTorch: the paper's size, forward and every gradient, and a tiny I2M2 trained by AdamW on
//! the weighted loss of four heads. `scripts/golden_preact_resnet.py` made the golden file.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/golden.rs"]
mod golden;

use dfdx::prelude::{Backward, Cpu, HasShape, NoneTape, OwnedTape, Tensor};
use golden::{golden, signed, uniforms};
use i2m2::data::Modality;
use i2m2::experiment::{Learner, Loss};
use i2m2::models::{Experts, Input, Inputs, Scope};
use i2m2::ops::norm_relu_pool::Statistics;
use i2m2::ops::product_of_experts::{Heads, Labels, product_of_heads};
use i2m2::ops::simd::Real;
use i2m2::random::Seeds;
use i2m2::study::{Backbone, Network, Optimizer, ProtocolName, SelectBy, Tier, Training, resolve};

const WEIGHTS: [f64; 8] = [0.6, 2.5, 0.55, 4.0, 0.5, 3.0, 0.7, 1.5];
const STEPS: usize = 20;

fn initial(name: &str, dims: &[usize]) -> Vec<f64> {
    let count = dims.iter().product();
    if name.contains(".norm") && name.ends_with(".weight") {
        signed(name, count, 0.1, 1.0)
    } else if dims.len() < 2 {
        signed(name, count, 0.1, 0.0)
    } else {
        let fan_in: usize = dims[1..].iter().product();
        signed(name, count, (3.0 / fan_in as f64).sqrt(), 0.0)
    }
}

/// Every value within `tolerance` of the expected one, relative to the largest.
fn near(name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(1e-3, |most: f64, value| most.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs() / scale;
        assert!(error < tolerance, "{name}: {found} instead of {expected}");
    }
}

fn experts<E: Real>(networks: &[(&str, Network)], height: usize, width: usize) -> Experts<E, Cpu>
where
    Cpu: i2m2::ops::Backend<E>,
{
    let scope = Scope::new(Cpu::default(), Seeds::root(0));
    let modalities = ["magnitude", "phase"].map(|name| Modality::new(name, [1, height, width]));
    let specs = networks.iter().map(|(name, network)| (*name, network));
    let mut experts = Experts::new(&scope, specs, &modalities, 8).unwrap();
    for (name, parameter) in experts.named_tensors().parameters {
        let values: Vec<E> = initial(&name, &parameter.dims).into_iter().map(E::of).collect();
        parameter.value.copy_from(&values);
    }
    experts
}

fn batch<E: Real>(name: &str, [batch, height, width]: [usize; 3]) -> (Inputs<E, Cpu>, Vec<u32>)
where
    Cpu: i2m2::ops::Backend<E>,
{
    let mut inputs = Inputs(Vec::new());
    for m in 0..2 {
        let modality = Modality::new(format!("m{m}"), [1, height, width]);
        let mut input = Input::zeros(&Cpu::default(), &modality, batch).unwrap();
        let (pixels, values) =
            (height * width, signed(&format!("{name}/input{m}"), batch * height * width, 1.0, 0.0));
        let innermost = (0..pixels)
            .flat_map(|pixel| (0..batch).map(move |n| n * pixels + pixel))
            .map(|i| E::of(values[i]));
        input.fill(&innermost.collect::<Vec<_>>()).unwrap();
        inputs.0.push(Some(input));
    }
    let labels = uniforms(&format!("{name}/labels"), batch).into_iter().map(|u| (u * 16.0) as u32);
    (inputs, labels.collect())
}

/// Logits and gradients of the paper's early-fusion network.
fn full<E: Real>(tolerance: f64)
where
    Cpu: i2m2::ops::Backend<E>,
{
    let study = resolve(ProtocolName::Paper, Tier::Paper).unwrap().studies.remove("fastmri").unwrap();
    let mut experts = experts::<E>(&[("inter", study.experts["inter"].network.clone())], 80, 80);
    let golden = golden("preact_resnet");
    let (inputs, labels) = batch::<E>("full", [2, 80, 80]);
    let logits = experts.logits::<OwnedTape<E, Cpu>>(&inputs, Statistics::Running).unwrap();
    let values = logits[0].retaped::<NoneTape>().as_vec();
    // Golden logits are example by example, ours batch innermost.
    let found: Vec<f64> =
        (0..2).flat_map(|n| (0..8).map(move |k| 2 * k + n)).map(|i| values[i].to_f64()).collect();
    near("logits", &found, &golden["full/logits"], tolerance);
    let device = Cpu::default();
    let (labels, heads) =
        (Labels::new(&device, &labels).unwrap(), Heads::new(&device, 4, 2, &WEIGHTS).unwrap());
    let loss = product_of_heads(logits, &labels, &heads).unwrap().loss;
    near("loss", &[loss.as_vec()[0].to_f64()], &golden["full/loss"], tolerance);
    let gradients = loss.backward();
    let parameters = experts.named_tensors().parameters;
    assert_eq!(parameters.len() + 2, golden.keys().filter(|name| name.starts_with("full/")).count());
    for (name, parameter) in parameters {
        let gradient: Tensor<(usize,), E, Cpu> = gradients.get(&parameter.value);
        assert_eq!(gradient.shape().0, parameter.dims.iter().product::<usize>());
        let gradient: Vec<f64> = gradient.as_vec().into_iter().map(Real::to_f64).collect();
        let probe = signed(&format!("probe/{name}"), gradient.len(), 1.0, 0.0);
        let norm = gradient.iter().map(|x| x * x).sum::<f64>().sqrt();
        let product: f64 = gradient.iter().zip(&probe).map(|(x, p)| x * p).sum();
        // The product is of the size of the norm; single numbers are held to the same scale.
        let found = [&[norm, product], &gradient[..4]].concat();
        near(&name, &found, &golden[&format!("full/{name}")], tolerance);
    }
}

#[test]
fn the_network_of_the_paper_gives_pytorchs_logits_and_gradients() {
    full::<f64>(1e-8);
}

#[test]
fn in_single_precision_it_is_close() {
    full::<f32>(1e-4);
}

#[test]
fn a_tiny_i2m2_follows_pytorch_through_adamw() {
    let network = |modalities: &[&str]| Network::Backbone {
        backbone: Backbone::PreactResnet {
            modalities: modalities.iter().map(|name| (*name).to_owned()).collect(),
            stem: 4,
            widths: vec![4, 8],
            blocks: 1,
            groups: 2,
            pool: 2,
        },
    };
    let networks = [
        ("magnitude", network(&["magnitude"])),
        ("phase", network(&["phase"])),
        ("inter", network(&["magnitude", "phase"])),
    ];
    let training = Training {
        optimizer: Optimizer::AdamW,
        learning_rate: 1e-2,
        weight_decay: 1e-1,
        betas: None,
        clip_norm: None,
        batch_size: 4,
        micro_batch: None,
        epochs: 1,
        patience: None,
        select_by: SelectBy::Auroc,
        class_weights: None,
    };
    let device = Cpu::default();
    let mut learner = Learner::new(&device, experts::<f64>(&networks, 9, 11), &training).unwrap();
    learner.minimise(Loss::Binary(Heads::new(&device, 4, 2, &WEIGHTS).unwrap()));
    let losses: Vec<f64> = (0..STEPS)
        .map(|step| {
            let (inputs, labels) = batch(&format!("small/{step}"), [4, 9, 11]);
            learner.step(&inputs, &labels).unwrap()
        })
        .collect();
    let golden = golden("preact_resnet");
    near("losses", &losses, &golden["small/losses"], 1e-8);
    for (name, parameter) in learner.experts.named_tensors().parameters {
        near(&name, &parameter.value.as_vec(), &golden[&format!("small/{name}")], 1e-8);
    }
}
