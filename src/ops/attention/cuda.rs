//! [`Attention`](super::Attention) on a GPU: a launch for the output; one each for queries, keys and the table of positions on the way
//! back, which compute the probabilities again.
//!
//! Invariant: how it is cut depends on the sizes alone. A step that has padding is not recorded: that is another one in every step.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use super::{Additions, Sizes};
use crate::device::Storage1;
use crate::device::cuda::{
    Address, Buffer, GpuError, Grid, address, arguments, count, launch, to_dfdx, uninitialised, varies,
};
use crate::ops::Tokens;
use crate::ops::cuda::launched;
use crate::ops::kernel::cuda::WARP;

/// Tokens across a block, as in `tile.cuh`.
const ACROSS: usize = 32;
/// Rows of a warp.
const BAND: usize = 16;
/// Blocks that keep a large GPU busy.
const MANY_BLOCKS: usize = 512;

arguments! {
    /// See `attention.cu`.
    struct Attention {
        queries: Address,
        keys: Address,
        values: Address,
        table: Address,
        labels: Address,
        real: Address,
        kept: Address,
        out: Address,
        rows: Address,
        gradient: Address,
        along: Address,
        query_gradient: Address,
        key_gradient: Address,
        value_gradient: Address,
        table_gradient: Address,
        table_parts: Address,
        query_stride: u32,
        key_stride: u32,
        value_stride: u32,
        groups: u32,
        query_count: u32,
        key_count: u32,
        heads: u32,
        head: u32,
        side: u32,
        windows: u32,
        chunks: u32,
        shares: u32,
        wide: u32,
        scale: f32,
        keep_scale: f32,
        padding: u32,
    }
}

/// How a call is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    /// Features that a block works on at a time.
    size: usize,
    /// Chunks of so many features.
    chunks: usize,
    warps: usize,
    /// Blocks that share the groups in the sums of the table.
    shares: usize,
}

impl Cut {
    fn of(sizes: &Sizes) -> Self {
        let size = if sizes.head <= 32 { 32 } else { 64 };
        let mut cut = Cut { size, chunks: sizes.head.div_ceil(size), warps: 128 / size, shares: 1 };
        let blocks = sizes.heads * cut.tiles(sizes.queries) * sizes.keys.div_ceil(ACROSS);
        let wanted = (MANY_BLOCKS / blocks).clamp(1, sizes.groups);
        // None without groups.
        cut.shares = sizes.groups.div_ceil(sizes.groups.div_ceil(wanted));
        cut
    }

    /// Tokens down a block.
    fn down(self) -> usize {
        BAND * self.warps
    }

    /// Blocks down so many tokens.
    fn tiles(self, tokens: usize) -> usize {
        tokens.div_ceil(self.down())
    }

    /// Bytes of shared memory, with or without what only the gradient needs.
    fn shared(self, backward: bool) -> usize {
        let (down, pitch) = (self.down(), self.size + 4);
        let tokens = (down + 2 * ACROSS) * pitch + if backward { down * pitch } else { 0 };
        4 * (tokens + down * (ACROSS + 4) + 3 * (down + ACROSS) + 3 * ACROSS)
    }

    fn launch(
        self,
        kernel: &str,
        [blocks, planes]: [usize; 2],
        backward: bool,
        arguments: Attention,
    ) -> Result<(), GpuError> {
        let grid = Grid {
            blocks: [blocks as u32, planes as u32, 1],
            threads: [(WARP * self.warps) as u32, 1, 1],
            shared: self.shared(backward) as u32,
        };
        launch(&format!("{kernel}_h{}", self.size), grid, arguments)
    }
}

/// One call: its arguments, and what they point to.
struct Call {
    arguments: Attention,
    cut: Cut,
    units: usize,
    /// Freed in the order of the stream, after the launches have used them.
    _held: [Option<Buffer<u8>>; 2],
}

impl Call {
    fn new(
        inputs: &[Tokens<f32, Cuda>],
        sizes: &Sizes,
        additions: &Additions<f32, Cuda>,
    ) -> Result<Self, GpuError> {
        let labels = additions.labels.as_ref().map(|labels| Buffer::of(labels)).transpose()?;
        let real = additions.real.as_ref().map(|real| {
            varies("which tokens are padding");
            Buffer::of(&real.iter().map(|&real| u8::from(real)).collect::<Vec<_>>())
        });
        let real = real.transpose()?;
        let cut = Cut::of(sizes);
        let all = |which: usize| {
            let place = sizes.places[which];
            let input = &inputs[place.input];
            (address(input) + (4 * place.offset) as u64, input.shape().1 as u32)
        };
        let [(queries, query_stride), (keys, key_stride), (values, value_stride)] = [all(0), all(1), all(2)];
        let (kept, keep_scale) = match &additions.kept {
            Some((kept, scale)) => (kept.address(), *scale as f32),
            None => (0, 1.0),
        };
        let arguments = Attention {
            queries,
            keys,
            values,
            table: additions.table.as_ref().map_or(0, address),
            labels: labels.as_ref().map_or(0, Buffer::address),
            real: real.as_ref().map_or(0, Buffer::address),
            kept,
            query_stride,
            key_stride,
            value_stride,
            groups: sizes.groups as u32,
            query_count: sizes.queries as u32,
            key_count: sizes.keys as u32,
            heads: sizes.heads as u32,
            head: sizes.head as u32,
            side: libm::sqrt(sizes.queries as f64) as u32,
            windows: additions.labels.as_ref().map_or(1, |labels| labels.len() / sizes.keys) as u32,
            chunks: cut.chunks as u32,
            shares: cut.shares as u32,
            wide: u32::from(sizes.head.is_multiple_of(4)),
            scale: sizes.scale() as f32,
            keep_scale,
            ..Attention::default()
        };
        Ok(Call { arguments, cut, units: sizes.heads * sizes.groups, _held: [labels, real] })
    }
}

