//! The doctor's tests of a GPU.
//!
//! Invariant: every finding is said as soon as it is there, in words or as JSON.

use std::time::Instant;

use dfdx::prelude::Cuda;

use super::say;
use crate::cli::args::{Doctor, Stage};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::device::{Precision, cuda};
use crate::experiment::examine::{FiberParity, FiberSpeed, Libraries, ModelParity, Speed};
use crate::experiment::workload::MODELS;
use crate::ops;
use crate::ops::kernel::ceiling::{self, Ceilings};
use crate::ops::parity::{CASES, Parity, compare};

/// Says which devices, drivers and libraries are here.
pub(super) fn describe(json: bool) -> Result<(), Failure> {
    let found = Libraries::here();
    let mut words = format!(
        "driver: {}; NVRTC: {}; compiled kernels are kept in {}",
        found.driver.as_deref().unwrap_or("missing"),
        found.compiler.as_deref().unwrap_or("missing"),
        found.kernel_cache.as_deref().unwrap_or("memory only"),
    );
    for gpu in &found.gpus {
        words += &format!(
            "\ncuda:{}: {}, compute capability {}.{}, {:.1} GiB, {} multiprocessors at {} MHz, {} GB/s",
            gpu.index,
            gpu.name,
            gpu.compute_capability.0,
            gpu.compute_capability.1,
            gpu.memory as f64 / f64::from(1 << 30),
            gpu.multiprocessors,
            gpu.clock,
            gpu.bandwidth,
        );
    }
    if let Some(problem) = &found.problem {
        words += &format!("\n{problem}");
    }
    say(json, &words, &found)
}

/// Runs the tests that were asked for.
pub(super) fn examine(doctor: &Doctor, index: usize, precision: Precision) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let device = ops::cuda::open(index, precision).map_err(Failure::usage)?;
    let opened = begun.elapsed().as_secs_f64();
    if let Some((free, total)) = cuda::memory() {
        let value = serde_json::json!({ "opened_in_seconds": opened, "free_bytes": free, "bytes": total });
        say(
            doctor.json,
            &format!("opened in {opened:.1} s; {} of {} MiB are free", free >> 20, total >> 20),
            &value,
        )?;
    }
    let failed = match doctor.stage {
        Stage::Ops => all_ops(doctor, &device, precision)?,
        Stage::Models => models(doctor, &device, precision)?,
        Stage::Speed => speed(doctor, &device)?,
        Stage::Fiber => fiber(doctor, &device, precision)?,
    };
    let verdict = if failed == 0 { "all is well".to_owned() } else { format!("{failed} tests failed") };
    let seconds = begun.elapsed().as_secs_f64();
    let value =
        serde_json::json!({ "stage": format!("{:?}", doctor.stage), "failed": failed, "seconds": seconds });
    say(doctor.json, &format!("{verdict}, after {seconds:.1} s"), &value)?;
    Ok(if failed == 0 { Exit::Success } else { Exit::GateFailed })
}

/// The models that were asked for.
fn chosen(doctor: &Doctor) -> Result<Vec<&'static str>, Failure> {
    match &doctor.model {
        None => Ok(MODELS.to_vec()),
        Some(name) => match MODELS.into_iter().find(|model| model == name) {
            Some(name) => Ok(vec![name]),
            None => Err(Failure::usage(format!("no model `{name}`; there are {}", MODELS.join(", ")))),
        },
    }
}

fn mark(holds: bool) -> &'static str {
    if holds { "ok    " } else { "FAILED" }
}

fn repeats(repeats: bool) -> &'static str {
    if repeats { "repeats bit for bit" } else { "DOES NOT REPEAT" }
}

fn all_ops(doctor: &Doctor, device: &Cuda, precision: Precision) -> Result<usize, Failure> {
    let mut failed = 0;
    for &case in CASES {
        let parity = compare(device, case)?;
        let holds = parity.holds(precision);
        failed += usize::from(!holds);
        let apart = format!("{:.1e} apart (limit {:.0e})", parity.largest, Parity::limit(precision));
        let words = format!("{} {}: {apart}, {}", mark(holds), parity.case, repeats(parity.repeats));
        say(doctor.json, &words, &parity)?;
    }
    Ok(failed)
}

