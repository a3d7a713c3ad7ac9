//! Memory on the device that is not a tensor: the rows of a dataset, tables of addresses, what a step reports.
//!
//! Invariant: a buffer holds as many values as it says, of a type without padding, and is freed once.

use std::marker::PhantomData;

use cudarc::driver::{DevicePtrMut, DeviceSlice};
use dfdx::prelude::{CpuError, Cuda, CudaError};

use super::error::{self, GpuError, to_dfdx};
use super::library::{Address, Code, OUT_OF_MEMORY};
use super::recorder;
use crate::device::Storage1;

/// Types that may be copied to the device as they are: no padding, no references, every bit pattern is a value.
///
/// # Safety
/// Must be so.
pub unsafe trait Plain: Copy + Default + 'static {}

// SAFETY: numbers.
unsafe impl Plain for u8 {}
// SAFETY: numbers.
unsafe impl Plain for u32 {}
// SAFETY: numbers.
unsafe impl Plain for u64 {}
// SAFETY: numbers.
unsafe impl Plain for f32 {}
// SAFETY: numbers.
unsafe impl Plain for f64 {}
// SAFETY: numbers in a row.
unsafe impl<const N: usize> Plain for [f32; N] where [f32; N]: Default {}

/// Values on the device.
#[derive(Debug)]
pub struct Buffer<T: Plain> {
    address: Address,
    len: usize,
    values: PhantomData<T>,
}

impl<T: Plain> Buffer<T> {
    /// Zeros.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn zeros(len: usize) -> Result<Self, GpuError> {
        let bytes = len * size_of::<T>();
        let address = recorder::allocate(bytes, std::ptr::null_mut()).map_err(no_room(bytes))?;
        let buffer = Buffer { address, len, values: PhantomData };
        GpuError::check(
            "zeroing memory on the GPU",
            recorder::fill(address, 0, bytes, std::ptr::null_mut()),
        )?;
        Ok(buffer)
    }

    /// Copies of the values.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn of(values: &[T]) -> Result<Self, GpuError> {
        let buffer = Buffer::room(values.len())?;
        write(buffer.address, values)?;
        Ok(buffer)
    }

    /// Room for values that are written before they are read.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn room(len: usize) -> Result<Self, GpuError> {
        let bytes = len * size_of::<T>();
        let address = recorder::uninitialised(|| recorder::allocate(bytes, std::ptr::null_mut()))
            .map_err(no_room(bytes))?;
        Ok(Buffer { address, len, values: PhantomData })
    }

    /// Where it is.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Overwrites values from `first` on.
    ///
    /// # Errors
    /// If they do not fit, or the device fails.
    pub fn write(&mut self, first: usize, values: &[T]) -> Result<(), GpuError> {
        self.within(first, values.len())?;
        write(self.address + (first * size_of::<T>()) as u64, values)
    }

    /// Waits for the thread's stream and reads values from `first` on.
    ///
    /// # Errors
    /// If they are not there, or the device fails.
    pub fn read(&self, first: usize, count: usize) -> Result<Vec<T>, GpuError> {
        self.within(first, count)?;
        let mut values = vec![T::default(); count];
        read(self.address + (first * size_of::<T>()) as u64, &mut values)?;
        Ok(values)
    }

    fn within(&self, first: usize, count: usize) -> Result<(), GpuError> {
        if first.checked_add(count).is_some_and(|end| end <= self.len) {
            return Ok(());
        }
        Err(GpuError::Other(format!("values {first} to {first} + {count} of a buffer of {}", self.len)))
    }
}

impl<T: Plain> Drop for Buffer<T> {
    fn drop(&mut self) {
        recorder::free(self.address, std::ptr::null_mut());
    }
}

impl crate::device::Fill<f32> for Cuda {
    fn fill(&self, storage: &mut Storage1<Cuda, f32>, values: &[f32]) -> Result<(), CudaError> {
        if storage.len() != values.len() {
            return Err(CudaError::Cpu(CpuError::WrongNumElements));
        }
        write(*storage.device_ptr_mut(), values).map_err(|error| to_dfdx(&error))
    }
}

/// That memory could not be had.
fn no_room(bytes: usize) -> impl FnOnce(Code) -> GpuError {
    move |code| match (code, error::take_detail()) {
        (OUT_OF_MEMORY, Some(detail)) => GpuError::Other(detail),
        _ => GpuError::Call { call: format!("taking {} KiB on the GPU", bytes.div_ceil(1024)), code },
    }
}

fn write<T: Plain>(to: Address, values: &[T]) -> Result<(), GpuError> {
    // SAFETY: the slice holds that many bytes; the type has no padding.
    let code =
        unsafe { recorder::upload(to, values.as_ptr().cast(), size_of_val(values), std::ptr::null_mut()) };
    GpuError::check("copying to the GPU", code)
}

/// Waits for the thread's stream and fills `values` from the device.
///
/// # Errors
/// If the device fails.
pub(super) fn read<T: Plain>(from: Address, values: &mut [T]) -> Result<(), GpuError> {
    let bytes = size_of_val(values);
    // SAFETY: the slice has room for that many bytes, and is not touched before the stream was waited for.
    let code = unsafe { recorder::download(values.as_mut_ptr().cast(), from, bytes, std::ptr::null_mut()) };
    GpuError::check("copying from the GPU", code)?;
    recorder::wait()
}
