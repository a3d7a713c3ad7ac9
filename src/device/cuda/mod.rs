//! NVIDIA GPUs: the one place that reaches into dfdx's CUDA tensors, cudarc and the driver.
//!
//! Invariant: everything that goes to a GPU goes through [`symbols`]; without a driver nothing here runs, and nothing fails
//! but what asked for a GPU.

mod buffer;
mod devices;
mod error;
mod kernels;
mod library;
mod pointer;
mod recorder;
mod stream;
mod symbols;

pub use buffer::{Buffer, Plain};
pub use devices::{Gpu, compiler_version, driver_version, gpus, open};
pub use error::{GpuError, memory, take_detail};
pub(crate) use kernels::arguments;
pub use kernels::{Arguments, Grid, Source, cache, compile, launch, names, to_dfdx};
pub use library::Address;
pub use pointer::address;
pub use recorder::{Recorded, Recording, StepSize, record, uninitialised};
pub(crate) use stream::count;
pub use stream::{Counts, counts, wait};
