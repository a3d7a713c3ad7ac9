//! [`Activate`](super::Activate) on a GPU: a thread per element.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use super::Function;
use crate::device::Storage1;
use crate::device::cuda::{Address, Grid, address, arguments, launch, uninitialised};
use crate::ops::Tokens;
use crate::ops::cuda::launched;

arguments! {
    /// See `activate.cu`.
    struct Activate {
        x: Address,
        gradient: Address,
        out: Address,
        count: u32,
        function: u32,
    }
}

fn number(function: Function) -> u32 {
    match function {
        Function::Gelu => 0,
        Function::Tanh => 1,
    }
}

impl super::Activate<f32> for Cuda {
    fn activate(&self, x: &Tokens<f32, Self>, function: Function) -> Result<Tokens<f32, Self>, CudaError> {
        let shape = *x.shape();
        let out = uninitialised(|| self.try_zeros_like(&shape))?;
        let count = shape.num_elements();
        let arguments = Activate {
            x: address(x),
            gradient: 0,
            out: address(&out),
            count: count as u32,
            function: number(function),
        };
        launched(launch("activate", Grid::over(count), arguments))?;
        Ok(out)
    }

    fn activate_backward(
        &self,
        x: &Tokens<f32, Self>,
        function: Function,
        gradient: &Storage1<Self, f32>,
        into: &mut Storage1<Self, f32>,
    ) -> Result<(), CudaError> {
        let count = x.shape().num_elements();
        let arguments = Activate {
            x: address(x),
            gradient: *gradient.device_ptr(),
            out: *into.device_ptr_mut(),
            count: count as u32,
            function: number(function),
        };
        launched(launch("activate_backward", Grid::over(count), arguments))
    }
}
