//! Copies of parts of both matrices in the order in which tiles read them.
//!
//! Invariant: a packed part is a whole number of tiles; what lies beyond the matrix is zero, and its products are dropped.

use std::ops::Range;

use super::{Order, SLIVER};
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// Packs rows and terms of the left matrix `[m, k]` in slivers of `R` rows. One that stands row by row keeps its rows, `stride`
/// apart; of one that stands column by column the rows of a sliver become neighbours.
#[inline(always)]
pub(super) fn pack_left<E: Real, const R: usize>(
    (matrix, order): (&[E], Order),
    [m, k]: [usize; 2],
    rows: Range<usize>,
    terms: Range<usize>,
    stride: usize,
    packed: &mut [E],
) {
    let depth = terms.len();
    match order {
        Order::Rows => {
            let whole = rows.len().next_multiple_of(R);
            for (row, packed) in rows.clone().zip(packed.chunks_mut(stride)) {
                packed[..depth].copy_from_slice(&matrix[row * k + terms.start..][..depth]);
            }
            for packed in packed[..whole * stride].chunks_mut(stride).skip(rows.len()) {
                packed[..depth].fill(E::ZERO);
            }
        }
        Order::Columns => {
            let size = R * depth;
            for (place, term) in terms.enumerate() {
                let from = &matrix[term * m + rows.start..][..rows.len()];
                let (whole, rest) = from.as_chunks::<R>();
                for (number, from) in whole.iter().enumerate() {
                    packed[number * size + place * R..][..R].copy_from_slice(from);
                }
                if !rest.is_empty() {
                    let packed = &mut packed[whole.len() * size + place * R..][..R];
                    packed[..rest.len()].copy_from_slice(rest);
                    packed[rest.len()..].fill(E::ZERO);
                }
            }
        }
    }
}

/// Packs terms and columns of one sliver of the right matrix `[k, n]`, term by term.
pub(super) struct PackRight<'a, 'b, E> {
    pub(super) matrix: (&'a [E], Order),
    pub(super) sizes: [usize; 2],
    pub(super) terms: Range<usize>,
    pub(super) columns: Range<usize>,
    pub(super) packed: &'b mut [E],
}

impl<E: Real> Kernel<E> for PackRight<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let PackRight { matrix: (matrix, order), sizes: [k, n], terms, columns, packed } = self;
        let some = columns.len();
        match order {
            Order::Rows => {
                for (term, packed) in terms.zip(packed.as_chunks_mut::<SLIVER>().0) {
                    let from = &matrix[term * n + columns.start..][..some];
                    if some == SLIVER {
                        packed.copy_from_slice(&from[..SLIVER]);
                    } else {
                        packed[..some].copy_from_slice(from);
                        packed[some..].fill(E::ZERO);
                    }
                }
            }
            Order::Columns => {
                for place in (0..SLIVER).step_by(LANES) {
                    let some = some.saturating_sub(place).min(LANES);
                    let first = (columns.start + place).min(n - 1) * k + terms.start;
                    turn::<V>(&matrix[first..], k, [some, terms.len()], &mut packed[place..]);
                }
            }
        }
    }
}

/// Up to eight rows, `stride` apart, as columns of a sliver; zeros in place of rows that are not there.
#[inline(always)]
fn turn<V: Lanes>(from: &[V::Elem], stride: usize, [rows, depth]: [usize; 2], to: &mut [V::Elem]) {
    let whole = if rows == LANES { depth / LANES * LANES } else { 0 };
    let mut term = 0;
    while term < whole {
        let mut block = [V::zero(); LANES];
        for (row, block) in block.iter_mut().enumerate() {
            *block = V::read(&from[row * stride + term..][..LANES]);
        }
        for (place, column) in V::transpose(block).into_iter().enumerate() {
            column.write(&mut to[(term + place) * SLIVER..][..LANES]);
        }
        term += LANES;
    }
    while term < depth {
        for row in 0..LANES {
            to[term * SLIVER + row] =
                if row < rows { from[row * stride + term] } else { <V::Elem as Real>::ZERO };
        }
        term += 1;
    }
}
