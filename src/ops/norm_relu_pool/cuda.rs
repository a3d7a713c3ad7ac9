//! [`NormReluPool`] on a GPU: a launch each for statistics, the pooled map, the sums of backward, and the input's gradient.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use super::{EPSILON, MOMENTUM, NormGradients, NormReluPool, Running, Statistics, saved};
use crate::device::Storage1;
use crate::device::cuda::{
    Address, Buffer, GpuError, Grid, address, arguments, launch, to_dfdx, uninitialised,
};
use crate::ops::Maps;
use crate::ops::cuda::launched;

/// Threads of a block.
const THREADS: usize = 256;
/// Blocks that share a channel, at most.
const MOST_BLOCKS: usize = 64;

arguments! {
    /// See `norm_relu_pool.cu`.
    struct NormStatistics {
        x: Address,
        weight: Address,
        bias: Address,
        running_mean: Address,
        running_variance: Address,
        saved: Address,
        partial: Address,
        tickets: Address,
        epsilon: f64,
        momentum: f64,
        channels: u32,
        map: u32,
    }

    /// See `norm_relu_pool.cu`.
    struct NormPool {
        x: Address,
        saved: Address,
        out: Address,
        channels: u32,
        height: u32,
        width: u32,
        batch: u32,
    }

    /// See `norm_relu_pool.cu`.
    struct NormBackward {
        x: Address,
        saved: Address,
        gradient: Address,
        x_gradient: Address,
        weight_gradient: Address,
        bias_gradient: Address,
        centre: Address,
        partial: Address,
        tickets: Address,
        channels: u32,
        height: u32,
        width: u32,
        batch: u32,
        of_batch: u32,
        padding: u32,
    }
}

/// A row of blocks per channel, the memory where they leave their sums, and their tickets.
struct Rows {
    grid: Grid,
    partial: Buffer<f64>,
    tickets: Buffer<u32>,
}

impl Rows {
    /// For channels of `elements`, of which a thread takes `each` or more.
    fn new(channels: usize, elements: usize, each: usize) -> Result<Self, CudaError> {
        let blocks = (elements / (THREADS * each)).clamp(1, MOST_BLOCKS);
        let grid =
            Grid { blocks: [blocks as u32, channels as u32, 1], threads: [THREADS as u32, 1, 1], shared: 0 };
        let gpu = |error: GpuError| to_dfdx(&error);
        Ok(Rows {
            grid,
            partial: Buffer::room(2 * channels * blocks).map_err(gpu)?,
            tickets: Buffer::zeros(channels).map_err(gpu)?,
        })
    }
}

impl NormReluPool<f32> for Cuda {
    fn norm_statistics(
        &self,
        x: &Maps<f32, Self>,
        weight: &Tensor<(usize,), f32, Self>,
        bias: &Tensor<(usize,), f32, Self>,
        running: &mut Running<f32, Self>,
        statistics: Statistics,
    ) -> Result<Tensor<(usize,), f32, Self>, CudaError> {
        let &(channels, height, width, batch) = x.shape();
        let map = height * width * batch;
        let found = uninitialised(|| self.try_zeros_like(&(saved::COUNT * channels,)))?;
        let arguments = NormStatistics {
            x: address(x),
            weight: address(weight),
            bias: address(bias),
            running_mean: address(&running.mean),
            running_variance: address(&running.variance),
            saved: address(&found),
            epsilon: EPSILON,
            momentum: MOMENTUM,
            channels: channels as u32,
            map: map as u32,
            ..NormStatistics::default()
        };
        match statistics {
            Statistics::Batch => {
                let rows = Rows::new(channels, map / 4, 16)?;
                let (partial, tickets) = (rows.partial.address(), rows.tickets.address());
                launched(launch(
                    "norm_statistics",
                    rows.grid,
                    NormStatistics { partial, tickets, ..arguments },
                ))?;
            }
            Statistics::Running => launched(launch("norm_running", Grid::over(channels), arguments))?,
        }
        Ok(found)
    }

    fn norm_relu_pool(
        &self,
        x: &Maps<f32, Self>,
        saved: &Tensor<(usize,), f32, Self>,
    ) -> Result<Maps<f32, Self>, CudaError> {
        let &(channels, height, width, batch) = x.shape();
        let shape = (channels, height / 2, width / 2, batch);
        let out = uninitialised(|| self.try_zeros_like(&shape))?;
        let arguments = NormPool {
            x: address(x),
            saved: address(saved),
            out: address(&out),
            channels: channels as u32,
            height: height as u32,
            width: width as u32,
            batch: batch as u32,
        };
        launched(launch("norm_relu_pool", Grid::over(shape.num_elements()), arguments))?;
        Ok(out)
    }

    fn norm_relu_pool_backward(
        &self,
        x: &Maps<f32, Self>,
        saved: &Tensor<(usize,), f32, Self>,
        statistics: Statistics,
        gradient: &Storage1<Self, f32>,
        into: NormGradients<'_, Storage1<Self, f32>>,
    ) -> Result<(), CudaError> {
        let &(channels, height, width, batch) = x.shape();
        let rows = Rows::new(channels, (height / 2) * (width / 2) * batch, 8)?;
        let centre = Buffer::<f32>::room(2 * channels).map_err(|error| to_dfdx(&error))?;
        let arguments = NormBackward {
            x: address(x),
            saved: address(saved),
            gradient: *gradient.device_ptr(),
            x_gradient: *into.x.device_ptr_mut(),
            weight_gradient: into.weight.map_or(0, |weight| *weight.device_ptr_mut()),
            bias_gradient: into.bias.map_or(0, |bias| *bias.device_ptr_mut()),
            centre: centre.address(),
            partial: rows.partial.address(),
            tickets: rows.tickets.address(),
            channels: channels as u32,
            height: height as u32,
            width: width as u32,
            batch: batch as u32,
            of_batch: u32::from(statistics == Statistics::Batch),
            padding: 0,
        };
        launched(launch("norm_backward_sums", rows.grid, arguments))?;
        let windows = channels * height.div_ceil(2) * width.div_ceil(2) * batch;
        launched(launch("norm_backward_spread", Grid::over(windows), arguments))
    }
}
