//! What can go wrong with a GPU, each with its remedy.

use std::cell::RefCell;
use std::ffi::{CStr, c_char};

use super::library::{Code, OUT_OF_MEMORY, driver};

/// Why a GPU cannot be used, or could not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// A library is missing; the text says which and how to get it.
    #[error("{0}")]
    Missing(String),
    /// The driver is there but sees no device.
    #[error("the NVIDIA driver finds no GPU (code {0}); check `nvidia-smi`, and CUDA_VISIBLE_DEVICES")]
    NoDevice(Code),
    /// The driver is older than the libraries need.
    #[error(
        "the NVIDIA driver is of CUDA {}.{}, which is too old: version {}.{} or newer is needed; update the driver",
        found / 1000, found % 1000 / 10, needed / 1000, needed % 1000 / 10
    )]
    OldDriver {
        /// What is there, as 1000 * major + 10 * minor.
        found: i32,
        /// What is needed.
        needed: i32,
    },
    /// No such GPU.
    #[error("there is no cuda:{index}: this machine has {count} GPU(s), cuda:0 to cuda:{}", count - 1)]
    Index {
        /// What was asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// Another GPU is in use: a process works on one.
    #[error(
        "cuda:{asked} was asked for while cuda:{open} is in use: one process works on one GPU in one precision"
    )]
    Another {
        /// What was asked for.
        asked: usize,
        /// What is in use.
        open: usize,
    },
    /// A call of the driver failed.
    #[error("{call} failed: {}", describe(*code))]
    Call {
        /// The function, and what for.
        call: String,
        /// What it returned.
        code: Code,
    },
    /// The kernels could not be compiled.
    #[error("the CUDA kernels do not compile for {architecture}: {log}")]
    Compile {
        /// The architecture.
        architecture: String,
        /// NVRTC's messages.
        log: String,
    },
    /// The kernels that were compiled are not those that this program expects.
    #[error("the CUDA kernel `{kernel}` {why}; this is a bug, please report it")]
    Kernel {
        /// Its name.
        kernel: String,
        /// What does not fit.
        why: String,
    },
    /// Something else did not hold.
    #[error("{0}")]
    Other(String),
}

impl GpuError {
    /// An error unless the code is success.
    ///
    /// # Errors
    /// [`GpuError::Call`].
    pub fn check(call: &str, code: Code) -> Result<(), GpuError> {
        if code == 0 { Ok(()) } else { Err(GpuError::Call { call: call.to_owned(), code }) }
    }
}

/// A code in words; one that nobody knows is a number.
pub(super) fn describe(code: Code) -> String {
    let words = |ask: unsafe extern "C" fn(Code, *mut *const c_char) -> Code| {
        let mut text: *const c_char = std::ptr::null();
        // SAFETY: the driver writes a pointer to a constant string, or null.
        let found = unsafe { ask(code, &raw mut text) };
        if found != 0 || text.is_null() {
            return None;
        }
        // SAFETY: not null: a constant C string of the driver's.
        Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    };
    let known =
        driver().ok().and_then(|driver| Some((words(driver.error_name)?, words(driver.error_string)?)));
    match known {
        Some((name, text)) => format!("{name} ({code}): {text}"),
        None => format!("error code {code}"),
    }
}

thread_local! {
    /// What the driver really said last on this thread: dfdx only knows codes of its own age.
    static DETAIL: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the details of a failure for [`take_detail`].
pub(super) fn remember(call: &str, code: Code, bytes: Option<usize>) {
    let mut detail = format!("{call}: {}", describe(code));
    if code == OUT_OF_MEMORY {
        if let Some(bytes) = bytes {
            detail += &format!("; {} MiB were asked for", bytes.div_ceil(1 << 20));
        }
        if let Some((free, total)) = memory() {
            detail += &format!("; {} of {} MiB are free", free >> 20, total >> 20);
        }
        detail +=
            "; use a smaller batch, fewer --jobs, or a GPU that nobody else uses (the run can be continued)";
    }
    DETAIL.set(Some(detail));
}

/// An error of ours as dfdx's, which has no room for words; they are kept for [`take_detail`].
pub fn to_dfdx(error: &GpuError) -> dfdx::prelude::CudaError {
    DETAIL.set(Some(error.to_string()));
    let code = cudarc::driver::sys::CUresult::CUDA_ERROR_UNKNOWN;
    dfdx::prelude::CudaError::Driver(cudarc::driver::DriverError(code))
}

/// What is known about the last failure on this thread.
pub fn take_detail() -> Option<String> {
    DETAIL.take()
}

/// Free and total bytes of the current device.
pub fn memory() -> Option<(usize, usize)> {
    let (mut free, mut total) = (0, 0);
    // SAFETY: the driver writes two numbers.
    let code = unsafe { (driver().ok()?.memory_info)(&raw mut free, &raw mut total) };
    (code == 0).then_some((free, total))
}
