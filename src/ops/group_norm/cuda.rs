//! [`GroupNormRelu`] on a GPU: a launch each for statistics and output; three for backward.
//!
//! Invariant: how sums are shared by blocks depends on the sizes alone, not on the GPU: so does their order.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use super::{EPSILON, GroupNormRelu, NormGradients, Normalised};
use crate::device::Storage1;
use crate::device::cuda::{
    Address, Buffer, GpuError, Grid, address, arguments, launch, to_dfdx, uninitialised,
};
use crate::ops::Maps;
use crate::ops::cuda::launched;

/// Threads of a block.
const THREADS: usize = 256;
/// Blocks that keep a large GPU busy.
const MANY_BLOCKS: usize = 1024;
/// Terms of a thread below which a sum is not worth sharing.
const FEW_TERMS: usize = 8;
/// Examples that a block sums up side by side, at most: a warp.
const ABREAST: usize = 32;

arguments! {
    /// See `group_norm.cu`.
    struct GroupNorm {
        x: Address,
        weight: Address,
        bias: Address,
        statistics: Address,
        out: Address,
        x_gradient: Address,
        weight_gradient: Address,
        bias_gradient: Address,
        sums: Address,
        channel_sums: Address,
        parts: Address,
        tickets: Address,
        epsilon: f64,
        channels: u32,
        groups: u32,
        map: u32,
        batch: u32,
        abreast: u32,
        chunks: u32,
    }
}

/// How sums are cut: examples side by side in a block, sets of them, and blocks that share a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    abreast: usize,
    sets: usize,
    chunks: usize,
}

impl Cut {
    /// That of `sums` sums, of `terms` terms each, for every example.
    fn of(sums: usize, terms: usize, batch: usize) -> Self {
        let abreast = batch.next_power_of_two().min(ABREAST);
        let sets = batch.div_ceil(abreast);
        let most = terms / (FEW_TERMS * THREADS / abreast);
        let chunks = (MANY_BLOCKS / (sums * sets).max(1)).min(most).max(1);
        // None without terms.
        Cut { abreast, sets, chunks: terms.div_ceil(terms.div_ceil(chunks)) }
    }

    /// Launches a kernel of `sums` sums.
    fn launch(self, kernel: &str, sums: usize, arguments: GroupNorm) -> Result<(), GpuError> {
        let units = sums * self.sets;
        let mut arguments =
            GroupNorm { abreast: self.abreast as u32, chunks: self.chunks as u32, ..arguments };
        // Freed in the order of the stream, after the launch has used them.
        let shared = (self.chunks > 1).then(|| {
            let parts = Buffer::<f64>::room(units * self.chunks * 2 * self.abreast)?;
            Ok::<_, GpuError>((parts, Buffer::<u32>::zeros(units)?))
        });
        let shared = shared.transpose()?;
        if let Some((parts, tickets)) = &shared {
            (arguments.parts, arguments.tickets) = (parts.address(), tickets.address());
        }
        let blocks = [self.chunks as u32, units as u32, 1];
        launch(kernel, Grid { blocks, threads: [THREADS as u32, 1, 1], shared: 0 }, arguments)
    }
}

/// A thread per element, a plane of blocks per channel.
fn elements(channels: usize, map: usize) -> Grid {
    let Grid { blocks, threads, shared } = Grid::over(map);
    Grid { blocks: [blocks[0], channels as u32, 1], threads, shared }
}

impl GroupNormRelu<f32> for Cuda {
    fn group_norm_relu(
        &self,
        x: &Maps<f32, Self>,
        weight: &Tensor<(usize,), f32, Self>,
        bias: &Tensor<(usize,), f32, Self>,
        groups: usize,
    ) -> Result<Normalised<f32, Self>, CudaError> {
        let &(channels, height, width, batch) = x.shape();
        let out = uninitialised(|| self.try_zeros_like(x.shape()))?;
        let statistics = uninitialised(|| self.try_zeros_like(&(2 * groups * batch,)))?;
        let arguments = GroupNorm {
            x: address(x),
            weight: address(weight),
            bias: address(bias),
            statistics: address(&statistics),
            out: address(&out),
            epsilon: EPSILON,
            channels: channels as u32,
            groups: groups as u32,
            map: (height * width) as u32,
            batch: batch as u32,
            ..GroupNorm::default()
        };
        let cut = Cut::of(groups, channels / groups * height * width, batch);
        launched(cut.launch("group_statistics", groups, arguments))?;
        launched(launch("group_norm_relu", elements(channels, height * width * batch), arguments))?;
        Ok(Normalised { out, statistics })
    }

