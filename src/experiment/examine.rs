//! What is tested and measured of a GPU for `doctor`: what is here, whether models train on it as on the CPU, and how fast.
//!
//! Invariant: a finding was measured now, on models at full size; it says itself whether it holds.

mod fiber;

use std::time::Instant;

use dfdx::prelude::{Cpu, Cuda};
use serde::Serialize;

use super::Tensors;
use super::data_loader::TrainingDevice;
use super::workload::{BATCH, Distance, Running, Workload, WorkloadError};
use crate::device::Precision;
use crate::device::cuda::{self, Gpu, StepSize};
use crate::ops::kernel::ceiling::Ceilings;

pub(crate) use fiber::{FiberParity, FiberSpeed};

/// Sides of the images at the paper's size.
const SIDES: [usize; 2] = [28, 112];

/// What the drivers and libraries say.
#[derive(Serialize)]
pub(crate) struct Libraries {
    /// Version of the driver.
    pub driver: Option<String>,
    /// Version of NVRTC.
    pub compiler: Option<String>,
    /// Where compiled kernels are kept.
    pub kernel_cache: Option<String>,
    /// The devices.
    pub gpus: Vec<Gpu>,
    /// The first thing that is missing.
    pub problem: Option<String>,
}

impl Libraries {
    /// Those of this machine.
    pub(crate) fn here() -> Self {
        let gpus = cuda::gpus();
        let driver =
            cuda::driver_version().map(|version| format!("CUDA {}.{}", version / 1000, version % 1000 / 10));
        let compiler = cuda::compiler_version().map(|(major, minor)| format!("{major}.{minor}"));
        let problems = [gpus.as_ref().err(), driver.as_ref().err(), compiler.as_ref().err()];
        let problem = problems.into_iter().flatten().next().map(ToString::to_string);
        Libraries {
            problem,
            driver: driver.ok(),
            compiler: compiler.ok(),
            kernel_cache: cuda::cache().map(|folder| folder.display().to_string()),
            gpus: gpus.unwrap_or_default(),
        }
    }
}

/// A model on the GPU and on the CPU.
#[derive(Serialize)]
pub(crate) struct ModelParity {
    /// Its name.
    pub model: &'static str,
    /// Steps that it was trained for.
    pub steps: usize,
    /// GPU and CPU.
    pub apart: Distance,
    /// Two trainings on the GPU.
    pub repeats: bool,
    /// Steps recorded, or sent one by one: the same bits.
    pub recorded_like_plain: bool,
    /// What a recorded step is made of; none if it could not be recorded.
    pub step: Option<StepSize>,
    /// Why it could not.
    pub refused: Option<String>,
    /// Launches of dfdx's kernels in a step: there must be none.
    pub foreign_launches: u64,
}

impl ModelParity {
    /// Trains a model on the GPU twice, with steps sent one by one, and on the CPU.
    ///
    /// # Errors
    /// If a device fails.
    pub(crate) fn of(device: &Cuda, model: &'static str, steps: usize) -> Result<Self, WorkloadError> {
        let workload = Workload::new(model, BATCH, &SIDES)?;
        let noise = workload.noise();
        let mut running = Running::new(device, &workload, &noise)?;
        let first = trained(&mut running, steps)?;
        let (step, refused) =
            (running.loader().recorded(BATCH), running.loader().refused().map(str::to_owned));
        let foreign_launches = running.loader().work(BATCH).map_or(0, |work| work.foreign);
        drop(running);
        let again = trained(&mut Running::new(device, &workload, &noise)?, steps)?;
        let plain = trained(&mut Running::plain(device, &workload, &noise)?, steps)?;
        let expected = trained(&mut Running::new(&Cpu::default(), &workload, &noise)?, steps)?;
        let distance = |from: &Trained| Distance::between((&from.0, &from.1), (&first.0, &first.1));
        Ok(ModelParity {
            model,
            steps,
            apart: distance(&expected),
            repeats: distance(&again).same_bits,
            recorded_like_plain: distance(&plain).same_bits,
            step,
            refused,
            foreign_launches,
        })
    }

    /// Whether the GPU may train it. Rounding grows with every step, so many of them may be further apart than an op.
    pub(crate) fn holds(&self, precision: Precision) -> bool {
        let limit = match precision {
            Precision::F32 => 1e-3,
            Precision::Tf32 => 0.2,
        };
        self.apart.loss <= limit
            && self.apart.weight <= limit
            && self.repeats
            && self.recorded_like_plain
            && self.step.is_some()
            && self.foreign_launches == 0
    }
}

/// Losses of all steps, and the weights at their end.
type Trained = (Vec<f64>, Tensors);

fn trained<D: TrainingDevice>(running: &mut Running<'_, D>, steps: usize) -> Result<Trained, WorkloadError> {
    Ok((running.steps(steps)?, running.weights()))
}

/// How fast a model is.
#[derive(Serialize)]
pub(crate) struct Speed {
    /// Its name.
    pub model: &'static str,
    /// Training steps.
    pub steps_per_second: f64,
    /// Of a step.
    pub launches: usize,
    /// Whether a step is one CUDA graph.
    pub graph: bool,
    /// Multiply-adds of a step's products, and their rate.
    pub multiply_adds: u64,
    /// See there.
    pub multiply_adds_per_second: f64,
    /// Of the rate that the GPU reaches at most.
    pub share_of_ceiling: f64,
}

impl Speed {
    /// Trains a model for so many seconds.
    ///
    /// # Errors
    /// If the device fails.
    pub(crate) fn of(
        device: &Cuda,
        model: &'static str,
        seconds: f64,
        ceilings: &Ceilings,
    ) -> Result<Self, WorkloadError> {
        let workload = Workload::new(model, BATCH, &SIDES)?;
        let noise = workload.noise();
        let mut running = Running::new(device, &workload, &noise)?;
        running.steps(20)?;
        let (mut steps, begun) = (0, Instant::now());
        // As many steps as a run takes before the host looks.
        while begun.elapsed().as_secs_f64() < seconds {
            steps += running.steps(256)?.len();
        }
        let steps_per_second = steps as f64 / begun.elapsed().as_secs_f64();
        let step = running.loader().recorded(BATCH);
        let work = running.loader().work(BATCH).unwrap_or_default();
        let multiply_adds_per_second = steps_per_second * work.multiply_adds as f64;
        Ok(Speed {
            model,
            steps_per_second,
            launches: step.map_or(work.launches as usize, |step| step.launches),
            graph: step.is_some_and(|step| step.graph),
            multiply_adds: work.multiply_adds,
            multiply_adds_per_second,
            share_of_ceiling: multiply_adds_per_second / ceilings.multiply_adds_per_second,
        })
    }
}
