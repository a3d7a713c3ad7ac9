//! [`MeanTokens`](super::MeanTokens) on a GPU: a thread to a sum, in the order of the tokens.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut, DeviceSlice};
use dfdx::prelude::*;

use crate::device::Storage1;
use crate::device::cuda::{Address, Grid, address, arguments, launch, uninitialised};
use crate::ops::Tokens;
use crate::ops::cuda::launched;

arguments! {
    /// See `mean_tokens.cu`.
    struct MeanTokens {
        from: Address,
        to: Address,
        tokens: u32,
        features: u32,
        count: u32,
        padding: u32,
    }
}

impl super::MeanTokens<f32> for Cuda {
    fn mean_tokens(&self, x: &Tokens<f32, Self>, tokens: usize) -> Result<Tokens<f32, Self>, CudaError> {
        let &(rows, features) = x.shape();
        let shape = (rows / tokens, features);
        let out = uninitialised(|| self.try_zeros_like(&shape))?;
        let count = shape.num_elements();
        let arguments = MeanTokens {
            from: address(x),
            to: address(&out),
            tokens: tokens as u32,
            features: features as u32,
            count: count as u32,
            padding: 0,
        };
        launched(launch("mean_tokens", Grid::over(count), arguments))?;
        Ok(out)
    }

    fn mean_tokens_backward(
        &self,
        tokens: usize,
        features: usize,
        gradient: &Storage1<Self, f32>,
        into: &mut Storage1<Self, f32>,
    ) -> Result<(), CudaError> {
        let count = into.len();
        let arguments = MeanTokens {
            from: *gradient.device_ptr(),
            to: *into.device_ptr_mut(),
            tokens: tokens as u32,
            features: features as u32,
            count: count as u32,
            padding: 0,
        };
        launched(launch("mean_tokens_backward", Grid::over(count), arguments))
    }
}
