//! [`LayerNorm`](super::LayerNorm) on a GPU: a warp to a token, and the sums over tokens of `kernel/columns.cu`.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use super::{EPSILON, LayerNormGradients};
use crate::device::Storage1;
use crate::device::cuda::{Address, Buffer, Grid, address, arguments, launch, to_dfdx, uninitialised};
use crate::ops::Tokens;
use crate::ops::cuda::launched;
use crate::ops::kernel::columns::{Normed, column_sums};
use crate::ops::kernel::cuda::WARP;

arguments! {
    /// See `layer_norm.cu`.
    struct LayerNorm {
        x: Address,
        weight: Address,
        bias: Address,
        gradient: Address,
        statistics: Address,
        out: Address,
        rows: u32,
        features: u32,
        epsilon: f32,
        padding: u32,
    }
}

impl super::LayerNorm<f32> for Cuda {
    fn layer_norm(
        &self,
        x: &Tokens<f32, Self>,
        weight: &Tensor<(usize,), f32, Self>,
        bias: &Tensor<(usize,), f32, Self>,
    ) -> Result<Tokens<f32, Self>, CudaError> {
        let shape = *x.shape();
        let out = uninitialised(|| self.try_zeros_like(&shape))?;
        let arguments = LayerNorm {
            x: address(x),
            weight: address(weight),
            bias: address(bias),
            out: address(&out),
            rows: shape.0 as u32,
            features: shape.1 as u32,
            epsilon: EPSILON as f32,
            ..LayerNorm::default()
        };
        launched(launch("layer_norm", Grid::over(shape.0 * WARP), arguments))?;
        Ok(out)
    }

    fn layer_norm_backward(
        &self,
        x: &Tokens<f32, Self>,
        weight: &Tensor<(usize,), f32, Self>,
        gradient: &Storage1<Self, f32>,
        into: LayerNormGradients<'_, Storage1<Self, f32>>,
    ) -> Result<(), CudaError> {
        let &(rows, features) = x.shape();
        let statistics = Buffer::<f32>::room(2 * rows).map_err(|error| to_dfdx(&error))?;
        let gradient = *gradient.device_ptr();
        let arguments = LayerNorm {
            x: address(x),
            weight: address(weight),
            gradient,
            statistics: statistics.address(),
            out: *into.x.device_ptr_mut(),
            rows: rows as u32,
            features: features as u32,
            epsilon: EPSILON as f32,
            ..LayerNorm::default()
        };
        launched(launch("layer_norm_backward", Grid::over(rows * WARP), arguments))?;
        let normed = Normed { x: address(x), statistics: statistics.address() };
        let weight = into.weight.map(|weight| (normed, *weight.device_ptr_mut()));
        let bias = into.bias.map(|bias| *bias.device_ptr_mut());
        launched(column_sums(gradient, [rows, features], bias, weight))
    }
}
