//! [`Conv2d`] on a GPU: the products of `kernel/*.cu`, or those of `blocked.cu` where channels are many.
//!
//! Invariant: the choice follows from the shape alone.

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use super::{Conv2d, Shape, blocked};
use crate::device::Storage1;
use crate::device::cuda::{address, uninitialised};
use crate::ops::Maps;
use crate::ops::cuda::launched;
use crate::ops::kernel::cuda::{Correlate, Project};

impl Conv2d<f32> for Cuda {
    fn conv2d(
        &self,
        x: &Maps<f32, Self>,
        weight: &Tensor<(usize,), f32, Self>,
        shape: Shape,
    ) -> Result<Maps<f32, Self>, CudaError> {
        let Shape { inputs, outputs, kernel, stride, height, width, batch } = shape;
        let (out_height, out_width) = (shape.out_height(), shape.out_width());
        let out = uninitialised(|| self.try_zeros_like(&(outputs, out_height, out_width, batch)))?;
        if blocked::is_blocked(shape) {
            launched(blocked::output(shape, address(weight), address(x), address(&out)))?;
            return Ok(out);
        }
        let taps = (kernel * kernel) as u32;
        let project = Project {
            weight: address(weight),
            input: address(x),
            out: address(&out),
            rows: outputs as u32,
            channels: inputs as u32,
            weight_row: inputs as u32 * taps,
            weight_tap: 1,
            stride: stride as u32,
            ..sizes(shape, [out_height, out_width], [height, width])
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
        let Shape { inputs, outputs, kernel, stride, height, width, .. } = shape;
        if blocked::is_blocked(shape) {
            let (gradient, x_gradient) = (*gradient.device_ptr(), *x_gradient.device_ptr_mut());
            return launched(blocked::input_gradient(shape, address(weight), gradient, x_gradient));
        }
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
            spread: stride as u32,
            ..sizes(shape, [height, width], [shape.out_height(), shape.out_width()])
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
        let Shape { inputs, outputs, kernel, stride, height, width, batch } = shape;
        let (out_height, out_width) = (shape.out_height(), shape.out_width());
        if blocked::is_blocked(shape) {
            let (gradient, sums) = (*gradient.device_ptr(), *weight_gradient.device_ptr_mut());
            return launched(blocked::weight_gradient(shape, address(x), gradient, sums));
        }
        let (taps, map) = ((kernel * kernel) as u32, (out_height * out_width * batch) as u32);
        let correlate = Correlate {
            gradient: *gradient.device_ptr(),
            input: address(x),
            sums: *weight_gradient.device_ptr_mut(),
            rows: outputs as u32,
            channels: inputs as u32,
            steps: 1,
            inner: map,
            gradient_row: map,
            input_channel: (height * width * batch) as u32,
            sums_row: inputs as u32 * taps,
            sums_channel: taps,
            height: out_height as u32,
            width: out_width as u32,
            batch: batch as u32,
            kernel: kernel as u32,
            from_height: height as u32,
            from_width: width as u32,
            stride: stride as u32,
            ..Correlate::default()
        };
        correlate.launch(1)
    }
}

/// What forward and the input gradient have in common: the images of the columns and of what they read.
fn sizes(shape: Shape, to: [usize; 2], from: [usize; 2]) -> Project {
    let Shape { kernel, batch, .. } = shape;
    let map = (to[0] * to[1] * batch) as u32;
    Project {
        columns: map,
        weight_channel: (kernel * kernel) as u32,
        group: u32::MAX,
        input_channel: (from[0] * from[1] * batch) as u32,
        out_row: map,
        height: to[0] as u32,
        width: to[1] as u32,
        batch: batch as u32,
        kernel: kernel as u32,
        from_height: from[0] as u32,
        from_width: from[1] as u32,
        stride: 1,
        spread: 1,
        ..Project::default()
    }
}
