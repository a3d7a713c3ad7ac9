//! Products of row-major matrices, blocked and packed as in BLIS (Van Zee and van de Geijn): blocks of the left matrix stay in
//! the second-level cache, a sliver of the right one in the first, and a tile of the product in registers.
//!
//! Invariant: an element of the product is one chain of fused multiply-adds in the order of the inner dimension, whatever the
//! blocks, the registers and the threads: between blocks of the inner dimension a sum rests in the output.
#![allow(unsafe_code)]

mod block;
mod pack;
#[cfg(test)]
mod tests;
mod tile;

use std::ops::Range;

use block::Block;
use pack::PackRight;

use super::transpose_strided;
use crate::ops::parallel::{Disjoint, for_each_range};
use crate::ops::scratch::Scratch;
use crate::ops::simd::Real;

/// Elements of the right matrix that are packed at a time, for all threads: they stay in the third-level cache.
const PACKED: usize = 1 << 20;
/// Rows of the product that one part has: their packed left matrix stays in the second-level cache.
const ROWS: usize = 96;
/// Parts below which columns are cut, too, so that there is something to do for every thread.
const PARTS: usize = 4;
/// Columns that are packed side by side: whole tiles of every instruction set.
const SLIVER: usize = 32;
/// Terms of the inner dimension in one pass: a sliver of them stays in the first-level cache.
const DEPTH: usize = 256;
/// Rows of the left matrix below which the transposed product is computed: there packing pays for the left matrix only, by
/// copies of its rows.
const FEW: usize = 96;
/// Bytes that a packed matrix is aligned to.
const LINE: usize = 64;
/// Side of the blocks in which a small product is transposed.
const SIDE: usize = 64;

/// How a matrix stands in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Row by row.
    Rows,
    /// Column by column.
    Columns,
}

