//! Training steps per second of one whole model at full size and batch 40, as JSON; our side of
//! `scripts/compare_pytorch.py`.
//!
//! ```text
//! cargo run --release --example step_rate -- --model i2m2-lf --seconds 3 --threads 2
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Parser;
use dfdx::prelude::Cpu;
use i2m2::experiment::Learner;
use i2m2::models::{Experts, Input, Inputs, Scope};
use i2m2::protocol::{Activation, Architecture, Modality, Optimizer, SelectBy, Training};
use i2m2::random::Seeds;

const BATCH: usize = 40;

/// Measures training steps per second.
#[derive(Parser)]
struct Arguments {
    /// image, audio, intra, lf, lrtf, i2m2-lf, i2m2-lrtf, static, series, mimic-intra, mimic-inter or mimic-i2m2.
    #[arg(long)]
    model: String,
    /// How long to measure.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Threads of the pool.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn architecture(expert: &str) -> Architecture {
    let activation = Activation::LeakyRelu { slope: 0.2 };
    match expert {
        "image" => Architecture::Lenet { modality: Modality::First, channels: 3, stages: 4, hidden: 100 },
        "audio" => Architecture::Lenet { modality: Modality::Second, channels: 3, stages: 6, hidden: 100 },
        "lf" => Architecture::LenetLateFusion { channels: 6, stages: [4, 6], hidden: 100 },
        "lrtf" => Architecture::LenetLowRank {
            channels: 6,
            stages: [4, 6],
            rank: 40,
            output: 120,
            hidden: 100,
            trainable_fusion: true,
        },
        "static" => Architecture::StaticMlp { encoder: 10, hidden: 40, activation },
        "series" => Architecture::SeriesGru { gru: 30, projection: 15, hidden: 40, activation },
        _ => Architecture::ClinicalLateFusion { encoder: 10, gru: 30, hidden: 40, activation },
    }
}

fn experts(model: &str) -> Option<&'static [&'static str]> {
    Some(match model {
        "image" => &["image"],
        "audio" => &["audio"],
        "intra" => &["image", "audio"],
        "lf" => &["lf"],
        "lrtf" => &["lrtf"],
        "i2m2-lf" => &["image", "audio", "lf"],
        "i2m2-lrtf" => &["image", "audio", "lrtf"],
        "static" => &["static"],
        "series" => &["series"],
        "mimic-intra" => &["static", "series"],
        "mimic-inter" => &["clinical"],
        "mimic-i2m2" => &["static", "series", "clinical"],
        _ => return None,
    })
}

fn rate(arguments: &Arguments) -> anyhow::Result<f64> {
    let experts = experts(&arguments.model).context("no such model; --help lists them")?;
    let mimic = experts.iter().any(|expert| ["static", "series", "clinical"].contains(expert));
    let (dims, classes) =
        if mimic { ([vec![5], vec![24, 12]], 6) } else { ([vec![1, 28, 28], vec![1, 112, 112]], 10) };
    let training = Training {
        optimizer: if mimic { Optimizer::Rmsprop } else { Optimizer::Sgd },
        learning_rate: if mimic { 1e-3 } else { 0.05 },
        weight_decay: if mimic { 0.0 } else { 1e-4 },
        clip_norm: 8.0,
        batch_size: BATCH,
        epochs: 1,
        patience: None,
        select_by: SelectBy::Accuracy,
    };
    let device = Cpu::default();
    let seeds = Seeds::root(0);
    let architectures: Vec<_> = experts.iter().map(|name| (*name, architecture(name))).collect();
    let built = Experts::<f32, Cpu>::new(
        &Scope::new(device.clone(), seeds.child("init")),
        architectures.iter().map(|(name, architecture)| (*name, architecture)),
        [&dims[0], &dims[1]],
        classes,
    )?;
    let mut inputs = Inputs([None, None]);
    for (m, modality) in [Modality::First, Modality::Second].into_iter().enumerate() {
        let mut stream = seeds.child("input").child(m).stream();
        let count = BATCH * dims[m].iter().product::<usize>();
        let mut input = Input::zeros(&device, modality, &dims[m], BATCH)?;
        input.fill(&(0..count).map(|_| stream.uniform() as f32).collect::<Vec<_>>());
        inputs.0[m] = Some(input);
    }
    let mut stream = seeds.child("labels").stream();
    let labels: Vec<u8> = (0..BATCH).map(|_| stream.below(classes as u64) as u8).collect();
    let mut learner = Learner::new(built, &training)?;
    for _ in 0..3 {
        learner.step(&inputs, &labels)?;
    }
    let (mut steps, start) = (0u64, Instant::now());
    while start.elapsed().as_secs_f64() < arguments.seconds {
        learner.step(&inputs, &labels)?;
        steps += 1;
    }
    Ok(steps as f64 / start.elapsed().as_secs_f64())
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.threads == 0 {
        bail!("--threads must be at least 1");
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build()?;
    let rate = pool.install(|| rate(&arguments))?;
    println!("{}", serde_json::json!({ "model": arguments.model, "steps_per_second": rate }));
    Ok(())
}
