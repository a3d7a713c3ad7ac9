//! Rows to batches, batch innermost.
//!
//! Invariant: `out[feature * rows + i]` is feature `feature` of row i. Work goes tile by tile, so that neither the
//! strided side nor the contiguous one leaves the fastest cache.

/// Features and rows of a tile: 16 KB of floats.
const TILE: usize = 64;

/// Fills `out` (`[features, rows]`); `decode(i, first, part)` writes features `first..` of row i to `part`.
pub(super) fn transpose(rows: usize, out: &mut [f32], mut decode: impl FnMut(usize, usize, &mut [f32])) {
    if rows == 0 {
        return;
    }
    let mut tile = [[0.0; TILE]; TILE];
    for (block, out) in out.chunks_mut(TILE * rows).enumerate() {
        let features = out.len() / rows;
        for first_row in (0..rows).step_by(TILE) {
            let count = TILE.min(rows - first_row);
            for (i, row) in tile[..count].iter_mut().enumerate() {
                decode(first_row + i, block * TILE, &mut row[..features]);
            }
            for (feature, out) in out.chunks_exact_mut(rows).enumerate() {
                for (out, row) in out[first_row..first_row + count].iter_mut().zip(&tile) {
                    *out = row[feature];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_of_every_row_lands_in_its_place() {
        for (rows, features) in [(1, 1), (1, 200), (40, 784), (64, 64), (65, 63), (130, 129), (0, 5)] {
            let mut out = vec![-1.0; rows * features];
            transpose(rows, &mut out, |i, first, part| {
                for (feature, out) in (first..).zip(part) {
                    *out = (i * 1000 + feature) as f32;
                }
            });
            for feature in 0..features {
                for i in 0..rows {
                    assert_eq!(out[feature * rows + i], (i * 1000 + feature) as f32);
                }
            }
        }
    }
}
