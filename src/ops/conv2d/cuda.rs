//! [`Conv2d`] on a GPU: the products of `kernel/*.cu`.

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use super::{Conv2d, Shape};
use crate::device::Storage1;
use crate::device::cuda::{address, uninitialised};
use crate::ops::Maps;
use crate::ops::kernel::cuda::{Correlate, Project};

impl Conv2d<f32> for Cuda {
    fn conv2d(
        &self,
        x: &Maps<f32, Self>,
        weight: &Tensor<(usize,), f32, Self>,
        shape: Shape,
    ) -> Result<Maps<f32, Self>, CudaError> {
        only_stride_one(shape)?;
        let Shape { inputs, outputs, kernel, height, width, batch, .. } = shape;
        let out = uninitialised(|| self.try_zeros_like(&(outputs, height, width, batch)))?;
        let taps = (kernel * kernel) as u32;
        let project = Project {
            weight: address(weight),
            input: address(x),
            out: address(&out),
            rows: outputs as u32,
            channels: inputs as u32,
            weight_row: inputs as u32 * taps,
            weight_tap: 1,
            ..sizes(shape)
        };
        project.launch(1)?;
        Ok(out)
    }

    fn conv2d_backward_input(
        &self,
        weight: &Tensor<(usize,), f32, Self>,
        shape: Shape,
        gradient: &Storage1<Self, f32>,
        x_gradient: &mut Storage1<Self, f32>,
    ) -> Result<(), CudaError> {
        only_stride_one(shape)?;
        let Shape { inputs, outputs, kernel, .. } = shape;
        let taps = (kernel * kernel) as u32;
        // Output and input channels swapped, the kernel turned by 180 degrees.
        let project = Project {
            weight: address(weight) + u64::from(4 * (taps - 1)),
            input: *gradient.device_ptr(),
            out: *x_gradient.device_ptr_mut(),
            rows: inputs as u32,
            channels: outputs as u32,
            weight_row: taps,
            weight_channel: inputs as u32 * taps,
            weight_tap: -1,
            accumulate: 1,
            ..sizes(shape)
        };
        project.launch(1)
    }

    fn conv2d_backward_weight(
        &self,
        x: &Maps<f32, Self>,
        shape: Shape,
        gradient: &Storage1<Self, f32>,
        weight_gradient: &mut Storage1<Self, f32>,
    ) -> Result<(), CudaError> {
        only_stride_one(shape)?;
        let Shape { inputs, outputs, kernel, height, width, batch, .. } = shape;
        let (taps, map) = ((kernel * kernel) as u32, (height * width * batch) as u32);
        let correlate = Correlate {
            gradient: *gradient.device_ptr(),
            input: address(x),
            sums: *weight_gradient.device_ptr_mut(),
            rows: outputs as u32,
            channels: inputs as u32,
            steps: 1,
            inner: map,
            gradient_row: map,
            input_channel: map,
            sums_row: inputs as u32 * taps,
            sums_channel: taps,
            height: height as u32,
            width: width as u32,
            batch: batch as u32,
            kernel: kernel as u32,
            ..Correlate::default()
        };
        correlate.launch(1)
    }
}

/// What forward and the input gradient have in common.
fn sizes(Shape { kernel, height, width, batch, .. }: Shape) -> Project {
    let map = (height * width * batch) as u32;
    Project {
        columns: map,
        weight_channel: (kernel * kernel) as u32,
        group: u32::MAX,
        input_channel: map,
        out_row: map,
        height: height as u32,
        width: width as u32,
        batch: batch as u32,
        kernel: kernel as u32,
        ..Project::default()
    }
}

/// Strides are not there yet.
fn only_stride_one(shape: Shape) -> Result<(), CudaError> {
    if shape.stride == 1 { Ok(()) } else { Err(CudaError::Cpu(CpuError::WrongNumElements)) }
}
