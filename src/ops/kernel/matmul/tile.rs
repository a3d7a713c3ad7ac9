//! A tile of the product: all its sums in registers, from packed operands.
//!
//! Invariant: the left elements are held and the right ones pass by, a vector of neighbouring columns at a time; a tile that is cut
//! by the edge of the product is computed whole, aside, and cut then.
#![allow(
    clippy::needless_range_loop,
    reason = "one constant counter indexes several arrays of registers, and is unrolled"
)]

use super::SLIVER;
use crate::ops::simd::{Real, Vector};

/// Elements of the largest tile.
const MOST: usize = 12 * SLIVER;

/// What the sums of a tile begin with.
#[derive(Clone, Copy)]
pub(super) enum Start<'a, E> {
    /// Zero.
    Zero,
    /// What stands in the output.
    Existing,
    /// One value per column.
    Row(&'a [E]),
    /// One value per row.
    Column(&'a [E]),
}

pub(super) struct Tile<'a, E> {
    /// A tile's columns of `depth` rows of a sliver.
    pub(super) right: &'a [E],
    pub(super) depth: usize,
    pub(super) start: Start<'a, E>,
    pub(super) out: *mut E,
    /// Between rows of the output.
    pub(super) stride: usize,
    /// Rows and columns that are there.
    pub(super) size: [usize; 2],
}

impl<E: Real> Tile<'_, E> {
    /// Writes the tile; element (row, term) of the left side is `row * ROW + term * TERM`.
    ///
    /// # Safety
    /// Both operands have `depth` terms for `R` rows and `C` vectors; the output has the tile's elements.
    #[inline(always)]
    pub(super) unsafe fn run<
        V: Vector<Elem = E>,
        const R: usize,
        const C: usize,
        const ROW: usize,
        const TERM: usize,
    >(
        self,
        left: &[E],
    ) {
        let [height, width] = self.size;
        // SAFETY: the caller vouches for both operands and the output; the tile aside has room for every tile.
        unsafe {
            if height == R && width == C * V::LEN {
                return self.whole::<V, R, C, ROW, TERM>(left, self.start, self.out, self.stride);
            }
            let across = C * V::LEN;
            let mut aside = [E::ZERO; MOST];
            for (row, aside) in aside.chunks_mut(across).enumerate().take(height) {
                let existing = std::slice::from_raw_parts(self.out.add(row * self.stride), width);
                match self.start {
                    Start::Zero => {}
                    Start::Existing => aside[..width].copy_from_slice(existing),
                    Start::Row(base) => aside[..width].copy_from_slice(&base[..width]),
                    Start::Column(base) => aside[..width].fill(base[row]),
                }
            }
            self.whole::<V, R, C, ROW, TERM>(left, Start::Existing, aside.as_mut_ptr(), across);
            for (row, aside) in aside.chunks(across).enumerate().take(height) {
                std::ptr::copy_nonoverlapping(aside.as_ptr(), self.out.add(row * self.stride), width);
            }
        }
    }

    #[inline(always)]
    unsafe fn whole<
        V: Vector<Elem = E>,
        const R: usize,
        const C: usize,
        const ROW: usize,
        const TERM: usize,
    >(
        &self,
        left: &[E],
        start: Start<'_, E>,
        out: *mut E,
        stride: usize,
    ) {
        let mut sums = [[V::zero(); C]; R];
        // SAFETY: the caller vouches for a whole tile of all three.
        unsafe {
            match start {
                Start::Zero => {}
                Start::Existing => {
                    for r in 0..R {
                        for c in 0..C {
                            sums[r][c] = V::load(out.add(r * stride + c * V::LEN));
                        }
                    }
                }
                Start::Row(base) => {
                    for c in 0..C {
                        let base = V::load(base.as_ptr().add(c * V::LEN));
                        for r in 0..R {
                            sums[r][c] = base;
                        }
                    }
                }
                Start::Column(base) => {
                    for r in 0..R {
                        sums[r] = [V::splat(*base.get_unchecked(r)); C];
                    }
                }
            }
            let (mut a, mut b) = (left.as_ptr(), self.right.as_ptr());
            for _ in 0..self.depth {
                let mut x = [V::zero(); C];
                for c in 0..C {
                    x[c] = V::load(b.add(c * V::LEN));
                }
                for r in 0..R {
                    let w = V::splat(*a.add(r * ROW));
                    for c in 0..C {
                        sums[r][c] = w.mul_add(x[c], sums[r][c]);
                    }
                }
                a = a.add(TERM);
                b = b.add(SLIVER);
            }
            for r in 0..R {
                for c in 0..C {
                    sums[r][c].store(out.add(r * stride + c * V::LEN));
                }
            }
        }
    }
}
