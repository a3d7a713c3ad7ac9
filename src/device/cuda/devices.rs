//! Which GPUs are here, and opening one.
//!
//! Invariant: nothing of dfdx or cudarc (which panic where there is no driver) is touched before the driver has answered.

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

use dfdx::prelude::Cuda;

use super::error::{self, GpuError};
use super::kernels::Source;
use super::library::{self, NO_DEVICE, driver};
use super::{kernels, pointer};
use crate::device::Precision;

/// The oldest driver that runs what is compiled here: that of CUDA 12.0.
const OLDEST_DRIVER: i32 = 12_000;

/// Attributes of a device, by the driver's numbers.
mod attribute {
    pub(super) const CLOCK_KHZ: i32 = 13;
    pub(super) const MULTIPROCESSORS: i32 = 16;
    pub(super) const MEMORY_CLOCK_KHZ: i32 = 36;
    pub(super) const BUS_BITS: i32 = 37;
    pub(super) const MAJOR: i32 = 75;
    pub(super) const MINOR: i32 = 76;
    pub(super) const POOLS: i32 = 115;
}

/// What the driver says about a GPU.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Gpu {
    /// N of cuda:N.
    pub index: usize,
    /// The model.
    pub name: String,
    /// Major and minor.
    pub compute_capability: (i32, i32),
    /// Bytes.
    pub memory: usize,
    /// Streaming multiprocessors.
    pub multiprocessors: i32,
    /// Megahertz.
    pub clock: i32,
    /// Largest bandwidth of its memory in GB/s, by clock and bus width; 0 where the driver does not say.
    pub bandwidth: i32,
}

impl Gpu {
    /// The device class, usable in names of files: results of one model are comparable bit for bit.
    pub fn class(&self, precision: Precision) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let words: String = self.name.chars().map(plain).collect();
        let model = words.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
        match precision {
            Precision::F32 => format!("cuda-{model}"),
            Precision::Tf32 => format!("cuda-{model}-tf32"),
        }
    }

    /// As the compiler names it: `sm_90`.
    pub fn architecture(&self) -> String {
        format!("sm_{}{}", self.compute_capability.0, self.compute_capability.1)
    }
}

/// The driver's version: 1000 * major + 10 * minor.
///
/// # Errors
/// Without a driver.
pub fn driver_version() -> Result<i32, GpuError> {
    let driver = driver().map_err(|why| GpuError::Missing(why.to_owned()))?;
    let mut version = 0;
    // SAFETY: the driver writes a number.
    GpuError::check("cuDriverGetVersion", unsafe { (driver.driver_version)(&raw mut version) })?;
    Ok(version)
}

/// The version of NVRTC: major and minor.
///
/// # Errors
/// Without it.
pub fn compiler_version() -> Result<(i32, i32), GpuError> {
    let compiler = library::compiler().map_err(|why| GpuError::Missing(why.to_owned()))?;
    let (mut major, mut minor) = (0, 0);
    // SAFETY: NVRTC writes two numbers.
    GpuError::check("nvrtcVersion", unsafe { (compiler.version)(&raw mut major, &raw mut minor) })?;
    Ok((major, minor))
}

/// All GPUs.
///
/// # Errors
/// Without a driver, with too old a one, or without any GPU.
pub fn gpus() -> Result<Vec<Gpu>, GpuError> {
    let found = driver_version()?;
    let driver = driver().map_err(|why| GpuError::Missing(why.to_owned()))?;
    if found < OLDEST_DRIVER {
        return Err(GpuError::OldDriver { found, needed: OLDEST_DRIVER });
    }
    let mut count = 0;
    // SAFETY: the driver writes a number.
    let code = unsafe {
        match (driver.init)(0) {
            0 => (driver.device_count)(&raw mut count),
            code => code,
        }
    };
    match code {
        0 if count > 0 => (0..count as usize).map(gpu).collect(),
        0 | NO_DEVICE => Err(GpuError::NoDevice(code)),
        code => Err(GpuError::Call { call: "cuInit".to_owned(), code }),
    }
}

fn gpu(index: usize) -> Result<Gpu, GpuError> {
    let driver = driver().map_err(|why| GpuError::Missing(why.to_owned()))?;
    let (mut device, mut memory) = (0, 0);
    let mut name: [c_char; 256] = [0; 256];
    // SAFETY: the driver writes a number, a C string of at most 256 bytes, and a number.
    unsafe {
        GpuError::check("cuDeviceGet", (driver.device)(&raw mut device, index as i32))?;
        GpuError::check("cuDeviceGetName", (driver.device_name)(name.as_mut_ptr(), 256, device))?;
        GpuError::check("cuDeviceTotalMem", (driver.device_memory)(&raw mut memory, device))?;
    }
    let attribute = |which| {
        let mut value = 0;
        // SAFETY: the driver writes a number.
        GpuError::check("cuDeviceGetAttribute", unsafe {
            (driver.device_attribute)(&raw mut value, which, device)
        })?;
        Ok::<i32, GpuError>(value)
    };
    let name: Vec<u8> = name.iter().map(|&c| c as u8).take_while(|&c| c != 0).collect();
    let clock = attribute(attribute::MEMORY_CLOCK_KHZ).unwrap_or(0);
    let bus = attribute(attribute::BUS_BITS).unwrap_or(0);
    Ok(Gpu {
        index,
        name: String::from_utf8_lossy(&name).into_owned(),
        compute_capability: (attribute(attribute::MAJOR)?, attribute(attribute::MINOR)?),
        memory,
        multiprocessors: attribute(attribute::MULTIPROCESSORS)?,
        clock: attribute(attribute::CLOCK_KHZ).unwrap_or(0) / 1000,
        // Two transfers per clock.
        bandwidth: (2.0 * f64::from(clock) * 1e3 * f64::from(bus) / 8.0 / 1e9) as i32,
    })
}

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
    let gpus = gpus()?;
    let gpu = gpus.get(index).cloned().ok_or(GpuError::Index { index, count: gpus.len() })?;
    let driver = driver().map_err(|why| GpuError::Missing(why.to_owned()))?;
    let mut device = 0;
    let pools = {
        let mut value = 0;
        // SAFETY: the driver writes two numbers.
        unsafe {
            GpuError::check("cuDeviceGet", (driver.device)(&raw mut device, index as i32))?;
            GpuError::check(
                "cuDeviceGetAttribute",
                (driver.device_attribute)(&raw mut value, attribute::POOLS, device),
            )?;
        }
        value
    };
    if pools == 0 {
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
        GpuError::Other(format!(
            "cuda:{index}: {}",
            error::take_detail().unwrap_or_else(|| error.to_string())
        ))
    })
}

/// Lets the device's pool keep what is freed, so that a step takes nothing from the system.
fn keep_freed_memory(device: i32) {
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
