//! [`super::AddMaps`] on a GPU.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut, DeviceSlice};
use dfdx::prelude::*;

use crate::device::Storage1;
use crate::device::cuda::{Address, Grid, address, arguments, launch, uninitialised};
use crate::ops::Maps;
use crate::ops::concat::cuda::AddTo;
use crate::ops::cuda::launched;

arguments! {
    /// See `add.cu`.
    struct AddMaps {
        first: Address,
        second: Address,
        out: Address,
        count: u32,
        padding: u32,
    }
}

impl super::AddMaps<f32> for Cuda {
    fn add_maps(&self, a: &Maps<f32, Self>, b: &Maps<f32, Self>) -> Result<Maps<f32, Self>, CudaError> {
        let shape = *a.shape();
        let out = uninitialised(|| self.try_zeros_like(&shape))?;
        let count = shape.num_elements();
        let arguments = AddMaps {
            first: address(a),
            second: address(b),
            out: address(&out),
            count: count as u32,
            padding: 0,
        };
        launched(launch("add_maps", Grid::over(count), arguments))?;
        Ok(out)
    }

    fn add_gradient(
        &self,
        gradient: &Storage1<Self, f32>,
        into: &mut Storage1<Self, f32>,
    ) -> Result<(), CudaError> {
        let count = into.len();
        let arguments = AddTo {
            from: *gradient.device_ptr(),
            to: *into.device_ptr_mut(),
            count: count as u32,
            padding: 0,
        };
        launched(launch("add_to", Grid::over(count), arguments))
    }
}
