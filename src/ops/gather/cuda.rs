//! The kernel, and what it is told.
#![allow(unsafe_code)]

use crate::device::cuda::{Address, Buffer, GpuError, Grid, arguments, launch};

/// Rows and columns of a block's tile, as in the kernel.
const TILE: usize = 32;

arguments! {
    /// See `gather.cu`.
    struct Gather {
        samples: Address,
        index: Address,
        order: Address,
        step: Address,
        labels: Address,
        batch_labels: Address,
        out: Address,
        first: u32,
        stride: u32,
        features: u32,
        batch: u32,
    }
}

/// Which rows are picked: `batch` of them, from `first` (plus `stride` for every step that `step` counts) of `order` on.
#[derive(Clone, Copy)]
pub(crate) struct Pick<'a> {
    /// Numbers of rows within the split.
    pub order: &'a Buffer<u32>,
    /// The first one.
    pub first: usize,
    /// Where a number of steps stands, if they count.
    pub step: Option<Address>,
    /// Rows of a step.
    pub stride: usize,
    /// Rows.
    pub batch: usize,
}

/// Writes the picked rows of one modality to `out` (features, batch), and their labels where asked to. `index` names the
/// sample of each row where rows share samples.
///
/// # Errors
/// If the device fails.
pub(crate) fn gather(
    pick: Pick<'_>,
    features: usize,
    samples: &Buffer<f32>,
    index: Option<&Buffer<u32>>,
    out: Address,
    labels: Option<(&Buffer<u32>, &Buffer<u32>)>,
) -> Result<(), GpuError> {
    let (labels, batch_labels) = labels.map_or((0, 0), |(from, to)| (from.address(), to.address()));
    let arguments = Gather {
        samples: samples.address(),
        index: index.map_or(0, Buffer::address),
        order: pick.order.address(),
        step: pick.step.unwrap_or(0),
        labels,
        batch_labels,
        out,
        first: pick.first as u32,
        stride: pick.stride as u32,
        features: features as u32,
        batch: pick.batch as u32,
    };
    let blocks = [features.div_ceil(TILE) as u32, pick.batch.div_ceil(TILE) as u32, 1];
    launch("gather", Grid { blocks, threads: [TILE as u32, 8, 1], shared: 0 }, arguments)
}
