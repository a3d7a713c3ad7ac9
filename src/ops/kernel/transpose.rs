//! The transpose of a row-major matrix, eight by eight elements at a time.
//!
//! Invariant: elements are moved, or added to what is there; nothing else is computed.

use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// Writes a matrix of `rows` x `columns`, whose rows begin `stride` apart, as one of `columns` x `rows`.
///
/// # Panics
/// If an operand is too short: a bug of the calling op.
pub(crate) fn transpose_strided<E: Real>(from: &[E], stride: usize, size: [usize; 2], to: &mut [E]) {
    E::dispatch(Transpose::<E, false> { from, stride, size, to });
}

/// The same, added to `to`.
///
/// # Panics
/// As [`transpose_strided`].
pub(crate) fn transpose_add<E: Real>(from: &[E], stride: usize, size: [usize; 2], to: &mut [E]) {
    E::dispatch(Transpose::<E, true> { from, stride, size, to });
}

struct Transpose<'a, E, const ADD: bool> {
    from: &'a [E],
    stride: usize,
    size: [usize; 2],
    to: &'a mut [E],
}

impl<E: Real, const ADD: bool> Kernel<E> for Transpose<'_, E, ADD> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let Transpose { from, stride, size: [rows, columns], to } = self;
        let mut first_column = 0;
        while first_column < columns {
            let width = LANES.min(columns - first_column);
            let mut first_row = 0;
            while first_row < rows {
                let height = LANES.min(rows - first_row);
                let place = first_row * stride + first_column;
                let mut block = [V::zero(); LANES];
                for (row, block) in block.iter_mut().enumerate().take(height) {
                    *block = V::read(&from[place + row * stride..][..width]);
                }
                for (column, values) in V::transpose(block).into_iter().enumerate().take(width) {
                    let to = &mut to[(first_column + column) * rows + first_row..][..height];
                    let values = if ADD { V::read(to).add(values) } else { values };
                    values.write(to);
                }
                first_row += LANES;
            }
            first_column += LANES;
        }
    }
}
