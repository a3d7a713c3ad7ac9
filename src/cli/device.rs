//! From `--device` to where runs are computed.
//!
//! Invariant: `auto` never fails: it computes on the CPU where there is no GPU, and says why; a GPU that was asked for by name
//! is used or the command fails, with what is missing and how to get it.

use crate::cli::args::DeviceChoice;
use crate::cli::failure::Failure;
use crate::device::{Device, Precision};
use crate::results::ChosenDevice;

fn cpu(note: Option<String>) -> ChosenDevice {
    ChosenDevice { device: Device::Cpu, class: "cpu".to_owned(), note }
}

/// What a choice means on this machine.
///
/// # Errors
/// When a GPU was asked for that cannot be used.
pub(super) fn choose(choice: DeviceChoice, precision: Precision) -> Result<ChosenDevice, Failure> {
    let chosen = match choice {
        DeviceChoice::Cpu => cpu(None),
        DeviceChoice::Auto => auto(precision),
        DeviceChoice::Cuda(index) => cuda(index, precision).map_err(Failure::usage)?,
    };
    if chosen.device == Device::Cpu && precision != Precision::F32 {
        let why = chosen.note.map(|note| format!(" ({note})")).unwrap_or_default();
        return Err(Failure::usage(format!(
            "the CPU computes in f32{why}: leave --precision out, or choose a GPU"
        )));
    }
    Ok(chosen)
}

#[cfg(feature = "cuda")]
fn auto(precision: Precision) -> ChosenDevice {
    cuda(0, precision).unwrap_or_else(|why| cpu(Some(format!("note: computing on the CPU: {why}"))))
}

#[cfg(feature = "cuda")]
fn cuda(index: usize, precision: Precision) -> Result<ChosenDevice, String> {
    crate::ops::cuda::open(index, precision).map_err(|error| error.to_string())?;
    let gpus = crate::device::cuda::gpus().map_err(|error| error.to_string())?;
    let gpu = gpus.get(index).ok_or_else(|| format!("cuda:{index} is gone"))?;
    Ok(ChosenDevice { device: Device::Cuda { index, precision }, class: gpu.class(precision), note: None })
}

#[cfg(not(feature = "cuda"))]
fn auto(_precision: Precision) -> ChosenDevice {
    use std::path::Path;
    let present = Path::new("/proc/driver/nvidia/version").exists() || Path::new("/dev/nvidia0").exists();
    let note = "note: an NVIDIA GPU is here, but this build computes on the CPU; to use it: \
                cargo run --release --features cuda -- reproduce ... --device cuda:0";
    cpu(present.then(|| note.to_owned()))
}

#[cfg(not(feature = "cuda"))]
fn cuda(index: usize, _precision: Precision) -> Result<ChosenDevice, String> {
    Err(format!(
        "this build computes on the CPU only, so there is no cuda:{index}; build with `cargo build --release --features \
         cuda` (it needs a CUDA toolkit; scripts/cuda-env.sh prepares one), or use --device cpu"
    ))
}
