//! Some rows of a product: loops over the inner dimension, over slivers and over tiles.
//!
//! Invariant: every tile of the block is written in each pass over the inner dimension, in the order of the passes.

use std::ops::Range;

use super::pack::pack_left;
use super::tile::{Start, Tile};
use super::{Base, DEPTH, Matmul, Order, ROWS, SLIVER};
use crate::ops::parallel::Disjoint;
use crate::ops::simd::{Kernel, LANES, Lanes, Real, Vector};

/// Distance between packed rows: not a power of two, so that they do not share their places in a cache.
const STRIDE: usize = DEPTH + 16;

/// Rows and vectors of a tile of 16 registers of eight lanes, and of 32 registers of sixteen.
const NARROW: [usize; 2] = [6, 2];
const WIDE: [usize; 2] = [12, 2];

pub(super) struct Block<'a, 'b, E> {
    pub(super) of: Matmul<'a, E>,
    pub(super) rows: Range<usize>,
    /// Those that are packed.
    pub(super) columns: Range<usize>,
    /// Of these columns, those of this block.
    pub(super) slivers: Range<usize>,
    pub(super) terms: Range<usize>,
    /// The right matrix: pass by pass, in slivers.
    pub(super) right: &'b [E],
    pub(super) out: Disjoint<'a, E>,
    /// Of [`Block::ROOM`] elements.
    pub(super) room: &'b mut [E],
}

impl<E: Real> Block<'_, '_, E> {
    /// Elements of the packed left matrix.
    pub(super) const ROOM: usize = ROWS * STRIDE;
}

impl<E: Real> Kernel<E> for Block<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        if <V::Wide as Vector>::LEN > LANES {
            self.passes::<V::Wide, { WIDE[0] }, { WIDE[1] }>();
        } else {
            self.passes::<V::Wide, { NARROW[0] }, { NARROW[1] }>();
        }
    }
}

impl<E: Real> Block<'_, '_, E> {
    /// All passes, in tiles of `R` rows and `C` vectors.
    #[inline(always)]
    fn passes<V: Vector<Elem = E>, const R: usize, const C: usize>(mut self) {
        let slivers = self.columns.len().div_ceil(SLIVER);
        let [m, k, _] = self.of.sizes;
        let mut first = self.terms.start;
        while first < self.terms.end {
            let terms = first..self.terms.end.min(first + DEPTH);
            let place = (first - self.terms.start) * slivers * SLIVER;
            pack_left::<E, R>(self.of.left, [m, k], self.rows.clone(), terms.clone(), STRIDE, self.room);
            let mut sliver = self.slivers.start;
            while sliver < self.slivers.end {
                let right = &self.right[place + sliver * SLIVER * terms.len()..][..SLIVER * terms.len()];
                let mut across = 0;
                while across < SLIVER {
                    let column = self.columns.start + sliver * SLIVER + across;
                    let left = self.columns.end.saturating_sub(column);
                    // Half a tile is enough for the last columns of few.
                    if left > V::LEN {
                        self.tiles::<V, R, C>(column, terms.clone(), &right[across..]);
                    } else if left > 0 {
                        self.tiles::<V, R, 1>(column, terms.clone(), &right[across..]);
                    }
                    across += C * V::LEN;
                }
                sliver += 1;
            }
            first += DEPTH;
        }
    }

    /// The tiles of all rows, from `column` on.
    #[inline(always)]
    fn tiles<V: Vector<Elem = E>, const R: usize, const C: usize>(
        &mut self,
        column: usize,
        terms: Range<usize>,
        right: &[E],
    ) {
        let (n, depth) = (self.of.sizes[2], terms.len());
        let width = (C * V::LEN).min(self.columns.end - column);
        let mut row = self.rows.start;
        while row < self.rows.end {
            let place = row - self.rows.start;
            let height = R.min(self.rows.end - row);
            let start = match self.of.base {
                _ if terms.start > 0 => Start::Existing,
                Base::Zero => Start::Zero,
                Base::Existing => Start::Existing,
                Base::Row(base) => Start::Row(&base[column..][..width]),
                Base::Column(base) => Start::Column(&base[row..][..height]),
            };
            let out = self.out.at(row * n + column, (height - 1) * n + width);
            let tile = Tile { right, depth, start, out, stride: n, size: [height, width] };
            // SAFETY: the tile's elements were just checked to lie within the output, and no other part has them; both sides are
            // packed with `depth` terms of a whole tile.
            unsafe {
                match self.of.left.1 {
                    Order::Rows => {
                        tile.run::<V, R, C, STRIDE, 1>(&self.room[place * STRIDE..][..R * STRIDE]);
                    }
                    Order::Columns => tile.run::<V, R, C, 1, R>(&self.room[place * depth..][..R * depth]),
                }
            }
            row += R;
        }
    }
}
