//! How products of large matrices are cut into tiles (`tile.cuh`), and how results are put together that blocks share.
//!
//! Invariant: the cut depends on the sizes alone, not on the GPU: so does every sum's order.
#![allow(unsafe_code)]

use crate::device::cuda::{Address, Buffer, GpuError, Grid, arguments, launch};

/// Rows and columns of a block, its threads, and terms that are multiplied at a time, as in `tile.cuh`.
pub(crate) const ROWS: usize = 64;
pub(crate) const COLUMNS: usize = 128;
pub(crate) const THREADS: u32 = 128;
pub(crate) const SLICE: usize = 16;

/// Blocks that keep a large GPU busy.
const MANY_BLOCKS: usize = 512;
/// Slices below which a sum is not worth sharing.
const FEW_SLICES: usize = 8;
/// Slices above which a sum is shared in any case: long chains round worse.
pub(crate) const MANY_SLICES: usize = 512;

arguments! {
    /// See `parts.cu`.
    struct AddParts {
        parts: Address,
        out: Address,
        count: u32,
        apart: u32,
        splits: u32,
        accumulate: u32,
    }
}

/// How a product is cut: blocks with sums of their own, and blocks that share each sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) tiles: usize,
    pub(crate) splits: usize,
}

impl Cut {
    /// That of `planes` products of one size.
    pub(crate) fn of([rows, columns]: [usize; 2], planes: usize, slices: usize) -> Self {
        let tiles = rows.div_ceil(ROWS) * columns.div_ceil(COLUMNS);
        let wanted = MANY_BLOCKS / (tiles * planes).max(1);
        let splits = wanted.min(slices / FEW_SLICES).max(slices.div_ceil(MANY_SLICES)).max(1);
        Cut { tiles, splits }
    }
}

/// Computes a result of `len` numbers: in place, or in parts that are added up afterwards. `compute` is told where it goes, and
/// whether to add to what is there.
pub(crate) fn in_parts(
    splits: usize,
    len: usize,
    out: Address,
    add: bool,
    compute: impl FnOnce(Address, u32) -> Result<(), GpuError>,
) -> Result<(), GpuError> {
    if splits == 1 {
        return compute(out, u32::from(add));
    }
    // Freed in the order of the stream, after the launches have used them.
    let parts = Buffer::<f32>::room(splits * len)?;
    compute(parts.address(), 0)?;
    add_parts(parts.address(), splits, [len, len], out, add)
}

/// The sum of `splits` parts of `len` numbers, which begin `apart` from each other, in their order.
pub(crate) fn add_parts(
    parts: Address,
    splits: usize,
    [len, apart]: [usize; 2],
    out: Address,
    add: bool,
) -> Result<(), GpuError> {
    let arguments = AddParts {
        parts,
        out,
        count: len as u32,
        apart: apart as u32,
        splits: splits as u32,
        accumulate: u32::from(add),
    };
    launch("add_parts", Grid::over(len), arguments)
}
