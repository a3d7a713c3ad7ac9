//! [`super::AveragePool`] on a GPU: a launch each way.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use crate::device::Storage1;
use crate::device::cuda::{Address, Grid, address, arguments, launch, uninitialised};
use crate::ops::Maps;
use crate::ops::cuda::launched;

arguments! {
    /// See `average_pool.cu`.
    struct AveragePool {
        from: Address,
        to: Address,
        channels: u32,
        height: u32,
        width: u32,
        batch: u32,
        side: u32,
        padding: u32,
    }
}

type MapShape = (usize, usize, usize, usize);

fn sizes((channels, height, width, batch): MapShape, side: usize) -> AveragePool {
    AveragePool {
        channels: channels as u32,
        height: height as u32,
        width: width as u32,
        batch: batch as u32,
        side: side as u32,
        ..AveragePool::default()
    }
}

impl super::AveragePool<f32> for Cuda {
    fn average_pool(&self, x: &Maps<f32, Self>, side: usize) -> Result<Maps<f32, Self>, CudaError> {
        let shape = *x.shape();
        let pooled = (shape.0, side, side, shape.3);
        let out = uninitialised(|| self.try_zeros_like(&pooled))?;
        let arguments = AveragePool { from: address(x), to: address(&out), ..sizes(shape, side) };
        launched(launch("average_pool", Grid::over(pooled.num_elements()), arguments))?;
        Ok(out)
    }

    fn average_pool_backward(
        &self,
        shape: MapShape,
        side: usize,
        gradient: &Storage1<Self, f32>,
        into: &mut Storage1<Self, f32>,
    ) -> Result<(), CudaError> {
        let (from, to) = (*gradient.device_ptr(), *into.device_ptr_mut());
        let arguments = AveragePool { from, to, ..sizes(shape, side) };
        launched(launch("average_pool_backward", Grid::over(shape.num_elements()), arguments))
    }
}
