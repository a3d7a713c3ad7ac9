//! A block of a product: loops over the inner dimension, over rows and over tiles.
//!
//! Invariant: every tile of the block is written in each pass over the inner dimension, in the order of the passes.

use std::ops::Range;

use super::pack::{pack_left, pack_right};
use super::tile::{Start, Tile};
use super::{Base, Matmul, Order};
use crate::ops::parallel::Disjoint;
use crate::ops::simd::{Kernel, LANES, Lanes, Real, Vector};

/// Columns of a block.
pub(super) const COLUMNS: usize = 256;
/// Terms of the inner dimension in one pass: a sliver of them stays in the first-level cache.
const DEPTH: usize = 256;
/// Rows that are packed at a time: whole tiles of every instruction set; they stay in the second-level cache.
const ROWS: usize = 192;
/// Distance between packed rows: not a power of two, so that they do not share their places in a cache.
const STRIDE: usize = DEPTH + 16;
/// Bytes that packed matrices are aligned to.
const LINE: usize = 64;

/// Rows and vectors of a tile of 16 registers of eight lanes, and of 32 registers of sixteen.
const NARROW: [usize; 2] = [6, 2];
const WIDE: [usize; 2] = [12, 2];

pub(super) struct Block<'a, 'b, E> {
    pub(super) of: Matmul<'a, E>,
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
    pub(super) out: Disjoint<'a, E>,
    /// Of [`Block::ROOM`] elements.
    pub(super) room: &'b mut [E],
}

impl<E: Real> Block<'_, '_, E> {
    /// Elements of packed matrices, and to align both.
    pub(super) const ROOM: usize = ROWS * STRIDE + COLUMNS * DEPTH + 2 * LINE / size_of::<E>();
}

impl<E: Real> Kernel<E> for Block<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        if <V::Wide as Vector>::LEN > LANES {
            self.tiles::<V, { WIDE[0] }, { WIDE[1] }>();
        } else {
            self.tiles::<V, { NARROW[0] }, { NARROW[1] }>();
        }
    }
}

impl<E: Real> Block<'_, '_, E> {
    #[inline(always)]
    fn tiles<V: Lanes<Elem = E>, const R: usize, const C: usize>(self) {
        let Block { of, rows, columns, out, room } = self;
        let [m, k, n] = of.sizes;
        let sliver = C * <V::Wide as Vector>::LEN;
        let (left, right) = aligned(room).split_at_mut(ROWS * STRIDE);
        let right = aligned(right);
        let mut pass = 0;
        while pass < k {
            let terms = pass..k.min(pass + DEPTH);
            let depth = terms.len();
            pack_right::<V>(of.right, [k, n], terms.clone(), columns.clone(), sliver, right);
            let mut first = rows.start;
            while first < rows.end {
                let some = first..rows.end.min(first + ROWS);
                pack_left::<E, R>(of.left, [m, k], some.clone(), terms.clone(), STRIDE, left);
                let mut column = columns.start;
                while column < columns.end {
                    let width = sliver.min(columns.end - column);
                    let right = &right[(column - columns.start) * depth..][..sliver * depth];
                    let mut row = some.start;
                    while row < some.end {
                        let place = row - some.start;
                        let height = R.min(some.end - row);
                        let start = match of.base {
                            _ if pass > 0 => Start::Existing,
                            Base::Zero => Start::Zero,
                            Base::Existing => Start::Existing,
                            Base::Row(base) => Start::Row(&base[column..][..width]),
                            Base::Column(base) => Start::Column(&base[row..][..height]),
                        };
                        let out = out.at(row * n + column, (height - 1) * n + width);
                        let tile = Tile { right, depth, start, out, stride: n, size: [height, width] };
                        // SAFETY: the tile's elements were just checked to lie within the output, and no other part has them;
                        // both sides are packed with `depth` terms of a whole tile.
                        unsafe {
                            match of.left.1 {
                                Order::Rows => {
                                    tile.run::<V::Wide, R, C, STRIDE, 1>(
                                        &left[place * STRIDE..][..R * STRIDE],
                                    );
                                }
                                Order::Columns => {
                                    tile.run::<V::Wide, R, C, 1, R>(&left[place * depth..][..R * depth]);
                                }
                            }
                        }
                        row += R;
                    }
                    column += sliver;
                }
                first += ROWS;
            }
            pass += DEPTH;
        }
    }
}

/// The part of a slice that begins with a cache line.
#[inline(always)]
fn aligned<E>(room: &mut [E]) -> &mut [E] {
    let skip = room.as_ptr().align_offset(LINE).min(LINE / size_of::<E>());
    &mut room[skip..]
}
