//! Training steps per second of one whole model at full size and batch 40, with what a step costs beside time, as JSON;
//! our side of `scripts/compare_pytorch.py` and `compare_pytorch_knee.py`.
//!
//! ```text
//! cargo run --release --example step_rate -- --model avmnist/i2m2-lf --seconds 3 --threads 2
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod common;

use anyhow::bail;
use clap::Parser;
use common::Model;
use common::rate::rate;
use i2m2::experiment::workload::BATCH;
use i2m2::ops::simd::isa;
use i2m2::provenance::peak_memory;

/// Measures training steps per second.
#[derive(Parser)]
struct Arguments {
    /// STUDY/MODEL, as in `paper/studies/`: avmnist/i2m2-lf, mimic/i2m2, fastmri/inter ...
    #[arg(long)]
    model: String,
    /// How long to measure.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Examples in a batch.
    #[arg(long, default_value_t = BATCH)]
    batch: usize,
    /// Side of all maps; the paper's sizes without.
    #[arg(long)]
    side: Option<usize>,
    /// Measures evaluations of a batch instead.
    #[arg(long)]
    evaluate: bool,
    /// Steps before the measurement.
    #[arg(long, default_value_t = 5)]
    warm_up: usize,
    /// Threads of the pool.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Waits for a line on stdin before measuring, so that several processes can begin together.
    #[arg(long)]
    wait: bool,
}

fn measure(arguments: &Arguments) -> anyhow::Result<serde_json::Value> {
    let mut model = Model::with(&arguments.model, arguments.batch, arguments.side.as_slice())?;
    let mut step = || if arguments.evaluate { model.evaluate() } else { model.step().map(drop) };
    for _ in 0..arguments.warm_up {
        step()?;
    }
    let rate = rate(arguments.seconds, arguments.wait, step)?;
    Ok(serde_json::json!({
        "model": arguments.model,
        "steps_per_second": rate.per_second,
        "page_faults_per_step": rate.page_faults,
        "peak_bytes": peak_memory(),
        "isa": isa().to_string(),
    }))
}

fn main() -> anyhow::Result<()> {
    i2m2::device::keep_freed_memory();
    let arguments = Arguments::parse();
    if arguments.threads == 0 {
        bail!("--threads must be at least 1");
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build()?;
    println!("{}", pool.install(|| measure(&arguments))?);
    Ok(())
}
