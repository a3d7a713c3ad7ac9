//! `i2m2 doctor`: what this machine and build can compute on, and whether it computes right.
//!
//! Invariant: what is printed was asked of the machine or measured now; a test that did not run is not called passed.

#[cfg(feature = "cuda")]
mod gpu;

use serde::Serialize;

#[cfg(feature = "cuda")]
use crate::cli::args::DeviceChoice;
use crate::cli::args::Doctor;
use crate::cli::device;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::device::{Device, Precision};
use crate::ops::parity::{CASES, compare};
use crate::ops::simd::{Isa, isa};
use crate::provenance::{Machine, Provenance};

/// What the doctor found about the CPU.
#[derive(Serialize)]
struct Cpu {
    version: &'static str,
    cuda_build: bool,
    machine: Machine,
    instruction_set: String,
    best_instruction_set: String,
}

/// A line of text for people, or a value for programs.
pub(super) fn say(json: bool, text: &str, value: &impl Serialize) -> Result<(), Failure> {
    let line = if json { serde_json::to_string(value).map_err(Failure::internal)? } else { text.to_owned() };
    Ok(output::data(&format!("{line}\n"))?)
}

/// Looks, tests, and says what was found.
pub(crate) fn run(doctor: &Doctor) -> Result<Exit, Failure> {
    let cpu = Cpu {
        version: env!("CARGO_PKG_VERSION"),
        cuda_build: cfg!(feature = "cuda"),
        machine: Provenance::here().machine,
        instruction_set: isa().to_string(),
        best_instruction_set: Isa::best().to_string(),
    };
    let words = format!(
        "i2m2 {}, built {} CUDA\nCPU: {}, {} cores, {}; kernels use {} (the best here is {})",
        cpu.version,
        if cpu.cuda_build { "with" } else { "without" },
        cpu.machine.cpu,
        cpu.machine.cores,
        cpu.machine.cpu_features.join(" "),
        cpu.instruction_set,
        cpu.best_instruction_set,
    );
    say(doctor.json, &words, &cpu)?;
    #[cfg(feature = "cuda")]
    if doctor.device != DeviceChoice::Cpu {
        gpu::describe(doctor.json)?;
    }
    let chosen = device::choose(doctor.device, doctor.precision)?;
    if let Some(note) = &chosen.note {
        output::note(note);
    }
    match chosen.device {
        Device::Cpu => on_the_cpu(doctor),
        #[cfg(feature = "cuda")]
        Device::Cuda { index, precision } => gpu::examine(doctor, index, precision),
        #[cfg(not(feature = "cuda"))]
        Device::Cuda { .. } => Err(Failure::usage("this build computes on the CPU only")),
    }
}

/// Without a GPU there is nothing to compare with: every op must repeat itself, on every instruction set that is here.
fn on_the_cpu(doctor: &Doctor) -> Result<Exit, Failure> {
    let device = dfdx::prelude::Cpu::default();
    let mut failed = 0;
    for &case in CASES {
        let parity = compare(&device, case)?;
        if !parity.holds(Precision::F32) {
            failed += 1;
            say(doctor.json, &format!("FAILED {}: does not repeat", parity.case), &parity)?;
        }
    }
    let verdict = match failed {
        0 => format!("self-test: {} ops repeat bit for bit on the CPU", CASES.len()),
        failed => format!("self-test: {failed} of {} ops do not repeat on the CPU", CASES.len()),
    };
    say(
        doctor.json,
        &verdict,
        &serde_json::json!({ "self_test": "cpu", "cases": CASES.len(), "failed": failed }),
    )?;
    Ok(if failed == 0 { Exit::Success } else { Exit::GateFailed })
}