/// Counts the multiply-adds of so many products of all queries with all keys.
fn count_products(sizes: &Sizes, products: usize) {
    let all = sizes.groups * sizes.queries * sizes.keys * sizes.width();
    count(|counts| counts.multiply_adds += (products * all) as u64);
}

impl super::Attention<f32> for Cuda {
    fn attention(
        &self,
        inputs: &[Tokens<f32, Self>],
        sizes: &Sizes,
        additions: &Additions<f32, Self>,
    ) -> Result<(Tokens<f32, Self>, Tensor<(usize,), f32, Self>), CudaError> {
        let call = Call::new(inputs, sizes, additions).map_err(|error| to_dfdx(&error))?;
        let out = uninitialised(|| self.try_zeros_like(&(sizes.groups * sizes.queries, sizes.width())))?;
        let rows = uninitialised(|| self.try_zeros_like(&(2 * call.units * sizes.queries,)))?;
        let arguments = Attention { out: address(&out), rows: address(&rows), ..call.arguments };
        count_products(sizes, 2);
        let blocks = call.units * call.cut.tiles(sizes.queries);
        launched(call.cut.launch("attention", [blocks, call.cut.chunks], false, arguments))?;
        Ok((out, rows))
    }

    fn attention_backward(
        &self,
        inputs: &[Tokens<f32, Self>],
        sizes: &Sizes,
        additions: &Additions<f32, Self>,
        (out, rows): (&Tokens<f32, Self>, &Tensor<(usize,), f32, Self>),
        gradient: &Storage1<Self, f32>,
        into: &mut [Storage1<Self, f32>],
        table: Option<&mut Storage1<Self, f32>>,
    ) -> Result<(), CudaError> {
        let call = Call::new(inputs, sizes, additions).map_err(|error| to_dfdx(&error))?;
        let (cut, units) = (call.cut, call.units);
        let along = Buffer::<f32>::room(units * sizes.queries).map_err(|error| to_dfdx(&error))?;
        let mut gradient_of = |which: usize| {
            let place = sizes.places[which];
            *into[place.input].device_ptr_mut() + (4 * place.offset) as u64
        };
        let arguments = Attention {
            out: address(out),
            rows: address(rows),
            gradient: *gradient.device_ptr(),
            along: along.address(),
            query_gradient: gradient_of(0),
            key_gradient: gradient_of(1),
            value_gradient: gradient_of(2),
            ..call.arguments
        };
        count_products(sizes, if table.is_some() { 9 } else { 7 });
        launched(launch("attention_along", Grid::over(units * sizes.queries * WARP), arguments))?;
        let blocks = units * cut.tiles(sizes.queries);
        launched(cut.launch("attention_queries", [blocks, cut.chunks], true, arguments))?;
        let blocks = units * cut.tiles(sizes.keys);
        launched(cut.launch("attention_keys", [blocks, cut.chunks], true, arguments))?;
        if let Some(table) = table {
            let pairs = sizes.heads * sizes.queries * sizes.keys;
            let parts = Buffer::<f32>::room(cut.shares * pairs).map_err(|error| to_dfdx(&error))?;
            let arguments = Attention {
                table_gradient: *table.device_ptr_mut(),
                table_parts: parts.address(),
                ..arguments
            };
            let blocks = sizes.heads * cut.tiles(sizes.queries) * sizes.keys.div_ceil(ACROSS);
            launched(cut.launch("attention_table", [blocks, cut.shares], true, arguments))?;
            let entries = (2 * arguments.side as usize - 1).pow(2) * sizes.heads;
            launched(launch("attention_table_gather", Grid::over(entries * WARP), arguments))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(groups: usize, [queries, keys, heads, head]: [usize; 4]) -> Sizes {
        let at = super::super::Place { input: 0, offset: 0 };
        Sizes { groups, queries, keys, heads, head, places: [at; 3] }
    }

    #[test]
    fn every_cut_fits_into_a_block_and_every_share_has_groups() {
        for head in [1, 5, 8, 32, 33, 64, 65, 200] {
            for groups in [1, 2, 19, 64, 1024] {
                for tokens in [1, 4, 49, 144, 324] {
                    let cut = Cut::of(&sizes(groups, [tokens, tokens, 4, head]));
                    assert!(cut.size * cut.chunks >= head && cut.shared(true) <= 48 * 1024, "{cut:?}");
                    assert!((cut.shares - 1) * groups.div_ceil(cut.shares) < groups, "{groups}: {cut:?}");
                }
            }
        }
        // Swin's first stage at 384 pixels, 16 images; RoBERTa's layers, which see no table.
        let first = Cut::of(&sizes(64 * 16, [144, 144, 4, 32]));
        assert_eq!(first, Cut { size: 32, chunks: 1, warps: 4, shares: 8 });
        let text = Cut::of(&sizes(16, [50, 50, 12, 64]));
        assert_eq!((text.size, text.chunks, text.down()), (64, 1, 32));
    }
}
