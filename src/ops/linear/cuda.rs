//! [`Linear`] on a GPU: the products of `kernel/*.cu`, with a step of a series as z.

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use super::{Activation, Linear, LinearGradients};
use crate::device::Storage1;
use crate::device::cuda::{address, uninitialised};
use crate::ops::Series;
use crate::ops::kernel::cuda::{Correlate, Project};

impl Linear<f32> for Cuda {
    fn linear(
        &self,
        x: &Series<f32, Self>,
        weight: &Tensor<(usize,), f32, Self>,
        bias: &Tensor<(usize,), f32, Self>,
        activation: Activation,
    ) -> Result<Series<f32, Self>, CudaError> {
        let &(steps, inputs, batch) = x.shape();
        let outputs = bias.shape().0;
        let out = uninitialised(|| self.try_zeros_like(&(steps, outputs, batch)))?;
        let slope = activation.negative_slope();
        let project = Project {
            weight: address(weight),
            input: address(x),
            bias: address(bias),
            out: address(&out),
            input_z: (inputs * batch) as u32,
            out_z: (outputs * batch) as u32,
            rows: outputs as u32,
            channels: inputs as u32,
            weight_row: inputs as u32,
            weight_channel: 1,
            activate: u32::from(slope.is_some()),
            slope: slope.unwrap_or(1.0) as f32,
            ..Project::per_example(batch)
        };
        project.launch(steps)?;
        Ok(out)
    }

    fn linear_backward(
        &self,
        x: &Series<f32, Self>,
        weight: &Tensor<(usize,), f32, Self>,
        out: &Series<f32, Self>,
        activation: Activation,
        gradient: Storage1<Self, f32>,
        into: LinearGradients<'_, Storage1<Self, f32>>,
    ) -> Result<(), CudaError> {
        let &(steps, inputs, batch) = x.shape();
        let outputs = out.shape().1;
        let slope = activation.negative_slope();
        let mask = if slope.is_some() { address(out) } else { 0 };
        let mask_slope = slope.unwrap_or(1.0) as f32;
        let project = Project {
            weight: address(weight),
            input: *gradient.device_ptr(),
            mask,
            mask_slope,
            out: *into.x.device_ptr_mut(),
            input_z: (outputs * batch) as u32,
            out_z: (inputs * batch) as u32,
            rows: inputs as u32,
            channels: outputs as u32,
            weight_row: 1,
            weight_channel: inputs as u32,
            accumulate: 1,
            ..Project::per_example(batch)
        };
        project.launch(steps)?;
        let correlate = Correlate {
            gradient: *gradient.device_ptr(),
            mask,
            mask_slope,
            rows: outputs as u32,
            steps: steps as u32,
            inner: batch as u32,
            gradient_row: batch as u32,
            gradient_step: (outputs * batch) as u32,
            input_channel: batch as u32,
            input_step: (inputs * batch) as u32,
            input: address(x),
            sums_row: inputs as u32,
            sums_channel: 1,
            batch: batch as u32,
            kernel: 1,
            ..Correlate::default()
        };
        let biases = into.bias.map_or(0, |bias| *bias.device_ptr_mut());
        match into.weight {
            Some(sums) => {
                let sums = *sums.device_ptr_mut();
                Correlate { sums, biases, channels: inputs as u32, ..correlate }.launch(1)
            }
            None => Correlate { biases, channels: 0, ..correlate }.launch(1),
        }
    }
}
