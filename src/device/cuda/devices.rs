//! Which GPUs are here.
//!
//! Invariant: nothing of dfdx or cudarc (which panic where there is no driver) is touched before the driver has answered.

use std::ffi::{c_char, c_int};

use super::error::GpuError;
use super::library::{NO_DEVICE, compiler, driver};
use crate::device::Precision;

/// The oldest driver that runs what is compiled here: that of CUDA 12.0.
const OLDEST_DRIVER: i32 = 12_000;

/// Attributes of a device, by the driver's numbers.
pub(super) mod attribute {
    pub(in super::super) const CLOCK_KHZ: i32 = 13;
    pub(in super::super) const MULTIPROCESSORS: i32 = 16;
    pub(in super::super) const MEMORY_CLOCK_KHZ: i32 = 36;
    pub(in super::super) const BUS_BITS: i32 = 37;
    pub(in super::super) const MAJOR: i32 = 75;
    pub(in super::super) const MINOR: i32 = 76;
    pub(in super::super) const POOLS: i32 = 115;
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
    driver.version().map_err(|code| GpuError::Call { call: "cuDriverGetVersion".to_owned(), code })
}

/// The version of NVRTC: major and minor.
///
/// # Errors
/// Without it.
pub fn compiler_version() -> Result<(i32, i32), GpuError> {
    let compiler = compiler().map_err(|why| GpuError::Missing(why.to_owned()))?;
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

/// The driver's handle of a GPU.
pub(super) fn device(index: usize) -> Result<c_int, GpuError> {
    let driver = driver().map_err(|why| GpuError::Missing(why.to_owned()))?;
    let mut device = 0;
    // SAFETY: the driver writes a number.
    GpuError::check("cuDeviceGet", unsafe { (driver.device)(&raw mut device, index as c_int) })?;
    Ok(device)
}

/// What the driver says to one of [`attribute`].
pub(super) fn ask(device: c_int, attribute: c_int) -> Result<c_int, GpuError> {
    let driver = driver().map_err(|why| GpuError::Missing(why.to_owned()))?;
    let mut value = 0;
    // SAFETY: the driver writes a number.
    let code = unsafe { (driver.device_attribute)(&raw mut value, attribute, device) };
    GpuError::check("cuDeviceGetAttribute", code)?;
    Ok(value)
}

fn gpu(index: usize) -> Result<Gpu, GpuError> {
    let driver = driver().map_err(|why| GpuError::Missing(why.to_owned()))?;
    let device = device(index)?;
    let mut memory = 0;
    let mut name: [c_char; 256] = [0; 256];
    // SAFETY: the driver writes a C string of at most 256 bytes, and a number.
    unsafe {
        GpuError::check("cuDeviceGetName", (driver.device_name)(name.as_mut_ptr(), 256, device))?;
        GpuError::check("cuDeviceTotalMem", (driver.device_memory)(&raw mut memory, device))?;
    }
    let name: Vec<u8> = name.iter().map(|&c| c as u8).take_while(|&c| c != 0).collect();
    let clock = ask(device, attribute::MEMORY_CLOCK_KHZ).unwrap_or(0);
    let bus = ask(device, attribute::BUS_BITS).unwrap_or(0);
    Ok(Gpu {
        index,
        name: String::from_utf8_lossy(&name).into_owned(),
        compute_capability: (ask(device, attribute::MAJOR)?, ask(device, attribute::MINOR)?),
        memory,
        multiprocessors: ask(device, attribute::MULTIPROCESSORS)?,
        clock: ask(device, attribute::CLOCK_KHZ).unwrap_or(0) / 1000,
        // Two transfers per clock.
        bandwidth: (2.0 * f64::from(clock) * 1e3 * f64::from(bus) / 8.0 / 1e9) as i32,
    })
}
