//! NVIDIA GPUs: the one place that reaches into dfdx's CUDA tensors, cudarc and the driver.
//!
//! Invariant: everything that goes to a GPU goes through [`symbols`]; without a driver nothing here runs, and nothing fails
//! but what asked for a GPU.

mod arena;
mod buffer;
mod devices;
mod error;
mod graph;
mod kernels;
mod library;
mod open;
mod pointer;
mod probe;
mod recorder;
mod stream;
mod symbols;

pub use buffer::{Buffer, Plain};
pub use devices::{Gpu, compiler_version, driver_version, gpus};
pub use error::{GpuError, memory, take_detail, to_dfdx};
pub(crate) use kernels::arguments;
pub use kernels::{Arguments, Grid, Source, cache, compile, launch, names};
pub use library::Address;
pub use open::open;
pub use pointer::address;
pub use recorder::{Recorded, Recording, StepSize, record, uninitialised, varies, wait};
pub(crate) use stream::count;
pub use stream::{Counts, counts};
