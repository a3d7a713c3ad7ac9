//! [`correlate`]: the gradient of weights.
//!
//! Blocking: twelve accumulators, three outputs with four terms, so that every gradient and every input that is loaded
//! is used several times. Where one instruction works on two times eight lanes, an accumulator is that of two outputs.
#![allow(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "one constant counter indexes several arrays of registers, and is unrolled"
)]

use super::Term;
use crate::ops::simd::{Kernel, LANES, Lanes, Real, Two};

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
    // Twelve sums, three gradients and one input fill sixteen registers; nearly every layer has a multiple of 6 outputs.
    let mut o = 0;
    while o < pairs.outputs {
        // SAFETY: outputs below `pairs.outputs` are valid.
        unsafe {
            let gradient = gradient.add(o * pairs.gradient_stride);
            let sums = sums.add(o * pairs.weight_stride);
            o += match pairs.outputs - o {
                6.. if <V::Two as Two>::FUSED => {
                    correlate_twos::<V>(gradient, input, terms, window, sums, pairs)
                }
                3.. => correlate_rows::<V, 3>(gradient, input, terms, window, sums, pairs),
                2 => correlate_rows::<V, 2>(gradient, input, terms, window, sums, pairs),
                _ => correlate_rows::<V, 1>(gradient, input, terms, window, sums, pairs),
            };
        }
    }
}

/// Six outputs with all terms, two outputs in an accumulator and four terms at a time. Returns 6.
#[inline(always)]
unsafe fn correlate_twos<V: Lanes>(
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
            twos_tile::<V, 4>(gradient, input, block, window, sums, pairs);
        }
        match *rest {
            [a, b, c] => twos_tile::<V, 3>(gradient, input, &[a, b, c], window, sums, pairs),
            [a, b] => twos_tile::<V, 2>(gradient, input, &[a, b], window, sums, pairs),
            [a] => twos_tile::<V, 1>(gradient, input, &[a], window, sums, pairs),
            _ => {}
        }
    }
    6
}

/// Six outputs with `K` terms.
#[inline(always)]
unsafe fn twos_tile<V: Lanes, const K: usize>(
    gradient: *const V::Elem,
    input: *const V::Elem,
    terms: &[Term; K],
    window: Window,
    sums: *mut V::Elem,
    pairs: Pairs,
) {
    let mut lanes = [[V::Two::zero(); K]; 3];
    let (whole, rest) = (window.run / LANES * LANES, window.run % LANES);
    // SAFETY: the caller vouches for the window of six outputs and K terms.
    unsafe {
        for row in 0..window.rows {
            let gradient = gradient.add(row * window.gradient_stride);
            let input = input.add(row * window.input_stride);
            let mut i = 0;
            while i < whole {
                let mut g = [V::Two::zero(); 3];
                for r in 0..3 {
                    let first = gradient.add(2 * r * pairs.gradient_stride + i);
                    g[r] = V::Two::load(first, first.add(pairs.gradient_stride));
                }
                for k in 0..K {
                    let x = V::Two::twice(input.add(terms[k].input as usize + i));
                    for r in 0..3 {
                        lanes[r][k] = g[r].mul_add(x, lanes[r][k]);
                    }
                }
                i += LANES;
            }
            if rest > 0 {
                // The same, through padded copies.
                let mut padded = [[V::Elem::ZERO; LANES]; 2];
                for k in 0..K {
                    V::load_first(input.add(terms[k].input as usize + whole), rest)
                        .store(padded[0].as_mut_ptr());
                    let x = V::Two::twice(padded[0].as_ptr());
                    for r in 0..3 {
                        for half in 0..2 {
                            let g = gradient.add((2 * r + half) * pairs.gradient_stride + whole);
                            V::load_first(g, rest).store(padded[half].as_mut_ptr());
                        }
                        let g = V::Two::load(padded[0].as_ptr(), padded[1].as_ptr());
                        lanes[r][k] = g.mul_add(x, lanes[r][k]);
                    }
                }
            }
        }
        for r in 0..3 {
            for k in 0..K {
                let first = sums.add(2 * r * pairs.weight_stride + terms[k].weight as usize);
                let [one, other] = lanes[r][k].split();
                *first += one.sum();
                *first.add(pairs.weight_stride) += other.sum();
            }
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
