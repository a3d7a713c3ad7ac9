//! The product of experts on a GPU: a launch forward and one backward.
#![allow(unsafe_code)]

use std::sync::Arc;

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use super::{Heads, HeadsLoss, ProductOfExperts};
use crate::device::Storage1;
use crate::device::cuda::{
    Address, Buffer, GpuError, Grid, address, arguments, launch, to_dfdx, uninitialised,
};
use crate::ops::Features;
use crate::ops::cuda::launched;

/// Experts of one product, at most: as in the kernels.
pub(super) const MOST: usize = 8;

arguments! {
    /// See `product_of_experts.cu`.
    struct Product {
        experts: [Address; MOST],
        labels: Address,
        out: Address,
        loss: Address,
        count: u32,
        classes: u32,
        examples: u32,
        padding: u32,
    }

    /// See `product_of_experts.cu`.
    struct ProductBackward {
        gradients: [Address; MOST],
        log_probabilities: Address,
        labels: Address,
        loss_gradient: Address,
        count: u32,
        classes: u32,
        examples: u32,
        padding: u32,
    }
}

arguments! {
    /// See `product_of_experts.cu`.
    struct HeadsProduct {
        experts: [Address; MOST],
        labels: Address,
        weights: Address,
        out: Address,
        loss: Address,
        totals: Address,
        count: u32,
        heads: u32,
        classes: u32,
        examples: u32,
    }

    /// See `product_of_experts.cu`.
    struct HeadsBackward {
        gradients: [Address; MOST],
        log_probabilities: Address,
        labels: Address,
        weights: Address,
        totals: Address,
        loss_gradient: Address,
        count: u32,
        heads: u32,
        classes: u32,
        examples: u32,
    }
}

/// As many addresses as a kernel takes.
pub(super) fn all(addresses: impl ExactSizeIterator<Item = Address>) -> Result<[Address; MOST], CudaError> {
    if addresses.len() > MOST {
        let found =
            format!("a product of {} experts, but the CUDA kernels take at most {MOST}", addresses.len());
        return Err(to_dfdx(&GpuError::Other(found)));
    }
    let mut all = [0; MOST];
    all.iter_mut().zip(addresses).for_each(|(to, from)| *to = from);
    Ok(all)
}

impl ProductOfExperts<f32> for Cuda {
    type Labels = Arc<Buffer<u32>>;

    fn labels(&self, labels: &[u32]) -> Result<Arc<Buffer<u32>>, CudaError> {
        Ok(Arc::new(Buffer::of(labels).map_err(|error| to_dfdx(&error))?))
    }

    fn product_forward(
        &self,
        experts: &[&Features<f32, Cuda>],
        labels: &Arc<Buffer<u32>>,
        out: &mut Features<f32, Cuda>,
    ) -> Result<Tensor<Rank0, f32, Cuda>, CudaError> {
        let &(classes, examples) = out.shape();
        let loss = uninitialised(|| self.try_zeros_like(&Rank0::default()))?;
        let arguments = Product {
            experts: all(experts.iter().map(|expert| address(*expert)))?,
            labels: labels.address(),
            out: address(&*out),
            loss: address(&loss),
            count: experts.len() as u32,
            classes: classes as u32,
            examples: examples as u32,
            padding: 0,
        };
        // One block, whatever the batch: its loss is one sum.
        launched(launch("product_forward", Grid::over(256), arguments))?;
        Ok(loss)
    }

    fn product_backward(
        &self,
        log_probabilities: &Features<f32, Cuda>,
        labels: &Arc<Buffer<u32>>,
        loss_gradient: &Storage1<Cuda, f32>,
        gradients: &mut [Storage1<Cuda, f32>],
    ) -> Result<(), CudaError> {
        let &(classes, examples) = log_probabilities.shape();
        let arguments = ProductBackward {
            gradients: all(gradients.iter_mut().map(|gradient| *gradient.device_ptr_mut()))?,
            log_probabilities: address(log_probabilities),
            labels: labels.address(),
            loss_gradient: *loss_gradient.device_ptr(),
            count: gradients.len() as u32,
            classes: classes as u32,
            examples: examples as u32,
            padding: 0,
        };
        launched(launch("product_backward", Grid::over(classes * examples), arguments))
    }

    fn heads_forward(
        &self,
        experts: &[&Features<f32, Cuda>],
        labels: &Arc<Buffer<u32>>,
        heads: &Heads<f32, Cuda>,
        out: &mut Features<f32, Cuda>,
    ) -> Result<HeadsLoss<f32, Cuda>, CudaError> {
        let loss = uninitialised(|| self.try_zeros_like(&Rank0::default()))?;
        let totals = uninitialised(|| self.try_zeros_like(&(heads.count,)))?;
        let arguments = HeadsProduct {
            experts: all(experts.iter().map(|expert| address(*expert)))?,
            labels: labels.address(),
            weights: address(&heads.weights),
            out: address(&*out),
            loss: address(&loss),
            totals: address(&totals),
            count: experts.len() as u32,
            heads: heads.count as u32,
            classes: heads.classes as u32,
            examples: out.shape().1 as u32,
        };
        // One block, whatever the batch: each head's loss is one sum.
        launched(launch("heads_forward", Grid::over(256), arguments))?;
        Ok(HeadsLoss { loss, totals })
    }

    fn heads_backward(
        &self,
        log_probabilities: &Features<f32, Cuda>,
        labels: &Arc<Buffer<u32>>,
        (heads, totals): (&Heads<f32, Cuda>, &Tensor<(usize,), f32, Cuda>),
        loss_gradient: &Storage1<Cuda, f32>,
        gradients: &mut [Storage1<Cuda, f32>],
    ) -> Result<(), CudaError> {
        let &(rows, examples) = log_probabilities.shape();
        let arguments = HeadsBackward {
            gradients: all(gradients.iter_mut().map(|gradient| *gradient.device_ptr_mut()))?,
            log_probabilities: address(log_probabilities),
            labels: labels.address(),
            weights: address(&heads.weights),
            totals: address(totals),
            loss_gradient: *loss_gradient.device_ptr(),
            count: gradients.len() as u32,
            heads: heads.count as u32,
            classes: heads.classes as u32,
            examples: examples as u32,
        };
        launched(launch("heads_backward", Grid::over(rows * examples), arguments))
    }
}
