//! [`Embedding`](super::Embedding) on a GPU: the kernels of `rows.cu`, with the table as one sample.
//!
//! A step that looks up tokens is not recorded: they are other ones in every step.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use crate::device::Storage1;
use crate::device::cuda::{address, uninitialised, varies};
use crate::ops::Tokens;
use crate::ops::cuda::launched;
use crate::ops::rows::cuda::Taken;

/// Rows of a table, which are taken by their own numbers.
fn taken(ids: &[u32], features: usize) -> Taken<'_> {
    varies("the tokens of a text");
    Taken { rows: ids, of: 0, samples: 1, features }
}

impl super::Embedding<f32> for Cuda {
    fn embedding(
        &self,
        table: &Tensor<(usize,), f32, Self>,
        features: usize,
        ids: &[u32],
    ) -> Result<Tokens<f32, Self>, CudaError> {
        let out = uninitialised(|| self.try_zeros_like(&(ids.len(), features)))?;
        launched(taken(ids, features).gather(address(table), address(&out)))?;
        Ok(out)
    }

    fn embedding_backward(
        &self,
        features: usize,
        ids: &[u32],
        padding: Option<u32>,
        gradient: &Storage1<Self, f32>,
        into: &mut Storage1<Self, f32>,
    ) -> Result<(), CudaError> {
        launched(taken(ids, features).add(padding, *gradient.device_ptr(), *into.device_ptr_mut()))
    }
}
