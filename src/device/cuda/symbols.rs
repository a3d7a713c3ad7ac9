//! The CUDA functions that cudarc and dfdx call, defined here, so that every call passes through this module.
//!
//! It is why a build with CUDA starts on a machine without a driver (nothing links to it), why a result code that cudarc's
//! enums do not know is never read as one of them, why each thread has a stream of its own (dfdx works on the default
//! stream, which cannot be captured), and how a training step is recorded ([`super::recorder`]).
//!
//! Invariant: a code that cudarc does not know becomes CUDA_ERROR_UNKNOWN before cudarc sees it; what the driver really
//! said is kept for the error message.

use std::ffi::{c_char, c_int, c_uint, c_void};

use super::error;
use super::library::{
    Address, Code, Handle, INVALID_VALUE, NO_DEVICE, NOT_SUPPORTED, SUCCESS, UNKNOWN, driver,
};
use super::recorder;
use super::stream::{self, Counts};

/// The codes that cudarc 0.9.15 knows, in order.
pub(super) const KNOWN: [Code; 90] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 34, 46, 100, 101, 102, 200, 201, 202, 205, 206, 207, 208, 209, 210, 211, 212,
    213, 214, 215, 216, 217, 218, 219, 220, 221, 222, 223, 224, 300, 301, 302, 303, 304, 400, 401, 500, 600,
    700, 701, 702, 703, 704, 705, 708, 709, 710, 711, 712, 713, 714, 715, 716, 717, 718, 719, 720, 800, 801,
    802, 803, 804, 805, 806, 807, 808, 809, 810, 900, 901, 902, 903, 904, 905, 906, 907, 908, 909, 910, 911,
    912, 999,
];

/// What cudarc may see of a code; remembers what it was.
fn sane(call: &str, code: Code) -> Code {
    if code == SUCCESS {
        return code;
    }
    error::remember(call, code, None);
    if KNOWN.contains(&code) { code } else { UNKNOWN }
}

/// Functions that are only passed on.
macro_rules! forward {
    ($($symbol:ident: $field:ident($($arg:ident: $type:ty),*);)*) => {
        $(
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $symbol($($arg: $type),*) -> Code {
                let Ok(driver) = driver() else { return NO_DEVICE };
                // SAFETY: passed on as the caller gave it.
                sane(stringify!($symbol), unsafe { (driver.$field)($($arg),*) })
            }
        )*
    };
}

