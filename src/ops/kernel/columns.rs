//! Sums over rows, for every column: gradients of what all tokens share.
//!
//! Invariant: how rows are shared depends on the sizes alone, and what is shared is added up in order.
#![allow(unsafe_code)]

use super::cuda::WARP;
use super::tile::add_parts;
use crate::device::cuda::{Address, Buffer, GpuError, Grid, arguments, launch};

/// Rows that a block adds up side by side, as in the kernel.
const ABREAST: usize = 8;
/// Rows of a block below which another one is not worth it.
const FEW_ROWS: usize = 64;
/// Blocks that keep a large GPU busy.
const MANY_BLOCKS: usize = 1024;

arguments! {
    /// See `columns.cu`.
    struct Columns {
        gradient: Address,
        x: Address,
        statistics: Address,
        parts: Address,
        rows: u32,
        columns: u32,
        share: u32,
        padding: u32,
    }
}

/// Rows, and of each its mean and 1 / deviation.
#[derive(Clone, Copy)]
pub(crate) struct Normed {
    pub(crate) x: Address,
    pub(crate) statistics: Address,
}

/// Rows of a block.
fn share(rows: usize, columns: usize) -> usize {
    let blocks = MANY_BLOCKS / columns.div_ceil(WARP).max(1);
    rows.div_ceil(blocks.max(1)).max(FEW_ROWS)
}

/// Adds the column sums of a gradient to `plain`, and those of the gradient times the normed rows to what comes with these.
pub(crate) fn column_sums(
    gradient: Address,
    [rows, columns]: [usize; 2],
    plain: Option<Address>,
    normed: Option<(Normed, Address)>,
) -> Result<(), GpuError> {
    if rows == 0 || columns == 0 || (plain.is_none() && normed.is_none()) {
        return Ok(());
    }
    let share = share(rows, columns);
    let (shares, arrays) = (rows.div_ceil(share), if normed.is_some() { 2 } else { 1 });
    // Freed in the order of the stream, after the launches have used them.
    let parts = Buffer::<f32>::room(shares * arrays * columns)?;
    let arguments = Columns {
        gradient,
        x: normed.map_or(0, |(normed, _)| normed.x),
        statistics: normed.map_or(0, |(normed, _)| normed.statistics),
        parts: parts.address(),
        rows: rows as u32,
        columns: columns as u32,
        share: share as u32,
        padding: 0,
    };
    let blocks = [columns.div_ceil(WARP) as u32, shares as u32, 1];
    launch("column_sums", Grid { blocks, threads: [WARP as u32, ABREAST as u32, 1], shared: 0 }, arguments)?;
    let second = parts.address() + (columns * size_of::<f32>()) as u64;
    for (from, to) in [(parts.address(), plain), (second, normed.map(|(_, to)| to))] {
        if let Some(to) = to {
            add_parts(from, shares, [columns, arrays * columns], to, true)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_columns_are_shared_and_short_ones_are_not() {
        assert_eq!(share(3200, 768), 76);
        assert_eq!(share(331_776, 128), 1296);
        assert_eq!(share(16, 3129), FEW_ROWS);
        assert_eq!(share(100_000, 1), 98);
    }
}
