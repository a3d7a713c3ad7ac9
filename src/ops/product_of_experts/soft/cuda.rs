//! The loss of soft targets on a GPU: a launch forward and one backward.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use super::SoftTargets;
use crate::device::Storage1;
use crate::device::cuda::{
    Address, Buffer, GpuError, Grid, address, arguments, launch, to_dfdx, uninitialised,
};
use crate::ops::Features;
use crate::ops::cuda::launched;
use crate::ops::product_of_experts::cuda::{MOST, all};

/// Examples of a block, as in the kernels.
const EXAMPLES: usize = 32;
/// Warps of a block, at most.
const MOST_WARPS: usize = 32;
/// Classes that a warp takes before another one shares them.
const CLASSES_OF_WARP: usize = 8;

arguments! {
    /// See `soft.cu`.
    struct SoftForward {
        experts: [Address; MOST],
        targets: Address,
        logits: Address,
        loss: Address,
        partial: Address,
        ticket: Address,
        count: u32,
        classes: u32,
        examples: u32,
        padding: u32,
    }

    /// See `soft.cu`.
    struct SoftBackward {
        gradients: [Address; MOST],
        logits: Address,
        targets: Address,
        loss_gradient: Address,
        count: u32,
        classes: u32,
        examples: u32,
        padding: u32,
    }
}

/// A block for every 32 examples, with more warps for more classes.
fn grid(classes: usize, examples: usize) -> Grid {
    let warps = classes.div_ceil(CLASSES_OF_WARP).clamp(1, MOST_WARPS);
    let blocks = examples.div_ceil(EXAMPLES) as u32;
    Grid { blocks: [blocks, 1, 1], threads: [(warps * EXAMPLES) as u32, 1, 1], shared: 0 }
}

impl SoftTargets<f32> for Cuda {
    fn soft_forward(
        &self,
        experts: &[&Features<f32, Cuda>],
        targets: &Features<f32, Cuda>,
        logits: &mut Features<f32, Cuda>,
    ) -> Result<Tensor<Rank0, f32, Cuda>, CudaError> {
        let &(classes, examples) = targets.shape();
        let gpu = |error: GpuError| to_dfdx(&error);
        let grid = grid(classes, examples);
        let loss = uninitialised(|| self.try_zeros_like(&Rank0::default()))?;
        // Freed in the order of the stream, after the launch has used them.
        let partial = Buffer::<f64>::room(2 * grid.blocks[0] as usize).map_err(gpu)?;
        let ticket = Buffer::<u32>::zeros(1).map_err(gpu)?;
        let arguments = SoftForward {
            experts: all(experts.iter().map(|expert| address(*expert)))?,
            targets: address(targets),
            logits: address(&*logits),
            loss: address(&loss),
            partial: partial.address(),
            ticket: ticket.address(),
            count: experts.len() as u32,
            classes: classes as u32,
            examples: examples as u32,
            padding: 0,
        };
        launched(launch("soft_forward", grid, arguments))?;
        Ok(loss)
    }

    fn soft_backward(
        &self,
        logits: &Features<f32, Cuda>,
        targets: &Features<f32, Cuda>,
        loss_gradient: &Storage1<Cuda, f32>,
        gradients: &mut [Storage1<Cuda, f32>],
    ) -> Result<(), CudaError> {
        let &(classes, examples) = logits.shape();
        let arguments = SoftBackward {
            gradients: all(gradients.iter_mut().map(|gradient| *gradient.device_ptr_mut()))?,
            logits: address(logits),
            targets: address(targets),
            loss_gradient: *loss_gradient.device_ptr(),
            count: gradients.len() as u32,
            classes: classes as u32,
            examples: examples as u32,
            padding: 0,
        };
        launched(launch("soft_backward", grid(classes, examples), arguments))
    }
}
