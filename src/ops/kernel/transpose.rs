//! The transpose of a row-major matrix, in blocks that stay in the first-level cache.
//!
//! Invariant: elements are moved, nothing is computed.

use crate::ops::simd::Real;

/// Side of the blocks in which a matrix is turned over.
const SIDE: usize = 16;

/// Writes a matrix of `rows` x `columns`, whose rows begin `stride` apart, as one of `columns` x `rows`.
///
/// # Panics
/// If an operand is too short: a bug of the calling op.
pub(crate) fn transpose_strided<E: Real>(
    from: &[E],
    stride: usize,
    [rows, columns]: [usize; 2],
    to: &mut [E],
) {
    for first_row in (0..rows).step_by(SIDE) {
        let height = SIDE.min(rows - first_row);
        for first_column in (0..columns).step_by(SIDE) {
            let width = SIDE.min(columns - first_column);
            let place = first_row * stride + first_column;
            if height == SIDE && width == SIDE {
                let mut block = [[E::ZERO; SIDE]; SIDE];
                for (row, block) in block.iter_mut().enumerate() {
                    block.copy_from_slice(&from[place + row * stride..][..SIDE]);
                }
                for column in 0..SIDE {
                    let to = &mut to[(first_column + column) * rows + first_row..][..SIDE];
                    for (to, row) in to.iter_mut().zip(&block) {
                        *to = row[column];
                    }
                }
                continue;
            }
            for column in 0..width {
                let to = &mut to[(first_column + column) * rows + first_row..][..height];
                for (row, to) in to.iter_mut().enumerate() {
                    *to = from[place + row * stride + column];
                }
            }
        }
    }
}
