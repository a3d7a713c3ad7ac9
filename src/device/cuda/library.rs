//! NVIDIA's libraries, opened when they are first needed: a build with CUDA starts, and says what is missing, on a machine
//! that has none of them.
//!
//! Invariant: what a library returns is an integer here, never a Rust enum: a code that is newer than this file is just
//! a number.

use std::error::Error;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use libloading::Library;

/// A result code of the driver or of NVRTC; 0 is success.
pub(super) type Code = u32;
/// Success.
pub(super) const SUCCESS: Code = 0;
/// CUDA_ERROR_INVALID_VALUE.
pub(super) const INVALID_VALUE: Code = 1;
/// CUDA_ERROR_OUT_OF_MEMORY.
pub(super) const OUT_OF_MEMORY: Code = 2;
/// CUDA_ERROR_NO_DEVICE.
pub(super) const NO_DEVICE: Code = 100;
/// CUDA_ERROR_NOT_SUPPORTED.
pub(super) const NOT_SUPPORTED: Code = 801;
/// CUDA_ERROR_UNKNOWN.
pub(super) const UNKNOWN: Code = 999;

/// An address in the device's memory.
pub type Address = u64;
/// A handle of the driver's.
pub(super) type Handle = *mut c_void;

/// Declares a table of functions and how it is filled from a library.
macro_rules! table {
    ($(#[$doc:meta])* $table:ident { $($name:ident: $field:ident($($arg:ty),*);)* } optional { $($maybe:ident: $option:ident($($opt:ty),*);)* }) => {
        $(#[$doc])*
        pub(super) struct $table {
            $(pub $field: unsafe extern "C" fn($($arg),*) -> Code,)*
            $(pub $option: Option<unsafe extern "C" fn($($opt),*) -> Code>,)*
        }

        impl $table {
            fn load((name, library): (&str, Library)) -> Result<Self, String> {
                let lacks = |function| format!("{name} has no {function}: it is too old");
                let table = $table {
                    // SAFETY: the library documents the function under this name with this signature.
                    $($field: *unsafe { library.get(stringify!($name)) }.map_err(|_| lacks(stringify!($name)))?,)*
                    // SAFETY: as above.
                    $($option: unsafe { library.get(stringify!($maybe)) }.ok().map(|function| *function),)*
                };
                // Its functions are called until the process ends.
                std::mem::forget(library);
                Ok(table)
            }
        }
    };
}

table! {
    /// The driver (libcuda). Functions are named as in its reference, without the prefix and the version.
    Driver {
        cuInit: init(c_uint);
        cuDriverGetVersion: driver_version(*mut c_int);
        cuDeviceGetCount: device_count(*mut c_int);
        cuDeviceGet: device(*mut c_int, c_int);
        cuDeviceGetName: device_name(*mut c_char, c_int, c_int);
        cuDeviceTotalMem_v2: device_memory(*mut usize, c_int);
        cuDeviceGetAttribute: device_attribute(*mut c_int, c_int, c_int);
        cuDevicePrimaryCtxRetain: retain(*mut Handle, c_int);
        cuDevicePrimaryCtxRelease_v2: release(c_int);
        cuCtxSetCurrent: set_current(Handle);
        cuCtxGetCurrent: current(*mut Handle);
        cuStreamCreate: stream_create(*mut Handle, c_uint);
        cuStreamDestroy_v2: stream_destroy(Handle);
        cuStreamSynchronize: stream_synchronize(Handle);
        cuStreamWaitEvent: stream_wait(Handle, Handle, c_uint);
        cuEventCreate: event_create(*mut Handle, c_uint);
        cuEventDestroy_v2: event_destroy(Handle);
        cuEventRecord: event_record(Handle, Handle);
        cuMemAllocAsync: allocate(*mut Address, usize, Handle);
        cuMemFreeAsync: free(Address, Handle);
        cuMemGetInfo_v2: memory_info(*mut usize, *mut usize);
        cuMemcpyHtoDAsync_v2: upload(Address, *const c_void, usize, Handle);
        cuMemcpyDtoHAsync_v2: download(*mut c_void, Address, usize, Handle);
        cuMemcpyDtoDAsync_v2: copy(Address, Address, usize, Handle);
        cuMemsetD8Async: fill(Address, u8, usize, Handle);
        cuModuleLoadData: module_load(*mut Handle, *const c_void);
        cuModuleUnload: module_unload(Handle);
        cuModuleGetFunction: module_function(*mut Handle, Handle, *const c_char);
        cuLaunchKernel: launch(Handle, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Handle, *mut *mut c_void, *mut *mut c_void);
        cuGetErrorName: error_name(Code, *mut *const c_char);
        cuGetErrorString: error_string(Code, *mut *const c_char);
    } optional {
        cuDeviceGetDefaultMemPool: default_pool(*mut Handle, c_int);
        cuMemPoolSetAttribute: pool_attribute(Handle, c_int, *mut c_void);
        cuFuncGetParamInfo: parameter_info(Handle, usize, *mut usize, *mut usize);
        cuStreamBeginCapture_v2: capture_begin(Handle, c_int);
        cuStreamEndCapture: capture_end(Handle, *mut Handle);
        cuGraphInstantiateWithFlags: graph_instantiate(*mut Handle, Handle, u64);
        cuGraphLaunch: graph_launch(Handle, Handle);
        cuGraphExecDestroy: graph_exec_destroy(Handle);
        cuGraphDestroy: graph_destroy(Handle);
    }
}

table! {
    /// The run-time compiler (libnvrtc).
    Compiler {
        nvrtcVersion: version(*mut c_int, *mut c_int);
        nvrtcCreateProgram: create(*mut Handle, *const c_char, *const c_char, c_int, *const *const c_char, *const *const c_char);
        nvrtcDestroyProgram: destroy(*mut Handle);
        nvrtcCompileProgram: compile(Handle, c_int, *const *const c_char);
        nvrtcGetCUBINSize: cubin_size(Handle, *mut usize);
        nvrtcGetCUBIN: cubin(Handle, *mut c_char);
        nvrtcGetProgramLogSize: log_size(Handle, *mut usize);
        nvrtcGetProgramLog: log(Handle, *mut c_char);
    } optional {
    }
}

impl Driver {
    /// Its version: 1000 * major + 10 * minor.
    ///
    /// # Errors
    /// With the code that it answers.
    pub(super) fn version(&self) -> Result<i32, Code> {
        let mut version = 0;
        // SAFETY: the driver writes a number.
        match unsafe { (self.driver_version)(&raw mut version) } {
            SUCCESS => Ok(version),
            code => Err(code),
        }
    }
}

/// The driver.
///
/// # Errors
/// What is missing and how to get it.
pub(super) fn driver() -> Result<&'static Driver, &'static str> {
    static DRIVER: OnceLock<Result<Driver, String>> = OnceLock::new();
    let opened = DRIVER.get_or_init(|| {
        let library = open(&["libcuda.so.1"]).map_err(|why| {
            format!("the NVIDIA driver is not here ({why}); install it, or use --device cpu")
        })?;
        Driver::load(library).map_err(|why| format!("{why}; install a driver of CUDA 12 or newer"))
    });
    opened.as_ref().map_err(String::as_str)
}

/// The run-time compiler.
///
/// # Errors
/// What is missing and how to get it.
pub(super) fn compiler() -> Result<&'static Compiler, &'static str> {
    static COMPILER: OnceLock<Result<Compiler, String>> = OnceLock::new();
    let opened = COMPILER.get_or_init(|| {
        // A driver takes images of its own version of CUDA and of older ones.
        let names = match driver().ok().and_then(|driver| driver.version().ok()) {
            Some(version) if version < 13_000 => ["libnvrtc.so.12", "libnvrtc.so.13", "libnvrtc.so"],
            _ => ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"],
        };
        let library = open(&names).map_err(|why| {
            format!(
                "NVRTC, CUDA's run-time compiler, is not here ({why}); install a CUDA toolkit (or the package \
                 nvidia-cuda-nvrtc of pip) and name the folder of its libraries in LD_LIBRARY_PATH"
            )
        })?;
        Compiler::load(library)
    });
    opened.as_ref().map_err(String::as_str)
}

/// The first of these that is there, with its name; otherwise why the first is not.
fn open(names: &[&'static str]) -> Result<(&'static str, Library), String> {
    let mut why = None;
    for name in names {
        // SAFETY: NVIDIA's libraries may be opened at any time.
        match unsafe { Library::new(*name) } {
            Ok(library) => return Ok((name, library)),
            Err(error) => why = why.or_else(|| error.source().map(ToString::to_string)),
        }
    }
    Err(why.unwrap_or_default())
}