    fn group_norm_relu_backward(
        &self,
        x: &Maps<f32, Self>,
        [weight, bias]: [&Tensor<(usize,), f32, Self>; 2],
        statistics: &Tensor<(usize,), f32, Self>,
        gradient: &Storage1<Self, f32>,
        into: NormGradients<'_, Storage1<Self, f32>>,
    ) -> Result<(), CudaError> {
        let &(channels, height, width, batch) = x.shape();
        let places = statistics.shape().0 / 2;
        let sums = Buffer::<f32>::room(2 * places).map_err(|error| to_dfdx(&error))?;
        let channel_sums = Buffer::<f64>::room(2 * channels * batch).map_err(|error| to_dfdx(&error))?;
        let arguments = GroupNorm {
            x: address(x),
            weight: address(weight),
            bias: address(bias),
            statistics: address(statistics),
            out: *gradient.device_ptr(),
            x_gradient: *into.x.device_ptr_mut(),
            weight_gradient: into.weight.map_or(0, |weight| *weight.device_ptr_mut()),
            bias_gradient: into.bias.map_or(0, |bias| *bias.device_ptr_mut()),
            sums: sums.address(),
            channel_sums: channel_sums.address(),
            epsilon: EPSILON,
            channels: channels as u32,
            groups: (places / batch) as u32,
            map: (height * width) as u32,
            batch: batch as u32,
            ..GroupNorm::default()
        };
        let cut = Cut::of(channels, height * width, batch);
        launched(cut.launch("group_backward_sums", channels, arguments))?;
        launched(launch("group_backward_gather", Grid::over(places + channels), arguments))?;
        launched(launch("group_backward_spread", elements(channels, height * width * batch), arguments))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::parity::{CASES, Case};

    #[test]
    fn every_block_has_terms_and_long_sums_are_shared() {
        for sums in [1, 2, 32, 64, 512] {
            for terms in [1, 7, 144, 1600, 3200, 10_220, 102_400, 204_800] {
                for batch in [1, 2, 3, 16, 33, 1000] {
                    let cut = Cut::of(sums, terms, batch);
                    assert!(cut.abreast.is_power_of_two() && cut.abreast * cut.sets >= batch);
                    assert!((cut.chunks - 1) * terms.div_ceil(cut.chunks) < terms, "{terms}: {cut:?}");
                }
            }
        }
        // PreAct-ResNet's first and last stages, one example: groups forward, channels backward.
        assert_eq!(Cut::of(32, 204_800, 1).chunks, 32);
        assert_eq!(Cut::of(64, 102_400, 1).chunks, 16);
        assert_eq!(Cut::of(32, 25_600, 1).chunks, 12);
        assert_eq!(Cut::of(512, 1600, 1).chunks, 1);
        assert_eq!(Cut::of(32, 204_800, 16), Cut { abreast: 16, sets: 1, chunks: 32 });
    }

    /// The doctor and the emulator compare these with the CPU.
    #[test]
    fn parity_takes_every_way_through_the_sums() {
        let cases: Vec<(usize, [Cut; 2])> = CASES
            .iter()
            .filter_map(|case| match *case {
                Case::GroupNormRelu([channels, height, width, batch], groups) => {
                    let map = height * width;
                    let forward = Cut::of(groups, channels / groups * map, batch);
                    Some((batch, [forward, Cut::of(channels, map, batch)]))
                }
                _ => None,
            })
            .collect();
        for sum in 0..2 {
            for shared in [false, true] {
                let found = |batch: &dyn Fn(usize) -> bool| {
                    cases.iter().any(|(n, cuts)| batch(*n) && (cuts[sum].chunks > 1) == shared)
                };
                assert!(found(&|n| n == 1) && found(&|n| n > 1 && !n.is_power_of_two()), "{sum} {shared}");
            }
            assert!(cases.iter().any(|(_, cuts)| cuts[sum].sets > 1));
        }
    }
}
