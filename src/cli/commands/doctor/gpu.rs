//! The doctor's tests of a GPU.

use std::time::Instant;

use dfdx::prelude::{Cpu, Cuda};
use serde::Serialize;

use super::say;
use crate::cli::args::{Doctor, Stage};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::device::Precision;
use crate::device::cuda::{self, Gpu, GpuError, StepSize};
use crate::experiment::Tensors;
use crate::experiment::data_loader::TrainingDevice;
use crate::experiment::workload::{BATCH, Distance, MODELS, Running, Workload};
use crate::ops;
use crate::ops::kernel::ceiling::{self, Ceilings};
use crate::ops::parity::{CASES, Parity, compare};

/// Sides of the images at the paper's size.
const SIDES: [usize; 2] = [28, 112];
/// How far losses and weights may be apart after many steps: rounding grows with every step.
fn trained_apart(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 1e-3,
        Precision::Tf32 => 0.2,
    }
}

/// What the drivers and libraries say.
#[derive(Serialize)]
struct Libraries {
    driver: Option<String>,
    compiler: Option<String>,
    kernel_cache: Option<String>,
    gpus: Vec<Gpu>,
    problem: Option<String>,
}

/// Says which devices, drivers and libraries are here.
pub(super) fn describe(json: bool) -> Result<(), Failure> {
    let gpus = cuda::gpus();
    let driver =
        cuda::driver_version().map(|version| format!("CUDA {}.{}", version / 1000, version % 1000 / 10));
    let compiler = cuda::compiler_version().map(|(major, minor)| format!("{major}.{minor}"));
    let problem =
        [gpus.as_ref().err(), driver.as_ref().err(), compiler.as_ref().err()].into_iter().flatten().next();
    let found = Libraries {
        problem: problem.map(ToString::to_string),
        driver: driver.ok(),
        compiler: compiler.ok(),
        kernel_cache: cuda::cache().map(|folder| folder.display().to_string()),
        gpus: gpus.unwrap_or_default(),
    };
    let missing = || "missing".to_owned();
    let mut words = format!(
        "driver: {}; NVRTC: {}; compiled kernels are kept in {}",
        found.driver.clone().unwrap_or_else(missing),
        found.compiler.clone().unwrap_or_else(missing),
        found.kernel_cache.clone().unwrap_or_else(|| "memory only".to_owned()),
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

fn all_ops(doctor: &Doctor, device: &Cuda, precision: Precision) -> Result<usize, Failure> {
    let mut failed = 0;
    for &case in CASES {
        let parity = compare(device, case)?;
        let holds = parity.holds(precision);
        let verdict = if holds { "ok    " } else { "FAILED" };
        failed += usize::from(!holds);
        let bits = if parity.repeats { "repeats bit for bit" } else { "DOES NOT REPEAT" };
        let apart = format!("{:.1e} apart (limit {:.0e})", parity.largest, Parity::limit(precision));
        say(doctor.json, &format!("{verdict} {}: {apart}, {bits}", parity.case), &parity)?;
    }
    Ok(failed)
}

/// A model on the GPU and on the CPU.
#[derive(Serialize)]
struct ModelFinding {
    model: &'static str,
    steps: usize,
    /// GPU and CPU.
    apart: Distance,
    /// Two trainings on the GPU.
    repeats: bool,
    /// Steps recorded, or sent one by one: the same bits.
    recorded_like_plain: bool,
    /// What a recorded step is made of; none if it could not be recorded.
    step: Option<StepSize>,
    refused: Option<String>,
    /// Launches of dfdx's kernels in a step: there must be none.
    foreign_launches: u64,
}

impl ModelFinding {
    fn holds(&self, precision: Precision) -> bool {
        self.apart.loss <= trained_apart(precision)
            && self.apart.weight <= trained_apart(precision)
            && self.repeats
            && self.recorded_like_plain
            && self.step.is_some()
            && self.foreign_launches == 0
    }
}

/// Trains a model for some steps.
fn trained<D: TrainingDevice>(device: &D, name: &str, steps: usize) -> Result<(Vec<f64>, Tensors), Failure> {
    let workload = Workload::new(name, BATCH, &SIDES)?;
    let noise = workload.noise();
    let mut running = Running::new(device, &workload, &noise)?;
    let losses = running.steps(steps)?;
    Ok((losses, running.weights()))
}

fn models(doctor: &Doctor, device: &Cuda, precision: Precision) -> Result<usize, Failure> {
    let mut failed = 0;
    for model in chosen(doctor)? {
        let workload = Workload::new(model, BATCH, &SIDES)?;
        let noise = workload.noise();
        let mut running = Running::new(device, &workload, &noise)?;
        let losses = running.steps(doctor.steps)?;
        let first = (losses, running.weights());
        let (step, refused) =
            (running.loader().recorded(BATCH), running.loader().refused().map(str::to_owned));
        let foreign_launches = running.loader().work(BATCH).map_or(0, |work| work.foreign);
        drop(running);
        let again = trained(device, model, doctor.steps)?;
        let plain = {
            let mut running = Running::plain(device, &workload, &noise)?;
            (running.steps(doctor.steps)?, running.weights())
        };
        let expected = trained(&Cpu::default(), model, doctor.steps)?;
        let distance =
            |a: &(Vec<f64>, Tensors), b: &(Vec<f64>, Tensors)| Distance::between((&a.0, &a.1), (&b.0, &b.1));
        let finding = ModelFinding {
            model,
            steps: doctor.steps,
            apart: distance(&expected, &first),
            repeats: distance(&first, &again).same_bits,
            recorded_like_plain: distance(&first, &plain).same_bits,
            step,
            refused,
            foreign_launches,
        };
        failed += usize::from(!finding.holds(precision));
        let words = format!(
            "{} {model}: after {} steps losses are {:.1e} apart from the CPU's, weights {:.1e}; {}; {}",
            if finding.holds(precision) { "ok    " } else { "FAILED" },
            doctor.steps,
            finding.apart.loss,
            finding.apart.weight,
            if finding.repeats { "repeats bit for bit" } else { "DOES NOT REPEAT" },
            match (&finding.step, &finding.refused) {
                (Some(step), _) => format!(
                    "{} launches, {} fills, {} copies a step, as {}, {} as when sent one by one",
                    step.launches,
                    step.fills,
                    step.copies,
                    if step.graph { "one graph" } else { "single launches" },
                    if finding.recorded_like_plain { "the same bits" } else { "NOT THE SAME BITS" },
                ),
                (None, Some(why)) => format!("NOT RECORDED: {why}"),
                (None, None) => "NOT RECORDED".to_owned(),
            },
        );
        say(doctor.json, &words, &finding)?;
    }
    Ok(failed)
}

/// How fast a model is.
#[derive(Serialize)]
struct SpeedFinding {
    model: &'static str,
    steps_per_second: f64,
    launches: usize,
    graph: bool,
    /// Multiply-adds of a step's products, and their rate.
    multiply_adds: u64,
    multiply_adds_per_second: f64,
    share_of_ceiling: f64,
}

fn speed(doctor: &Doctor, device: &Cuda) -> Result<usize, Failure> {
    let ceilings: Ceilings = ceiling::measure(1.0).map_err(|error: GpuError| Failure::internal(error))?;
    let words = format!(
        "ceilings: {:.1} T multiply-adds/s of f32, {:.0} GB/s",
        ceilings.multiply_adds_per_second / 1e12,
        ceilings.bytes_per_second / 1e9
    );
    say(doctor.json, &words, &ceilings)?;
    for model in chosen(doctor)? {
        let workload = Workload::new(model, BATCH, &SIDES)?;
        let noise = workload.noise();
        let mut running = Running::new(device, &workload, &noise)?;
        running.steps(20)?;
        let (mut steps, begun) = (0, Instant::now());
        // As many steps as a run takes before the host looks.
        while begun.elapsed().as_secs_f64() < doctor.seconds {
            steps += running.steps(256)?.len();
        }
        let rate = steps as f64 / begun.elapsed().as_secs_f64();
        let step = running.loader().recorded(BATCH);
        let work = running.loader().work(BATCH).unwrap_or_default();
        let finding = SpeedFinding {
            model,
            steps_per_second: rate,
            launches: step.map_or(work.launches as usize, |step| step.launches),
            graph: step.is_some_and(|step| step.graph),
            multiply_adds: work.multiply_adds,
            multiply_adds_per_second: rate * work.multiply_adds as f64,
            share_of_ceiling: rate * work.multiply_adds as f64 / ceilings.multiply_adds_per_second,
        };
        let words = format!(
            "{model}: {rate:.0} steps/s, {} launches a step, {:.1} % of the multiply-adds' ceiling",
            finding.launches,
            100.0 * finding.share_of_ceiling
        );
        say(doctor.json, &words, &finding)?;
    }
    Ok(0)
}
