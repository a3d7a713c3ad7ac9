//! [`Panels`]: products of row-major matrices, on [`project_unchecked`]. The right matrix is packed into panels of
//! neighbouring columns, so that its rows lie close together whatever the width of the matrix.
//!
//! Invariant: an element of the product is one chain of fused multiply-adds in the order of the inner dimension, whatever the
//! panels, the blocks of rows and the threads.
#![allow(unsafe_code)]

use super::{Layout, Rows, Start, Term, project_unchecked};
use crate::ops::parallel::{Disjoint, for_each_chunk, for_each_range};
use crate::ops::scratch::Scratch;
use crate::ops::simd::{Kernel, Lanes, Real};

/// Columns of a panel: whole registers of every instruction set.
const WIDTH: usize = 64;
/// Rows of the left matrix that one part works on at a time: a multiple of a register block's, and few enough to stay in the
/// second-level cache.
const ROWS: usize = 96;
/// Side of the blocks in which a matrix is turned over.
const SIDE: usize = 16;

/// How the right matrix stands in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// `inner` rows of `columns`.
    Rows,
    /// `columns` rows of `inner`: it is to be transposed.
    Transposed,
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
}

/// A packed right matrix.
pub(crate) struct Panels<E: Real> {
    packed: Scratch<E>,
    inner: usize,
    columns: usize,
}

impl<E: Real> Panels<E> {
    /// Packs a matrix of `inner` x `columns`.
    ///
    /// # Panics
    /// If there are fewer elements: a bug of the calling op.
    pub(crate) fn pack(matrix: &[E], [inner, columns]: [usize; 2], order: Order) -> Self {
        assert!(matrix.len() >= inner * columns, "right matrix too short");
        let mut packed = Scratch::of(inner * columns);
        for_each_chunk(&mut packed, (WIDTH * inner).max(1), inner * columns, |first, packed| {
            for (number, panel) in packed.chunks_mut(WIDTH * inner).enumerate() {
                let column = first / inner + number * WIDTH;
                let width = panel.len() / inner;
                match order {
                    Order::Rows => {
                        for (k, row) in panel.chunks_mut(width).enumerate() {
                            row.copy_from_slice(&matrix[k * columns + column..][..width]);
                        }
                    }
                    Order::Transposed => {
                        transpose_strided(&matrix[column * inner..], inner, [width, inner], panel);
                    }
                }
            }
        });
        Panels { packed, inner, columns }
    }

    /// `out = base + left * right`, with `left` of `rows` x `inner` and `out` of `rows` x `columns`.
    ///
    /// # Panics
    /// If an operand does not have as many elements: a bug of the calling op.
    pub(crate) fn multiply(&self, left: &[E], base: Base<'_, E>, out: &mut [E], rows: usize) {
        let (inner, columns) = (self.inner, self.columns);
        assert_eq!(left.len(), rows * inner, "left matrix");
        assert_eq!(out.len(), rows * columns, "product");
        if let Base::Row(base) = base {
            assert_eq!(base.len(), columns, "base of the product");
        }
        if rows == 0 || columns == 0 {
            return;
        }
        let panels = columns.div_ceil(WIDTH);
        let last = columns - (panels - 1) * WIDTH;
        let terms = [WIDTH, last].map(|width| Term::strided(inner, 1, width));
        let out = Disjoint::new(out);
        for_each_range(rows.div_ceil(ROWS) * panels, rows * inner * columns, |units| {
            for unit in units {
                let (row, panel) = (unit / panels * ROWS, unit % panels);
                let width = if panel + 1 == panels { last } else { WIDTH };
                let block = Block {
                    left: &left[row * inner..],
                    right: &self.packed[panel * WIDTH * inner..][..width * inner],
                    terms: &terms[usize::from(panel + 1 == panels)],
                    base: match base {
                        Base::Row(base) => Base::Row(&base[panel * WIDTH..][..width]),
                        other => other,
                    },
                    out,
                    place: row * columns + panel * WIDTH,
                    layout: Layout { outputs: ROWS.min(rows - row), stride: columns, run: width },
                };
                E::dispatch(block);
            }
        });
    }
}

/// Some rows of some columns of a product.
struct Block<'a, E> {
    left: &'a [E],
    right: &'a [E],
    terms: &'a [Term],
    base: Base<'a, E>,
    out: Disjoint<'a, E>,
    place: usize,
    layout: Layout,
}

impl<E: Real> Kernel<E> for Block<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let Layout { outputs, stride, run } = self.layout;
        let out = self.out.at(self.place, (outputs - 1) * stride + run);
        let start = match self.base {
            Base::Zero => Start::Zero,
            Base::Existing => Start::Existing,
            Base::Row(base) => {
                for row in 0..outputs {
                    // SAFETY: `at` checked that all rows of this block lie within the output, and no other part has them.
                    unsafe { std::ptr::copy_nonoverlapping(base.as_ptr(), out.add(row * stride), run) };
                }
                Start::Existing
            }
        };
        let rows = Rows { weights: self.left.as_ptr(), stride: self.terms.len() };
        // SAFETY: `multiply` checked that the left matrix has `inner` elements for each row and the panel `inner` rows of `run`
        // elements; the output was checked above and overlaps neither.
        unsafe { project_unchecked::<V>(rows, self.terms, self.right.as_ptr(), start, out, self.layout) };
    }
}

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

/// Turns over a matrix of `rows` x `columns` in parallel.
pub(crate) fn transposed<E: Real>(from: &[E], [rows, columns]: [usize; 2]) -> Scratch<E> {
    let mut to = Scratch::of(rows * columns);
    let unit = rows.max(1);
    for_each_chunk(&mut to, SIDE * unit, rows * columns, |first, to| {
        transpose_strided(&from[first / unit..], columns, [rows, to.len() / unit], to);
    });
    to
}
