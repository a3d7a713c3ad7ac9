//! [`super::Concat`] on a GPU.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut, DeviceSlice};
use dfdx::prelude::*;

use crate::device::Storage1;
use crate::device::cuda::{Address, Grid, address, arguments, launch, uninitialised};
use crate::ops::Features;
use crate::ops::cuda::launched;

arguments! {
    /// See `concat.cu`.
    struct Concat {
        first: Address,
        second: Address,
        out: Address,
        first_count: u32,
        count: u32,
    }

    /// See `concat.cu`.
    struct AddTo {
        from: Address,
        to: Address,
        count: u32,
        padding: u32,
    }
}

impl super::Concat<f32> for Cuda {
    fn concat(
        &self,
        first: &Features<f32, Self>,
        second: &Features<f32, Self>,
    ) -> Result<Features<f32, Self>, CudaError> {
        let &(features, batch) = first.shape();
        let shape = (features + second.shape().0, batch);
        let out = uninitialised(|| self.try_zeros_like(&shape))?;
        let count = shape.0 * batch;
        let arguments = Concat {
            first: address(first),
            second: address(second),
            out: address(&out),
            first_count: (features * batch) as u32,
            count: count as u32,
        };
        launched(launch("concat", Grid::over(count), arguments))?;
        Ok(out)
    }

    fn concat_backward(
        &self,
        gradient: &Storage1<Self, f32>,
        from: usize,
        input: &mut Storage1<Self, f32>,
    ) -> Result<(), CudaError> {
        let count = input.len();
        let arguments = AddTo {
            from: *gradient.device_ptr() + 4 * from as u64,
            to: *input.device_ptr_mut(),
            count: count as u32,
            padding: 0,
        };
        launched(launch("add_to", Grid::over(count), arguments))
    }
}
