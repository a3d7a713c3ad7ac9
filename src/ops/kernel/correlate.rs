//! [`correlate`]: the gradient of weights.
//!
//! Blocking: twelve accumulators of eight lanes each, three outputs with four terms, so that every gradient and every
//! input that is loaded is used several times.
#![allow(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "one constant counter indexes several arrays of registers, and is unrolled"
)]

use super::Term;
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// What [`correlate`] sums over: `rows` runs of `run` neighbouring elements.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Number of runs.
    pub rows: usize,
    /// Elements of one run.
    pub run: usize,
    /// Distance between runs in the output gradient.
    pub gradient_stride: usize,
    /// Distance between runs in the input.
    pub input_stride: usize,
}

/// Where the rows of [`correlate`]'s operands stand.
#[derive(Clone, Copy, Debug)]
pub struct Pairs {
    /// Number of outputs (rows of the weight gradient).
    pub outputs: usize,
    /// Distance between outputs in the output gradient.
    pub gradient_stride: usize,
    /// Distance between outputs in the weight gradient.
    pub weight_stride: usize,
}

/// `sums[o * weight_stride + term.weight] += sum over the window of gradient[o * gradient_stride + ..] *
/// input[term.input + ..]`.
///
/// # Panics
/// If an operand is too short: a bug of the calling op.
pub fn correlate<E: Real>(
    gradient: &[E],
    input: &[E],
    terms: &[Term],
    window: Window,
    sums: &mut [E],
    pairs: Pairs,
) {
    if pairs.outputs == 0 || terms.is_empty() || window.rows == 0 || window.run == 0 {
        return;
    }
    let (last, last_row) = (pairs.outputs - 1, window.rows - 1);
    let weight = terms.iter().map(|term| term.weight as usize + 1).max().unwrap_or(0);
    let offset = terms.iter().map(|term| term.input as usize).max().unwrap_or(0);
    assert!(
        last * pairs.gradient_stride + last_row * window.gradient_stride + window.run <= gradient.len(),
        "output gradient too short"
    );
    assert!(offset + last_row * window.input_stride + window.run <= input.len(), "input too short");
    assert!(last * pairs.weight_stride + weight <= sums.len(), "weight gradient too short");
    E::dispatch(Correlate { gradient, input, terms, window, sums, pairs });
}

struct Correlate<'a, E> {
    gradient: &'a [E],
    input: &'a [E],
    terms: &'a [Term],
    window: Window,
    sums: &'a mut [E],
    pairs: Pairs,
}

impl<E: Real> Kernel<E> for Correlate<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        // SAFETY: `correlate` checked that every offset lies within its slice.
        unsafe {
            correlate_unchecked::<V>(
                self.gradient.as_ptr(),
                self.input.as_ptr(),
                self.terms,
                self.window,
                self.sums.as_mut_ptr(),
                self.pairs,
            );
        }
    }
}

/// [`correlate`] without its checks, for kernels that call it many times within one [`Real::dispatch`].
///
/// # Safety
/// All that [`correlate`] checks; `sums` must be writable and not overlap the operands.
#[inline(always)]
pub unsafe fn correlate_unchecked<V: Lanes>(
    gradient: *const V::Elem,
    input: *const V::Elem,
    terms: &[Term],
    window: Window,
    sums: *mut V::Elem,
    pairs: Pairs,
) {
    // Twelve sums, three gradients and one input fill the sixteen registers; every layer has a multiple of 3 outputs.
    let mut o = 0;
    while o < pairs.outputs {
        // SAFETY: outputs below `pairs.outputs` are valid.
        unsafe {
            let gradient = gradient.add(o * pairs.gradient_stride);
            let sums = sums.add(o * pairs.weight_stride);
            o += match pairs.outputs - o {
                3.. => correlate_rows::<V, 3>(gradient, input, terms, window, sums, pairs),
                2 => correlate_rows::<V, 2>(gradient, input, terms, window, sums, pairs),
                _ => correlate_rows::<V, 1>(gradient, input, terms, window, sums, pairs),
            };
        }
    }
}

/// `R` outputs with all terms, four at a time. Returns `R`.
#[inline(always)]
unsafe fn correlate_rows<V: Lanes, const R: usize>(
    gradient: *const V::Elem,
    input: *const V::Elem,
    terms: &[Term],
    window: Window,
    sums: *mut V::Elem,
    pairs: Pairs,
) -> usize {
    let (blocks, rest) = terms.as_chunks::<4>();
    // SAFETY: passed on to the caller.
    unsafe {
        for block in blocks {
            correlate_tile::<V, R, 4>(gradient, input, block, window, sums, pairs);
        }
        match *rest {
            [a, b, c] => correlate_tile::<V, R, 3>(gradient, input, &[a, b, c], window, sums, pairs),
            [a, b] => correlate_tile::<V, R, 2>(gradient, input, &[a, b], window, sums, pairs),
            [a] => correlate_tile::<V, R, 1>(gradient, input, &[a], window, sums, pairs),
            _ => {}
        }
    }
    R
}

/// `R` outputs with `K` terms.
#[inline(always)]
unsafe fn correlate_tile<V: Lanes, const R: usize, const K: usize>(
    gradient: *const V::Elem,
    input: *const V::Elem,
    terms: &[Term; K],
    window: Window,
    sums: *mut V::Elem,
    pairs: Pairs,
) {
    let mut lanes = [[V::zero(); K]; R];
    let (whole, rest) = (window.run / LANES * LANES, window.run % LANES);
    // SAFETY: the caller vouches for the window of R outputs and K terms.
    unsafe {
        let mut inputs = [input; K];
        for k in 0..K {
            inputs[k] = input.add(terms[k].input as usize);
        }
        for row in 0..window.rows {
            let gradient = gradient.add(row * window.gradient_stride);
            let from = row * window.input_stride;
            let mut i = 0;
            while i < whole {
                let mut g = [V::zero(); R];
                for r in 0..R {
                    g[r] = V::load(gradient.add(r * pairs.gradient_stride + i));
                }
                for k in 0..K {
                    let x = V::load(inputs[k].add(from + i));
                    for r in 0..R {
                        lanes[r][k] = g[r].mul_add(x, lanes[r][k]);
                    }
                }
                i += LANES;
            }
            if rest > 0 {
                for r in 0..R {
                    let g = V::load_first(gradient.add(r * pairs.gradient_stride + whole), rest);
                    for k in 0..K {
                        let x = V::load_first(inputs[k].add(from + whole), rest);
                        lanes[r][k] = g.mul_add(x, lanes[r][k]);
                    }
                }
            }
        }
        for r in 0..R {
            for k in 0..K {
                let sum = sums.add(r * pairs.weight_stride + terms[k].weight as usize);
                *sum += lanes[r][k].sum();
            }
        }
    }
}
