//! [`Transpose`](super::Transpose) on a GPU: elements are gathered, as rows are.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use crate::device::Storage1;
use crate::device::cuda::{address, uninitialised};
use crate::ops::cuda::launched;
use crate::ops::rows::cuda::Taken;
use crate::ops::{Features, Tokens};

/// For each element of the transposed array, the place of the one that it is.
fn turned([rows, columns]: [usize; 2]) -> Vec<u32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| (row * columns + column) as u32)).collect()
}

impl super::Transpose<f32> for Cuda {
    fn transpose(&self, x: &Tokens<f32, Self>) -> Result<Features<f32, Self>, CudaError> {
        let &(rows, columns) = x.shape();
        let out = uninitialised(|| self.try_zeros_like(&(columns, rows)))?;
        let turned = turned([rows, columns]);
        let taken = Taken { rows: &turned, of: rows * columns, samples: 1, features: 1 };
        launched(taken.gather(address(x), address(&out)))?;
        Ok(out)
    }

    fn transpose_backward(
        &self,
        dims: [usize; 2],
        gradient: &Storage1<Self, f32>,
        into: &mut Storage1<Self, f32>,
    ) -> Result<(), CudaError> {
        let turned = turned(dims);
        let taken = Taken { rows: &turned, of: turned.len(), samples: 1, features: 1 };
        launched(taken.scatter(*gradient.device_ptr(), *into.device_ptr_mut()))
    }
}
