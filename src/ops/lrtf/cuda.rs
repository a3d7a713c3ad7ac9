//! Low-rank tensor fusion on a GPU: the products of `kernel/*.cu` with a rank as z, and two kernels of its own.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use super::{LowRankFusion, Projections, Sizes, Totals, Values};
use crate::device::Storage1;
use crate::device::cuda::{Address, Buffer, GpuError, Grid, address, arguments, launch, to_dfdx};
use crate::ops::Features;
use crate::ops::cuda::launched;
use crate::ops::kernel::cuda::{Correlate, Project};

arguments! {
    /// See `lrtf.cu`.
    struct Fuse {
        first: Address,
        second: Address,
        weights: Address,
        bias: Address,
        out: Address,
        rank: u32,
        plane: u32,
        batch: u32,
        padding: u32,
    }

    /// See `lrtf.cu`.
    struct FuseBackward {
        first: Address,
        second: Address,
        weights: Address,
        gradient: Address,
        to_first: Address,
        to_second: Address,
        to_weights: Address,
        to_bias: Address,
        rank: u32,
        plane: u32,
        batch: u32,
        padding: u32,
    }
}

impl LowRankFusion<f32> for Cuda {
    fn fusion_forward(
        &self,
        sizes: Sizes,
        inputs: [&Features<f32, Cuda>; 2],
        values: &Values<f32, Cuda>,
        projections: &mut Projections<f32, Cuda>,
        out: &mut Features<f32, Cuda>,
    ) -> Result<(), CudaError> {
        let Sizes { rank, outputs, batch, .. } = sizes;
        let [first, second, weights, bias] = values.each_ref().map(address);
        for (m, factor) in [first, second].into_iter().enumerate() {
            let features = sizes.features[m];
            let project = Project {
                // The first row of a factor belongs to the one that stands before the features.
                weight: factor + 4 * outputs as u64,
                bias: factor,
                input: address(inputs[m]),
                out: address(&projections[m]),
                weight_z: ((features + 1) * outputs) as u32,
                bias_z: ((features + 1) * outputs) as u32,
                out_z: (outputs * batch) as u32,
                rows: outputs as u32,
                channels: features as u32,
                weight_row: 1,
                weight_channel: outputs as u32,
                ..Project::per_example(batch)
            };
            project.launch(rank)?;
        }
        let arguments = Fuse {
            first: address(&projections[0]),
            second: address(&projections[1]),
            weights,
            bias,
            out: address(&*out),
            rank: rank as u32,
            plane: (outputs * batch) as u32,
            batch: batch as u32,
            padding: 0,
        };
        launched(launch("lrtf_fuse", Grid::over(outputs * batch), arguments))
    }

    fn fusion_backward(
        &self,
        sizes: Sizes,
        inputs: [&Features<f32, Cuda>; 2],
        values: &Values<f32, Cuda>,
        projections: &Projections<f32, Cuda>,
        gradient: &Storage1<Cuda, f32>,
        totals: Totals<'_, f32, Cuda>,
    ) -> Result<(), CudaError> {
        let Sizes { rank, outputs, batch, .. } = sizes;
        let plane = outputs * batch;
        let [first, second, weights, _] = values.each_ref().map(address);
        let [to_first_factor, to_second_factor, to_weights, to_bias] =
            totals.parameters.map(|total| total.map_or(0, |total| *total.device_ptr_mut()));
        let room = || Buffer::<f32>::room(rank * plane).map_err(|error: GpuError| to_dfdx(&error));
        let to_projections = [room()?, room()?];
        let arguments = FuseBackward {
            first: address(&projections[0]),
            second: address(&projections[1]),
            weights,
            gradient: *gradient.device_ptr(),
            to_first: to_projections[0].address(),
            to_second: to_projections[1].address(),
            to_weights,
            to_bias,
            rank: rank as u32,
            plane: plane as u32,
            batch: batch as u32,
            padding: 0,
        };
        let blocks = [(rank + outputs.div_ceil(256)) as u32, 1, 1];
        launched(launch("lrtf_backward", Grid { blocks, threads: [256, 1, 1], shared: 0 }, arguments))?;
        let to_factors = [to_first_factor, to_second_factor];
        let modalities = [first, second].into_iter().zip(to_factors).zip(totals.features);
        for (m, ((factor, to_factor), to_features)) in modalities.enumerate() {
            let features = sizes.features[m];
            let to_projection = to_projections[m].address();
            let rows_of_factor = ((features + 1) * outputs) as u32;
            if to_factor != 0 {
                let correlate = Correlate {
                    gradient: to_projection,
                    input: address(inputs[m]),
                    sums: to_factor + 4 * outputs as u64,
                    biases: to_factor,
                    gradient_z: plane as u32,
                    sums_z: rows_of_factor,
                    bias_z: rows_of_factor,
                    rows: outputs as u32,
                    channels: features as u32,
                    steps: 1,
                    inner: batch as u32,
                    gradient_row: batch as u32,
                    input_channel: batch as u32,
                    sums_row: 1,
                    sums_channel: outputs as u32,
                    batch: batch as u32,
                    kernel: 1,
                    ..Correlate::default()
                };
                correlate.launch(rank)?;
            }
            // Channels are (rank, output).
            let project = Project {
                weight: factor + 4 * outputs as u64,
                input: to_projection,
                out: *to_features.device_ptr_mut(),
                rows: features as u32,
                channels: (rank * outputs) as u32,
                weight_row: outputs as u32,
                weight_group: rows_of_factor,
                group: outputs as u32,
                weight_channel: 1,
                accumulate: 1,
                ..Project::per_example(batch)
            };
            project.launch(1)?;
        }
        Ok(())
    }
}
