//! [`AddScaled`](super::AddScaled) on a GPU: a launch each way.
//!
//! Invariant: how alpha's sum is cut depends on the number of elements alone.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use super::AddScaledGradients;
use crate::device::Storage1;
use crate::device::cuda::{Address, Buffer, Grid, address, arguments, launch, to_dfdx, uninitialised};
use crate::ops::Tokens;
use crate::ops::cuda::launched;

/// Threads of a block of the sum.
const THREADS: usize = 256;
/// Elements of a thread below which another block is not worth it.
const FEW_ELEMENTS: usize = 4;
/// Blocks that keep a large GPU busy.
const MANY_BLOCKS: usize = 1024;

arguments! {
    /// See `add_scaled.cu`.
    struct AddScaled {
        o: Address,
        z: Address,
        alpha: Address,
        out: Address,
        count: u32,
        padding: u32,
    }

    /// See `add_scaled.cu`.
    struct AddScaledBackward {
        z: Address,
        gradient: Address,
        alpha: Address,
        z_gradient: Address,
        alpha_gradient: Address,
        partial: Address,
        ticket: Address,
        count: u32,
        padding: u32,
    }
}

impl super::AddScaled<f32> for Cuda {
    fn add_scaled(
        &self,
        o: &Tokens<f32, Self>,
        z: &Tokens<f32, Self>,
        alpha: &Tensor<(usize,), f32, Self>,
    ) -> Result<Tokens<f32, Self>, CudaError> {
        let shape = *o.shape();
        let out = uninitialised(|| self.try_zeros_like(&shape))?;
        let count = shape.num_elements();
        let arguments = AddScaled {
            o: address(o),
            z: address(z),
            alpha: address(alpha),
            out: address(&out),
            count: count as u32,
            padding: 0,
        };
        launched(launch("add_scaled", Grid::over(count), arguments))?;
        Ok(out)
    }

    fn add_scaled_backward(
        &self,
        z: &Tokens<f32, Self>,
        alpha: &Tensor<(usize,), f32, Self>,
        gradient: &Storage1<Self, f32>,
        into: AddScaledGradients<'_, Storage1<Self, f32>>,
    ) -> Result<(), CudaError> {
        let count = z.shape().num_elements();
        let blocks = count.div_ceil(FEW_ELEMENTS * THREADS).clamp(1, MANY_BLOCKS);
        // Freed in the order of the stream, after the launch has used them.
        let partial = Buffer::<f64>::room(2 * blocks).map_err(|error| to_dfdx(&error))?;
        let ticket = Buffer::<u32>::zeros(1).map_err(|error| to_dfdx(&error))?;
        let arguments = AddScaledBackward {
            z: address(z),
            gradient: *gradient.device_ptr(),
            alpha: address(alpha),
            z_gradient: *into.z.device_ptr_mut(),
            alpha_gradient: into.alpha.map_or(0, |alpha| *alpha.device_ptr_mut()),
            partial: partial.address(),
            ticket: ticket.address(),
            count: count as u32,
            padding: 0,
        };
        let grid = Grid { blocks: [blocks as u32, 1, 1], threads: [THREADS as u32, 1, 1], shared: 0 };
        launched(launch("add_scaled_backward", grid, arguments))
    }
}
