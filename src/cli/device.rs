//! From `--device` to where runs are computed.
//!
//! Invariant: `auto` never fails: it computes on the CPU where there is no GPU, and says why; a GPU that was asked for by name
//! is used or the command fails, with what is missing and how to get it.

use crate::cli::args::{DeviceChoice, PrecisionChoice};
use crate::cli::failure::Failure;
use crate::device::{Place, Precision};
use crate::engine::manifest::Determinism;
use crate::experiment::{self, TrainError};
use crate::protocol::{DatasetName, Protocol};

/// A device that was chosen.
pub struct Device {
    /// Where it is.
    pub place: Place,
    /// `cpu`, or the GPU model.
    pub class: String,
    /// Why it is this one, where that is worth telling.
    pub note: Option<String>,
}

impl Device {
    fn cpu(note: Option<String>) -> Self {
        Device { place: Place::Cpu, class: "cpu".to_owned(), note }
    }
}

/// What a choice means on this machine.
///
/// # Errors
/// When a GPU was asked for that cannot be used.
pub fn choose(choice: DeviceChoice, precision: PrecisionChoice) -> Result<Device, Failure> {
    let precision = match precision {
        PrecisionChoice::F32 => Precision::F32,
        PrecisionChoice::Tf32 => Precision::Tf32,
    };
    let chosen = match choice {
        DeviceChoice::Cpu => Device::cpu(None),
        DeviceChoice::Auto => auto(precision),
        DeviceChoice::Cuda(index) => cuda(index, precision).map_err(Failure::usage)?,
    };
    if chosen.place == Place::Cpu && precision != Precision::F32 {
        let why = chosen.note.map(|note| format!(" ({note})")).unwrap_or_default();
        return Err(Failure::usage(format!(
            "the CPU computes in f32{why}: leave --precision out, or choose a GPU"
        )));
    }
    Ok(chosen)
}

#[cfg(feature = "cuda")]
fn auto(precision: Precision) -> Device {
    cuda(0, precision).unwrap_or_else(|why| Device::cpu(Some(format!("note: computing on the CPU: {why}"))))
}

#[cfg(feature = "cuda")]
fn cuda(index: usize, precision: Precision) -> Result<Device, String> {
    crate::ops::cuda::open(index, precision).map_err(|error| error.to_string())?;
    let gpus = crate::device::cuda::gpus().map_err(|error| error.to_string())?;
    let gpu = gpus.get(index).ok_or_else(|| format!("cuda:{index} is gone"))?;
    Ok(Device { place: Place::Cuda { index, precision }, class: gpu.class(precision), note: None })
}

#[cfg(not(feature = "cuda"))]
fn auto(_precision: Precision) -> Device {
    use std::path::Path;
    let present = Path::new("/proc/driver/nvidia/version").exists() || Path::new("/dev/nvidia0").exists();
    let note = "note: an NVIDIA GPU is here, but this build computes on the CPU; to use it: \
                cargo run --release --features cuda -- reproduce ... --device cuda:0";
    Device::cpu(present.then(|| note.to_owned()))
}

#[cfg(not(feature = "cuda"))]
fn cuda(index: usize, _precision: Precision) -> Result<Device, String> {
    Err(format!(
        "this build computes on the CPU only, so there is no cuda:{index}; build with `cargo build --release --features \
         cuda` (it needs a CUDA toolkit; scripts/cuda-env.sh prepares one), or use --device cpu"
    ))
}

/// How far runs of this protocol repeat on a device. On the CPU that is what `tests/bits.rs` and `tests/crash.rs` hold; on a
/// GPU the canaries are trained twice and compared.
///
/// # Errors
/// When a canary cannot be trained.
pub fn determinism(
    place: Place,
    protocol: &Protocol,
    datasets: impl Iterator<Item = DatasetName>,
) -> Result<Determinism, Failure> {
    if place == Place::Cpu {
        return Ok(Determinism::Bitwise);
    }
    for name in datasets {
        if !experiment::repeats(place, &protocol.architectures(name)).map_err(|error| untested(&error))? {
            return Ok(Determinism::Statistical);
        }
    }
    Ok(Determinism::SameDevice)
}

/// A device on which not even a canary could be trained.
pub fn untested(error: &TrainError) -> Failure {
    // Its text holds all its causes.
    Failure::internal(anyhow::anyhow!("the canaries, which every key covers, cannot be trained: {error}"))
}

/// As frames and tables spell it.
pub fn spelled(determinism: Determinism) -> &'static str {
    match determinism {
        Determinism::Bitwise => "bitwise",
        Determinism::SameDevice => "same-device",
        Determinism::Statistical => "statistical",
    }
}
