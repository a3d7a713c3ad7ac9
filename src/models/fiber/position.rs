//! Tables of relative positions for windows of another size.
//!
//! Invariant: cubic convolution with a = -0.75, centres of cells at halves, the border repeated and no smoothing, along rows and
//! columns; so PyTorch's `interpolate(mode="bicubic")`, which FIBER calls.

use crate::ops::simd::Real;

/// The slope of the kernel.
const A: f64 = -0.75;

/// Four neighbours and their weights for one place.
type Taps = [(usize, f64); 4];

/// A table `[n^2, heads]` for `[side^2, heads]`: rows are cells of a square.
pub fn resize<E: Real>(table: &[E], heads: usize, side: usize) -> Vec<E> {
    let from = libm::sqrt((table.len() / heads.max(1)) as f64) as usize;
    let taps: Vec<Taps> = (0..side).map(|place| taps(place, from, side)).collect();
    let mut out = Vec::with_capacity(side * side * heads);
    for rows in &taps {
        for columns in &taps {
            for head in 0..heads {
                let along = |row: usize| -> f64 {
                    columns.iter().map(|&(c, w)| w * table[(row * from + c) * heads + head].to_f64()).sum()
                };
                out.push(E::of(rows.iter().map(|&(row, weight)| weight * along(row)).sum()));
            }
        }
    }
    out
}

fn taps(place: usize, from: usize, to: usize) -> Taps {
    let at = (place as f64 + 0.5) * (from as f64 / to as f64) - 0.5;
    let first = libm::floor(at);
    let t = at - first;
    // Neighbours at distances 1 + t, t, 1 - t and 2 - t.
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let weights = [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)];
    let mut taps = [(0, 0.0); 4];
    for (k, tap) in taps.iter_mut().enumerate() {
        let neighbour = (first as i64 + k as i64 - 1).clamp(0, from as i64 - 1);
        *tap = (neighbour as usize, weights[k]);
    }
    taps
}
