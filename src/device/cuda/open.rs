//! Opening a GPU.
//!
//! Invariant: dfdx's constructor, which panics where the driver says no, is called when everything has been asked before.

use std::ffi::c_int;
use std::sync::{Mutex, PoisonError};

use dfdx::prelude::Cuda;

use super::devices::{self, Gpu, attribute};
use super::error::{GpuError, take_detail};
use super::kernels::{self, Source};
use super::library::driver;
use super::pointer;
use crate::device::Precision;

/// The GPU that this process works on.
static OPEN: Mutex<Option<(Gpu, Precision)>> = Mutex::new(None);

/// Opens a GPU for the calling thread: one for a whole process. The first call loads the kernels, and checks that dfdx's
/// tensors can be found.
///
/// # Errors
/// Whatever is missing, with its remedy.
pub fn open(index: usize, precision: Precision, sources: &'static [Source]) -> Result<Cuda, GpuError> {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((gpu, with)) = &*open {
        if (gpu.index, *with) != (index, precision) {
            return Err(GpuError::Another { asked: index, open: gpu.index });
        }
        return build(index);
    }
    let gpus = devices::gpus()?;
    let gpu = gpus.get(index).cloned().ok_or(GpuError::Index { index, count: gpus.len() })?;
    let device = devices::device(index)?;
    if devices::ask(device, attribute::POOLS)? == 0 {
        return Err(GpuError::Other(format!(
            "{} has no memory pools (stream-ordered allocation), which dfdx is used with here; use --device cpu",
            gpu.name
        )));
    }
    let cuda = build(index)?;
    keep_freed_memory(device);
    kernels::load(&gpu, precision, sources)?;
    pointer::check(&cuda)?;
    // The device's context lives as long as somebody holds it; kernels, streams and shared samples stand in it, so it is never
    // given back.
    std::mem::forget(cuda.clone());
    *open = Some((gpu, precision));
    Ok(cuda)
}

/// dfdx's device. Its constructor panics where the driver says no, so everything has been asked before.
fn build(index: usize) -> Result<Cuda, GpuError> {
    Cuda::try_build(index, 0).map_err(|error| {
        GpuError::Other(format!("cuda:{index}: {}", take_detail().unwrap_or_else(|| error.to_string())))
    })
}

/// Lets the device's pool keep what is freed, so that a step takes nothing from the system.
fn keep_freed_memory(device: c_int) {
    /// CU_MEMPOOL_ATTR_RELEASE_THRESHOLD.
    const RELEASE_THRESHOLD: i32 = 4;
    let Ok(driver) = driver() else { return };
    if let (Some(pool_of), Some(set)) = (driver.default_pool, driver.pool_attribute) {
        let (mut pool, mut threshold) = (std::ptr::null_mut(), u64::MAX);
        // SAFETY: the driver writes a handle, and reads a number of 64 bits. Failing changes no result, only speed.
        unsafe {
            if pool_of(&raw mut pool, device) == 0 {
                set(pool, RELEASE_THRESHOLD, (&raw mut threshold).cast());
            }
        }
    }
}
