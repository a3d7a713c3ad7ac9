//! [`Normalize`](super::Normalize) on a GPU: a warp to a row.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use crate::device::Storage1;
use crate::device::cuda::{Address, Grid, address, arguments, launch, uninitialised};
use crate::ops::Tokens;
use crate::ops::cuda::launched;
use crate::ops::kernel::cuda::WARP;

arguments! {
    /// See `normalize.cu`.
    struct Normalize {
        x: Address,
        gradient: Address,
        out: Address,
        rows: u32,
        features: u32,
    }
}

impl super::Normalize<f32> for Cuda {
    fn normalize(&self, x: &Tokens<f32, Self>) -> Result<Tokens<f32, Self>, CudaError> {
        let shape = *x.shape();
        let out = uninitialised(|| self.try_zeros_like(&shape))?;
        let arguments = Normalize {
            x: address(x),
            gradient: 0,
            out: address(&out),
            rows: shape.0 as u32,
            features: shape.1 as u32,
        };
        launched(launch("normalize", Grid::over(shape.0 * WARP), arguments))?;
        Ok(out)
    }

    fn normalize_backward(
        &self,
        x: &Tokens<f32, Self>,
        gradient: &Storage1<Self, f32>,
        into: &mut Storage1<Self, f32>,
    ) -> Result<(), CudaError> {
        let &(rows, features) = x.shape();
        let arguments = Normalize {
            x: address(x),
            gradient: *gradient.device_ptr(),
            out: *into.device_ptr_mut(),
            rows: rows as u32,
            features: features as u32,
        };
        launched(launch("normalize_backward", Grid::over(rows * WARP), arguments))
    }
}
