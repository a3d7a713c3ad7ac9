//! The bias of relative positions in a square window, spread out from its table and gathered back.
//!
//! Invariant: a table's entry gets the gradients of its pairs in the order of queries, then of keys.

use crate::ops::scratch::Scratch;
use crate::ops::simd::Real;

/// The entry of a table for each pair of a window's tokens.
pub(super) struct Window {
    side: usize,
}

impl Window {
    /// The window of so many tokens, which are a square.
    pub(super) fn of(tokens: usize) -> Self {
        Window { side: libm::sqrt(tokens as f64) as usize }
    }

    /// Entries of a table.
    pub(super) fn entries(&self) -> usize {
        (2 * self.side).saturating_sub(1).pow(2)
    }

    /// Calls `pair` with each query, key and entry, query by query.
    fn for_each(&self, mut pair: impl FnMut(usize, usize, usize)) {
        let side = self.side;
        for query in 0..side * side {
            let (i, j) = (query / side, query % side);
            for k in 0..side {
                let row = (i + side - 1 - k) * (2 * side - 1) + j + side - 1;
                for l in 0..side {
                    pair(query, k * side + l, row - l);
                }
            }
        }
    }

    /// One head's bias, a row of `stride` for each query; 0 beyond the last key.
    pub(super) fn spread<E: Real>(
        &self,
        table: &[E],
        [head, heads]: [usize; 2],
        stride: usize,
    ) -> Scratch<E> {
        let mut bias = Scratch::zeros(self.side * self.side * stride);
        self.for_each(|query, key, entry| bias[query * stride + key] = table[entry * heads + head]);
        bias
    }

    /// Adds a gradient of one head's bias to its entries.
    pub(super) fn gather<E: Real>(&self, gradient: &[E], stride: usize, entries: &mut [E]) {
        self.for_each(|query, key, entry| entries[entry] += gradient[query * stride + key]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Window 2: by hand. Query 1 is at (0, 1), key 2 at (1, 0): row (0 - 1 + 1) 3 + (1 - 0 + 1) = 2.
    #[test]
    fn entries_are_rows_of_the_difference() {
        let window = Window::of(4);
        assert_eq!(window.entries(), 9);
        let table: Vec<f64> = (0..18).map(f64::from).collect();
        let bias = window.spread(&table, [1, 2], 5);
        let expected = [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]];
        for (row, expected) in bias.chunks(5).zip(expected) {
            let entries: Vec<_> = row[..4].iter().map(|value| (value - 1.0) / 2.0).collect();
            assert_eq!(entries, expected.map(f64::from));
            assert_eq!(row[4], 0.0);
        }
        let mut entries = [0.0; 9];
        window.gather(&[1.0; 20], 5, &mut entries);
        assert_eq!(entries, [1.0, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0]);
    }
}
