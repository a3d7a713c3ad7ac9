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
            let tile = Tile {
                gradient: gradient.add(o * pairs.gradient_stride),
                input,
                window,
                sums: sums.add(o * pairs.weight_stride),
                pairs,
            };
            o += match pairs.outputs - o {
                6.. if <V::Two as Two>::FUSED => tile.outputs::<V, OfTwo<V>, 3>(terms),
                3.. => tile.outputs::<V, OfOne<V>, 3>(terms),
                2 => tile.outputs::<V, OfOne<V>, 2>(terms),
                _ => tile.outputs::<V, OfOne<V>, 1>(terms),
            };
        }
    }
}

/// Eight lanes for each of some outputs, under one instruction.
trait Register<V: Lanes>: Copy {
    /// Number of these outputs.
    const OUTPUTS: usize;

    fn zero() -> Self;
    /// The first `count` (at most eight) gradients of each output, `stride` apart.
    unsafe fn gradients(from: *const V::Elem, stride: usize, count: usize) -> Self;
    /// The first `count` (at most eight) inputs, the same for each output.
    unsafe fn inputs(from: *const V::Elem, count: usize) -> Self;
    fn mul_add(self, by: Self, plus: Self) -> Self;
    /// Adds each output's lanes to its sum, `stride` apart.
    unsafe fn add_to(self, sums: *mut V::Elem, stride: usize);
}

#[derive(Clone, Copy)]
struct OfOne<V>(V);

impl<V: Lanes> Register<V> for OfOne<V> {
    const OUTPUTS: usize = 1;

    #[inline(always)]
    fn zero() -> Self {
        OfOne(V::zero())
    }
    #[inline(always)]
    unsafe fn gradients(from: *const V::Elem, _: usize, count: usize) -> Self {
        // SAFETY: the caller vouches for `count` elements.
        unsafe { Self::inputs(from, count) }
    }
    #[inline(always)]
    unsafe fn inputs(from: *const V::Elem, count: usize) -> Self {
        // SAFETY: as above.
        OfOne(unsafe { if count == LANES { V::load(from) } else { V::load_first(from, count) } })
    }
    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        OfOne(self.0.mul_add(by.0, plus.0))
    }
    #[inline(always)]
    unsafe fn add_to(self, sums: *mut V::Elem, _: usize) {
        // SAFETY: the caller vouches for the sum.
        unsafe { *sums += self.0.sum() };
    }
}

#[derive(Clone, Copy)]
struct OfTwo<V: Lanes>(V::Two);

impl<V: Lanes> Register<V> for OfTwo<V> {
    const OUTPUTS: usize = 2;

    #[inline(always)]
    fn zero() -> Self {
        OfTwo(V::Two::zero())
    }
    #[inline(always)]
    unsafe fn gradients(from: *const V::Elem, stride: usize, count: usize) -> Self {
        // SAFETY: the caller vouches for `count` elements at both places; padded copies have eight.
        unsafe {
            if count == LANES {
                return OfTwo(V::Two::load(from, from.add(stride)));
            }
            let one = V::load_first(from, count).to_array();
            let other = V::load_first(from.add(stride), count).to_array();
            OfTwo(V::Two::load(one.as_ptr(), other.as_ptr()))
        }
    }
    #[inline(always)]
    unsafe fn inputs(from: *const V::Elem, count: usize) -> Self {
        // SAFETY: as above.
        unsafe {
            if count == LANES {
                return OfTwo(V::Two::twice(from));
            }
            let padded = V::load_first(from, count).to_array();
            OfTwo(V::Two::twice(padded.as_ptr()))
        }
    }
    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        OfTwo(self.0.mul_add(by.0, plus.0))
    }
    #[inline(always)]
    unsafe fn add_to(self, sums: *mut V::Elem, stride: usize) {
        let [one, other] = self.0.split();
        // SAFETY: the caller vouches for both sums.
        unsafe {
            *sums += one.sum();
            *sums.add(stride) += other.sum();
        }
    }
}

/// Some outputs over the whole window.
#[derive(Clone, Copy)]
struct Tile<E> {
    gradient: *const E,
    input: *const E,
    window: Window,
    sums: *mut E,
    pairs: Pairs,
}

impl<E: Real> Tile<E> {
    /// The first `R` registers of outputs with all terms, four at a time. Returns the number of outputs.
    #[inline(always)]
    unsafe fn outputs<V: Lanes<Elem = E>, A: Register<V>, const R: usize>(self, terms: &[Term]) -> usize {
        let (blocks, rest) = terms.as_chunks::<4>();
        // SAFETY: passed on to the caller.
        unsafe {
            for block in blocks {
                self.terms::<V, A, R, 4>(block);
            }
            match *rest {
                [a, b, c] => self.terms::<V, A, R, 3>(&[a, b, c]),
                [a, b] => self.terms::<V, A, R, 2>(&[a, b]),
                [a] => self.terms::<V, A, R, 1>(&[a]),
                _ => {}
            }
        }
        R * A::OUTPUTS
    }

    /// `R` registers of outputs with `K` terms.
    #[inline(always)]
    unsafe fn terms<V: Lanes<Elem = E>, A: Register<V>, const R: usize, const K: usize>(
        self,
        terms: &[Term; K],
    ) {
        let Tile { gradient, input, window, sums, pairs } = self;
        let mut lanes = [[A::zero(); K]; R];
        let (whole, rest) = (window.run / LANES * LANES, window.run % LANES);
        // SAFETY: the caller vouches for the window of these outputs and K terms.
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
                    step::<V, A, R, K>(
                        &mut lanes,
                        gradient.add(i),
                        pairs.gradient_stride,
                        &inputs,
                        from + i,
                        LANES,
                    );
                    i += LANES;
                }
                if rest > 0 {
                    step::<V, A, R, K>(
                        &mut lanes,
                        gradient.add(i),
                        pairs.gradient_stride,
                        &inputs,
                        from + i,
                        rest,
                    );
                }
            }
            for r in 0..R {
                for k in 0..K {
                    let first = r * A::OUTPUTS * pairs.weight_stride + terms[k].weight as usize;
                    lanes[r][k].add_to(sums.add(first), pairs.weight_stride);
                }
            }
        }
    }
}

/// Adds `count` (at most eight) neighbouring products of `R` registers of outputs with `K` terms.
#[inline(always)]
unsafe fn step<V: Lanes, A: Register<V>, const R: usize, const K: usize>(
    lanes: &mut [[A; K]; R],
    gradient: *const V::Elem,
    stride: usize,
    inputs: &[*const V::Elem; K],
    from: usize,
    count: usize,
) {
    let mut g = [A::zero(); R];
    // SAFETY: the caller vouches for `count` elements of every output and term.
    unsafe {
        for r in 0..R {
            g[r] = A::gradients(gradient.add(r * A::OUTPUTS * stride), stride, count);
        }
        for k in 0..K {
            let x = A::inputs(inputs[k].add(from), count);
            for r in 0..R {
                lanes[r][k] = g[r].mul_add(x, lanes[r][k]);
            }
        }
    }
}