forward! {
    cuInit: init(flags: c_uint);
    cuDeviceGetCount: device_count(count: *mut c_int);
    cuDeviceGet: device(device: *mut c_int, ordinal: c_int);
    cuDeviceTotalMem_v2: device_memory(bytes: *mut usize, device: c_int);
    cuDeviceGetAttribute: device_attribute(value: *mut c_int, attribute: c_int, device: c_int);
    cuDevicePrimaryCtxRetain: retain(context: *mut Handle, device: c_int);
    cuDevicePrimaryCtxRelease_v2: release(device: c_int);
    cuCtxSetCurrent: set_current(context: Handle);
    cuCtxGetCurrent: current(context: *mut Handle);
    cuStreamCreate: stream_create(stream: *mut Handle, flags: c_uint);
    cuStreamDestroy_v2: stream_destroy(stream: Handle);
    cuEventCreate: event_create(event: *mut Handle, flags: c_uint);
    cuEventDestroy_v2: event_destroy(event: Handle);
    cuMemGetInfo_v2: memory_info(free: *mut usize, total: *mut usize);
    cuModuleLoadData: module_load(module: *mut Handle, image: *const c_void);
    cuModuleUnload: module_unload(module: Handle);
    cuModuleGetFunction: module_function(function: *mut Handle, module: Handle, name: *const c_char);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamSynchronize(on: Handle) -> Code {
    sane("cuStreamSynchronize", recorder::synchronize(on))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamWaitEvent(on: Handle, event: Handle, flags: c_uint) -> Code {
    let (Ok(driver), Ok(on)) = (driver(), stream::of(on)) else { return NO_DEVICE };
    // SAFETY: passed on as the caller gave it.
    sane("cuStreamWaitEvent", unsafe { (driver.stream_wait)(on, event, flags) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventRecord(event: Handle, on: Handle) -> Code {
    let (Ok(driver), Ok(on)) = (driver(), stream::of(on)) else { return NO_DEVICE };
    // SAFETY: passed on as the caller gave it.
    sane("cuEventRecord", unsafe { (driver.event_record)(event, on) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocAsync(address: *mut Address, bytes: usize, on: Handle) -> Code {
    let code = match recorder::allocate(bytes, on) {
        Ok(found) => {
            // SAFETY: the caller gave room for an address.
            unsafe { *address = found };
            SUCCESS
        }
        Err(code) => code,
    };
    if KNOWN.contains(&code) { code } else { UNKNOWN }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemFreeAsync(address: Address, on: Handle) -> Code {
    sane("cuMemFreeAsync", recorder::free(address, on))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAlloc_v2(address: *mut Address, bytes: usize) -> Code {
    // SAFETY: the caller gave room for an address.
    unsafe { cuMemAllocAsync(address, bytes, std::ptr::null_mut()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemFree_v2(address: Address) -> Code {
    sane("cuMemFree", recorder::free(address, std::ptr::null_mut()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemsetD8Async(address: Address, value: u8, bytes: usize, on: Handle) -> Code {
    sane("cuMemsetD8Async", recorder::fill(address, value, bytes, on))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemsetD8_v2(address: Address, value: u8, bytes: usize) -> Code {
    sane("cuMemsetD8", recorder::fill(address, value, bytes, std::ptr::null_mut()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoDAsync_v2(
    to: Address,
    from: *const c_void,
    bytes: usize,
    on: Handle,
) -> Code {
    // SAFETY: the caller vouches for `bytes` readable bytes.
    sane("cuMemcpyHtoDAsync", unsafe { recorder::upload(to, from, bytes, on) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoD_v2(to: Address, from: *const c_void, bytes: usize) -> Code {
    // SAFETY: as above.
    let code = unsafe { recorder::upload(to, from, bytes, std::ptr::null_mut()) };
    sane("cuMemcpyHtoD", if code == SUCCESS { recorder::synchronize(std::ptr::null_mut()) } else { code })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: Address, bytes: usize, on: Handle) -> Code {
    // SAFETY: the caller vouches for `bytes` writable bytes.
    sane("cuMemcpyDtoHAsync", unsafe { recorder::download(to, from, bytes, on) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoH_v2(to: *mut c_void, from: Address, bytes: usize) -> Code {
    // SAFETY: as above.
    let code = unsafe { recorder::download(to, from, bytes, std::ptr::null_mut()) };
    sane("cuMemcpyDtoH", if code == SUCCESS { recorder::synchronize(std::ptr::null_mut()) } else { code })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoDAsync_v2(to: Address, from: Address, bytes: usize, on: Handle) -> Code {
    sane("cuMemcpyDtoDAsync", recorder::copy(to, from, bytes, on))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoD_v2(to: Address, from: Address, bytes: usize) -> Code {
    sane("cuMemcpyDtoD", recorder::copy(to, from, bytes, std::ptr::null_mut()))
}

/// A launch by dfdx: its kernels take arguments of sizes that only it knows, and some are not deterministic. None of them is
/// on a training path; a recording that meets one is given up.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchKernel(
    function: Handle,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    shared: c_uint,
    on: Handle,
    parameters: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> Code {
    let (Ok(driver), Ok(on)) = (driver(), stream::of(on)) else { return NO_DEVICE };
    recorder::give_up("a kernel of dfdx ran within the step");
    stream::count(|counts: &mut Counts| counts.foreign += 1);
    // SAFETY: passed on as the caller gave it.
    sane("cuLaunchKernel", unsafe {
        (driver.launch)(
            function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, on, parameters, extra,
        )
    })
}

/// Words for a code; the text stays as long as the process.
unsafe fn words(text: *mut *const c_char, code: Code, name: bool) -> Code {
    let Ok(driver) = driver() else { return NO_DEVICE };
    let ask = if name { driver.error_name } else { driver.error_string };
    // SAFETY: the caller gave room for a pointer.
    if unsafe { ask(code, text) } != SUCCESS {
        // SAFETY: as above.
        unsafe { *text = c"unknown".as_ptr() };
    }
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorName(code: Code, text: *mut *const c_char) -> Code {
    // SAFETY: passed on.
    unsafe { words(text, code, true) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorString(code: Code, text: *mut *const c_char) -> Code {
    // SAFETY: passed on.
    unsafe { words(text, code, false) }
}

/// cuBLAS and NVRTC as dfdx calls them: for products and for reshaping what is not contiguous, neither of which this
/// program does on a GPU. So neither library is opened for dfdx, and cuBLAS's work space is saved.
macro_rules! refuse {
    ($($code:expr; $($symbol:ident),*;)*) => {
        $($(
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $symbol() -> Code {
                $code
            }
        )*)*
    };
}

/// CUBLAS_STATUS_NOT_SUPPORTED.
const BLAS_NOT_SUPPORTED: Code = 15;
/// NVRTC_ERROR_INTERNAL_ERROR.
const COMPILER_REFUSES: Code = 11;

refuse! {
    BLAS_NOT_SUPPORTED;
    cublasSgemm_v2, cublasDgemm_v2, cublasSgemv_v2, cublasDgemv_v2, cublasGemmEx, cublasGemmStridedBatchedEx,
    cublasSgemmStridedBatched, cublasDgemmStridedBatched;
    SUCCESS;
    cublasDestroy_v2, cublasSetStream_v2;
    COMPILER_REFUSES;
    nvrtcCreateProgram, nvrtcDestroyProgram, nvrtcCompileProgram, nvrtcGetPTX, nvrtcGetPTXSize, nvrtcGetProgramLog,
    nvrtcGetProgramLogSize;
    NOT_SUPPORTED;
    cuModuleLoad;
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cublasCreate_v2(handle: *mut Handle) -> Code {
    if handle.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: the caller gave room for a handle; nobody looks behind it.
    unsafe { *handle = std::ptr::NonNull::dangling().as_ptr() };
    SUCCESS
}