fn models(doctor: &Doctor, device: &Cuda, precision: Precision) -> Result<usize, Failure> {
    let mut failed = 0;
    for model in chosen(doctor)? {
        let parity = ModelParity::of(device, model, doctor.steps)?;
        let holds = parity.holds(precision);
        failed += usize::from(!holds);
        let words = format!(
            "{} {model}: after {} steps losses are {:.1e} apart from the CPU's, weights {:.1e}; {}; {}",
            mark(holds),
            parity.steps,
            parity.apart.loss,
            parity.apart.weight,
            repeats(parity.repeats),
            match (&parity.step, &parity.refused) {
                (Some(step), _) => format!(
                    "{} launches, {} fills, {} copies a step, as {}, {} as when sent one by one",
                    step.launches,
                    step.fills,
                    step.copies,
                    if step.graph { "one graph" } else { "single launches" },
                    if parity.recorded_like_plain { "the same bits" } else { "NOT THE SAME BITS" },
                ),
                (None, Some(why)) => format!("NOT RECORDED: {why}"),
                (None, None) => "NOT RECORDED".to_owned(),
            },
        );
        say(doctor.json, &words, &parity)?;
    }
    Ok(failed)
}

/// What the GPU reaches at most.
fn ceilings(doctor: &Doctor) -> Result<Ceilings, Failure> {
    let ceilings = ceiling::measure(1.0)?;
    let words = format!(
        "ceilings: {:.1} T multiply-adds/s of f32, {:.0} GB/s",
        ceilings.multiply_adds_per_second / 1e12,
        ceilings.bytes_per_second / 1e9
    );
    say(doctor.json, &words, &ceilings)?;
    Ok(ceilings)
}

/// FIBER: the small one is compared, the published one is timed.
fn fiber(doctor: &Doctor, device: &Cuda, precision: Precision) -> Result<usize, Failure> {
    let asked = |name: &str| doctor.model.as_deref().is_none_or(|model| model == name);
    if !asked("tiny") && !asked("base") {
        return Err(Failure::usage("the stage fiber has the models tiny and base"));
    }
    let mut failed = 0;
    if asked("tiny") {
        let parity = FiberParity::of(device)?;
        let holds = parity.holds(precision);
        failed += usize::from(!holds);
        let [forward, gradient] = FiberParity::limits(precision);
        let words = format!(
            "{} FIBER, small: what comes out is {:.1e} apart from the CPU's (limit {forward:.0e}), gradients {:.1e} (limit \
             {gradient:.0e}, {}); {}; {} launches a step, not recorded: {}",
            mark(holds),
            parity.forward,
            parity.gradient,
            parity.array,
            repeats(parity.repeats),
            parity.launches,
            parity.refused.as_deref().unwrap_or("RECORDED, though its inputs change"),
        );
        say(doctor.json, &words, &parity)?;
    }
    if asked("base") {
        let speed = FiberSpeed::of(device, doctor.seconds, &ceilings(doctor)?)?;
        let words = format!(
            "FIBER, published, {} pixels, batch {}: {:.1} examples/s forward ({:.1} G multiply-adds each, {:.1} % of the \
             ceiling), {:.1} with gradients",
            speed.side,
            speed.batch,
            speed.forward_per_second,
            speed.multiply_adds as f64 / 1e9,
            100.0 * speed.share_of_ceiling,
            speed.gradients_per_second,
        );
        say(doctor.json, &words, &speed)?;
    }
    Ok(failed)
}

fn speed(doctor: &Doctor, device: &Cuda) -> Result<usize, Failure> {
    let ceilings = ceilings(doctor)?;
    for model in chosen(doctor)? {
        let speed = Speed::of(device, model, doctor.seconds, &ceilings)?;
        let words = format!(
            "{model}: {:.0} steps/s, {} launches a step, {:.1} % of the multiply-adds' ceiling",
            speed.steps_per_second,
            speed.launches,
            100.0 * speed.share_of_ceiling
        );
        say(doctor.json, &words, &speed)?;
    }
    Ok(0)
}