/// What the elements of a product begin with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Base<'a, E> {
    /// Zero.
    Zero,
    /// What stands in the output (`+=`).
    Existing,
    /// One value per column.
    Row(&'a [E]),
    /// One value per row.
    Column(&'a [E]),
}

/// A product `m x n` of a left matrix `m x k` and a right one `k x n`.
#[derive(Clone, Copy)]
pub(crate) struct Matmul<'a, E> {
    /// The left matrix.
    pub(crate) left: (&'a [E], Order),
    /// The right matrix.
    pub(crate) right: (&'a [E], Order),
    /// What is added to it; of [`Matmul::add_to`] it is the output.
    pub(crate) base: Base<'a, E>,
    /// `m`, `k` and `n`.
    pub(crate) sizes: [usize; 3],
}

impl<E: Real> Matmul<'_, E> {
    /// The product, row by row.
    ///
    /// # Panics
    /// If an operand does not have as many elements: a bug of the calling op.
    pub(crate) fn product(self) -> Vec<E> {
        self.check();
        assert!(!matches!(self.base, Base::Existing), "nothing exists yet");
        let [m, k, n] = self.sizes;
        if m <= FEW && m < n && self.right.1 == Order::Columns {
            return self.of_few_rows();
        }
        let mut values = Vec::with_capacity(m * n);
        if k == 0 || m * n == 0 {
            values.extend((0..m * n).map(|place| self.first(place / n, place % n)));
            return values;
        }
        self.run(Disjoint::spare(&mut values, m * n));
        // SAFETY: the blocks cover the product, and each writes all of its elements.
        unsafe { values.set_len(m * n) };
        values
    }

    /// Adds the product to `out`.
    ///
    /// # Panics
    /// As [`Matmul::product`].
    pub(crate) fn add_to(self, out: &mut [E]) {
        self.check();
        let [m, k, n] = self.sizes;
        assert_eq!(out.len(), m * n, "product");
        if k > 0 && m * n > 0 {
            Matmul { base: Base::Existing, ..self }.run(Disjoint::new(out));
        }
    }

    fn check(&self) {
        let [m, k, n] = self.sizes;
        assert_eq!(self.left.0.len(), m * k, "left matrix");
        assert_eq!(self.right.0.len(), k * n, "right matrix");
        match self.base {
            Base::Row(base) => assert_eq!(base.len(), n, "base of the product"),
            Base::Column(base) => assert_eq!(base.len(), m, "base of the product"),
            Base::Zero | Base::Existing => {}
        }
    }

    /// What an element begins with.
    fn first(&self, row: usize, column: usize) -> E {
        match self.base {
            Base::Zero | Base::Existing => E::ZERO,
            Base::Row(base) => base[column],
            Base::Column(base) => base[row],
        }
    }

    /// The product by way of its transpose: the same chains.
    fn of_few_rows(self) -> Vec<E> {
        let [m, k, n] = self.sizes;
        let turned = |order| if order == Order::Rows { Order::Columns } else { Order::Rows };
        let base = match self.base {
            Base::Row(base) => Base::Column(base),
            Base::Column(base) => Base::Row(base),
            other => other,
        };
        let (left, right) = ((self.right.0, turned(self.right.1)), (self.left.0, turned(self.left.1)));
        let transposed = Matmul { left, right, base, sizes: [n, k, m] };
        let mut turned = Scratch::of(m * n);
        if k == 0 {
            let first = (0..m * n).map(|place| transposed.first(place / m, place % m));
            turned.iter_mut().zip(first).for_each(|(to, from)| *to = from);
        } else if m > 0 {
            transposed.run(Disjoint::new(&mut turned));
        }
        let mut values = vec![E::ZERO; m * n];
        let out = Disjoint::new(&mut values);
        for_each_range(n.div_ceil(SIDE), m * n, |units| {
            let mut block = Scratch::of(SIDE * m);
            for first in units.map(|unit| unit * SIDE) {
                let width = SIDE.min(n - first);
                transpose_strided(&turned[first * m..], m, [width, m], &mut block[..width * m]);
                for (row, from) in block[..width * m].chunks(width).enumerate() {
                    // SAFETY: only this unit has these columns, and they are initialised.
                    unsafe { out.slice(row * n + first, width) }.copy_from_slice(from);
                }
            }
        });
        values
    }

    /// Writes all elements of `out`, which is read only where the base exists.
    fn run(self, out: Disjoint<'_, E>) {
        let [m, k, n] = self.sizes;
        let mut room = Scratch::<E>::of(PACKED + LINE / size_of::<E>());
        let skip = room.as_ptr().align_offset(LINE).min(LINE / size_of::<E>());
        let packed = &mut room[skip..][..PACKED];
        for column in (0..n).step_by(PACKED / DEPTH) {
            let columns = column..n.min(column + PACKED / DEPTH);
            let slivers = columns.len().div_ceil(SLIVER);
            let most = PACKED / (slivers * SLIVER) / DEPTH * DEPTH;
            for term in (0..k).step_by(most) {
                let terms = term..k.min(term + most);
                self.pack(packed, &columns, &terms);
                let row_parts = m.div_ceil(ROWS);
                let column_parts = PARTS.div_ceil(row_parts).min(slivers.div_ceil(4));
                for_each_range(row_parts * column_parts, m * terms.len() * columns.len(), |units| {
                    let mut room = Scratch::of(Block::<E>::ROOM);
                    for unit in units {
                        let (row, part) = (unit / column_parts * ROWS, unit % column_parts);
                        let slivers = part * slivers / column_parts..(part + 1) * slivers / column_parts;
                        let rows = row..m.min(row + ROWS);
                        let (columns, terms) = (columns.clone(), terms.clone());
                        let right = &packed[..];
                        E::dispatch(Block {
                            of: self,
                            rows,
                            columns,
                            slivers,
                            terms,
                            right,
                            out,
                            room: &mut room,
                        });
                    }
                });
            }
        }
    }

    /// Packs columns and terms of the right matrix: pass by pass, in slivers.
    fn pack(&self, packed: &mut [E], columns: &Range<usize>, terms: &Range<usize>) {
        let [_, k, n] = self.sizes;
        let slivers = columns.len().div_ceil(SLIVER);
        let packed = Disjoint::new(packed);
        let passes = terms.len().div_ceil(DEPTH);
        for_each_range(passes * slivers, terms.len() * columns.len(), |units| {
            for unit in units {
                let (pass, sliver) = (unit / slivers, unit % slivers);
                let first = terms.start + pass * DEPTH;
                let terms = first..terms.end.min(first + DEPTH);
                let place = pass * DEPTH * slivers * SLIVER + sliver * SLIVER * terms.len();
                // SAFETY: no other unit has this sliver of this pass, and scratch memory is initialised.
                let packed = unsafe { packed.slice(place, SLIVER * terms.len()) };
                let column = columns.start + sliver * SLIVER;
                let columns = column..columns.end.min(column + SLIVER);
                E::dispatch(PackRight { matrix: self.right, sizes: [k, n], terms, columns, packed });
            }
        });
    }
}
