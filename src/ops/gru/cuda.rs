//! [`Gru`] on a GPU: one kernel per direction, and one for all weight gradients.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use super::{Forward, Gru, Sizes, Values};
use crate::device::Storage1;
use crate::device::cuda::{Address, Buffer, Grid, address, arguments, launch, to_dfdx, uninitialised};
use crate::ops::Series;
use crate::ops::cuda::launched;

/// Bytes of shared memory that a block may have without asking.
const SHARED: usize = 48 * 1024;

arguments! {
    /// See `gru.cu`.
    struct GruForward {
        input: Address,
        w_input: Address,
        w_hidden: Address,
        b_input: Address,
        b_hidden: Address,
        states: Address,
        gates: Address,
        steps: u32,
        features: u32,
        units: u32,
        batch: u32,
        resident: u32,
        padding: u32,
    }

    /// See `gru.cu`.
    struct GruBackward {
        w_input: Address,
        w_hidden: Address,
        states: Address,
        gates: Address,
        gradient: Address,
        deltas: Address,
        input_gradient: Address,
        steps: u32,
        features: u32,
        units: u32,
        batch: u32,
        resident: u32,
        padding: u32,
    }

    /// See `gru.cu`.
    struct GruWeights {
        input: Address,
        states: Address,
        deltas: Address,
        w_input: Address,
        w_hidden: Address,
        b_input: Address,
        b_hidden: Address,
        steps: u32,
        features: u32,
        units: u32,
        batch: u32,
    }
}

/// A block per example, as many threads as there are gates; `least` floats of shared memory, and `weights` more if they fit.
fn grid(sizes: Sizes, least: usize, weights: usize) -> (Grid, bool) {
    let resident = 4 * (least + weights) <= SHARED;
    let threads = (3 * sizes.hidden).next_multiple_of(32).min(1024);
    let shared = 4 * if resident { least + weights } else { least };
    let blocks = [sizes.batch as u32, 1, 1];
    (Grid { blocks, threads: [threads as u32, 1, 1], shared: shared as u32 }, resident)
}

impl Gru<f32> for Cuda {
    /// r, z, n and W_hn h + b_hn of every step: (steps, 4 hidden, batch).
    type Saved = Buffer<f32>;

    fn gru_forward(
        &self,
        sizes: Sizes,
        input: &Series<f32, Cuda>,
        weights: &Values<f32, Cuda>,
    ) -> Result<Forward<f32, Cuda>, CudaError> {
        let Sizes { steps, input: features, hidden: units, batch } = sizes;
        let [w_input, w_hidden, b_input, b_hidden] = weights.each_ref().map(address);
        let states = uninitialised(|| self.try_zeros_like(&(steps, units, batch)))?;
        let gates = Buffer::room(steps * 4 * units * batch).map_err(|error| to_dfdx(&error))?;
        let (grid, resident) = grid(sizes, features + 5 * units, 3 * units * (features + units));
        let arguments = GruForward {
            input: address(input),
            w_input,
            w_hidden,
            b_input,
            b_hidden,
            states: address(&states),
            gates: gates.address(),
            steps: steps as u32,
            features: features as u32,
            units: units as u32,
            batch: batch as u32,
            resident: u32::from(resident),
            padding: 0,
        };
        launched(launch("gru_forward", grid, arguments))?;
        Ok((states, gates))
    }

    fn gru_backward(
        &self,
        sizes: Sizes,
        input: &Series<f32, Cuda>,
        weights: &Values<f32, Cuda>,
        hidden: &Series<f32, Cuda>,
        gates: &Buffer<f32>,
        gradient: &Storage1<Cuda, f32>,
        input_gradient: Option<&mut Storage1<Cuda, f32>>,
        weight_gradients: [Option<&mut Storage1<Cuda, f32>>; 4],
    ) -> Result<(), CudaError> {
        let Sizes { steps, input: features, hidden: units, batch } = sizes;
        let [w_input, w_hidden, ..] = weights.each_ref().map(address);
        let deltas = Buffer::<f32>::room(steps * 4 * units * batch).map_err(|error| to_dfdx(&error))?;
        let (grid, resident) = grid(sizes, 8 * units, 3 * units * units);
        let arguments = GruBackward {
            w_input,
            w_hidden,
            states: address(hidden),
            gates: gates.address(),
            gradient: *gradient.device_ptr(),
            deltas: deltas.address(),
            input_gradient: input_gradient.map_or(0, |gradient| *gradient.device_ptr_mut()),
            steps: steps as u32,
            features: features as u32,
            units: units as u32,
            batch: batch as u32,
            resident: u32::from(resident),
            padding: 0,
        };
        launched(launch("gru_backward", grid, arguments))?;
        let wanted =
            weight_gradients.map(|gradient| gradient.map_or(0, |gradient| *gradient.device_ptr_mut()));
        if wanted == [0; 4] {
            return Ok(());
        }
        let [w_input, w_hidden, b_input, b_hidden] = wanted;
        let arguments = GruWeights {
            input: address(input),
            states: address(hidden),
            deltas: deltas.address(),
            w_input,
            w_hidden,
            b_input,
            b_hidden,
            steps: steps as u32,
            features: features as u32,
            units: units as u32,
            batch: batch as u32,
        };
        let blocks = [(features + units + 1).div_ceil(9) as u32, (4 * units).div_ceil(6) as u32, 1];
        launched(launch("gru_weights", Grid { blocks, threads: [256, 1, 1], shared: 0 }, arguments))
    }
}
