//! [`GroupNormRelu`] on a GPU: a launch each for statistics and output; three for backward.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use super::{EPSILON, GroupNormRelu, NormGradients, Normalised};
use crate::device::Storage1;
use crate::device::cuda::{Address, Buffer, Grid, address, arguments, launch, to_dfdx, uninitialised};
use crate::ops::Maps;
use crate::ops::cuda::launched;

arguments! {
    /// See `group_norm.cu`.
    struct GroupNorm {
        x: Address,
        weight: Address,
        bias: Address,
        statistics: Address,
        out: Address,
        x_gradient: Address,
        weight_gradient: Address,
        bias_gradient: Address,
        sums: Address,
        epsilon: f64,
        channels: u32,
        groups: u32,
        map: u32,
        batch: u32,
    }
}

/// That many blocks of 256 threads.
fn blocks(count: usize) -> Grid {
    Grid { blocks: [count as u32, 1, 1], threads: [256, 1, 1], shared: 0 }
}

impl GroupNormRelu<f32> for Cuda {
    fn group_norm_relu(
        &self,
        x: &Maps<f32, Self>,
        weight: &Tensor<(usize,), f32, Self>,
        bias: &Tensor<(usize,), f32, Self>,
        groups: usize,
    ) -> Result<Normalised<f32, Self>, CudaError> {
        let &(channels, height, width, batch) = x.shape();
        let out = uninitialised(|| self.try_zeros_like(x.shape()))?;
        let statistics = uninitialised(|| self.try_zeros_like(&(2 * groups * batch,)))?;
        let arguments = GroupNorm {
            x: address(x),
            weight: address(weight),
            bias: address(bias),
            statistics: address(&statistics),
            out: address(&out),
            epsilon: EPSILON,
            channels: channels as u32,
            groups: groups as u32,
            map: (height * width) as u32,
            batch: batch as u32,
            ..GroupNorm::default()
        };
        launched(launch("group_statistics", blocks(groups * batch), arguments))?;
        launched(launch("group_norm_relu", Grid::over(x.shape().num_elements()), arguments))?;
        Ok(Normalised { out, statistics })
    }

    fn group_norm_relu_backward(
        &self,
        x: &Maps<f32, Self>,
        [weight, bias]: [&Tensor<(usize,), f32, Self>; 2],
        statistics: &Tensor<(usize,), f32, Self>,
        gradient: &Storage1<Self, f32>,
        into: NormGradients<'_, Storage1<Self, f32>>,
    ) -> Result<(), CudaError> {
        let &(channels, height, width, batch) = x.shape();
        let places = statistics.shape().0 / 2;
        let sums = Buffer::<f32>::room(2 * places).map_err(|error| to_dfdx(&error))?;
        let arguments = GroupNorm {
            x: address(x),
            weight: address(weight),
            bias: address(bias),
            statistics: address(statistics),
            out: *gradient.device_ptr(),
            x_gradient: *into.x.device_ptr_mut(),
            weight_gradient: into.weight.map_or(0, |weight| *weight.device_ptr_mut()),
            bias_gradient: into.bias.map_or(0, |bias| *bias.device_ptr_mut()),
            sums: sums.address(),
            epsilon: EPSILON,
            channels: channels as u32,
            groups: (places / batch) as u32,
            map: (height * width) as u32,
            batch: batch as u32,
        };
        launched(launch("group_backward_sums", blocks(places), arguments))?;
        launched(launch("group_backward_affine", blocks(channels), arguments))?;
        launched(launch("group_backward_spread", Grid::over(x.shape().num_elements()), arguments))
    }
}
