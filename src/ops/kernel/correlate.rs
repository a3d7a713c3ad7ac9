//! [`correlate`]: the gradient of weights; [`correlate_lanes`]: the same in several calls.
//!
//! Blocking: twelve accumulators, three outputs with four terms, so that every gradient and every input that is loaded
//! is used several times. Where one instruction works on two times eight lanes, an accumulator is that of two outputs.
#![allow(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "one constant counter indexes several arrays of registers, and is unrolled"
)]

use super::Term;
use crate::ops::simd::{Array, Kernel, LANES, Lanes, Real, Two};

/// What [`correlate`] sums over: `rows` runs of `run` neighbouring elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
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
pub(crate) struct Pairs {
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
pub(crate) fn correlate<E: Real>(
    gradient: &[E],
    input: &[E],
    terms: &[Term],
    window: Window,
    sums: &mut [E],
    pairs: Pairs,
) {
    if let Some(weights) = weights_touched(gradient, input, terms, window, pairs) {
        assert!(weights <= sums.len(), "weight gradient too short");
        E::dispatch(Correlate { gradient, input, terms, window, sums: Whole(sums.as_mut_ptr()), pairs });
    }
}

/// [`correlate`] over a part of the window: each weight's eight lanes go on from `lanes[weight]` and are left there, for
/// the next part, and in the end for [`add_lanes`].
///
/// # Panics
/// As [`correlate`].
pub(crate) fn correlate_lanes<E: Real>(
    gradient: &[E],
    input: &[E],
    terms: &[Term],
    window: Window,
    lanes: &mut [[E; LANES]],
    pairs: Pairs,
) {
    if let Some(weights) = weights_touched(gradient, input, terms, window, pairs) {
        assert!(weights <= lanes.len(), "lanes of the weight gradient too short");
        let sums = InLanes(lanes.as_mut_ptr().cast());
        E::dispatch(Correlate { gradient, input, terms, window, sums, pairs });
    }
}

/// Adds each weight's lanes, by the tree of [`Lanes::sum`], to its gradient.
pub(crate) fn add_lanes<E: Real>(lanes: &[[E; LANES]], sums: &mut [E]) {
    for (sum, &lanes) in sums.iter_mut().zip(lanes) {
        *sum += Array::from_array(lanes).sum();
    }
}

/// One more than the last weight that is touched, if any is.
///
/// # Panics
/// If an operand is too short.
fn weights_touched<E>(
    gradient: &[E],
    input: &[E],
    terms: &[Term],
    window: Window,
    pairs: Pairs,
) -> Option<usize> {
    if pairs.outputs == 0 || terms.is_empty() || window.rows == 0 || window.run == 0 {
        return None;
    }
    let (last, last_row) = (pairs.outputs - 1, window.rows - 1);
    let weight = terms.iter().map(|term| term.weight as usize + 1).max().unwrap_or(0);
    let offset = terms.iter().map(|term| term.input as usize).max().unwrap_or(0);
    assert!(
        last * pairs.gradient_stride + last_row * window.gradient_stride + window.run <= gradient.len(),
        "output gradient too short"
    );
    assert!(offset + last_row * window.input_stride + window.run <= input.len(), "input too short");
    Some(last * pairs.weight_stride + weight)
}

struct Correlate<'a, E, S> {
    gradient: &'a [E],
    input: &'a [E],
    terms: &'a [Term],
    window: Window,
    sums: S,
    pairs: Pairs,
}

impl<E: Real, S: Sums<E>> Kernel<E> for Correlate<'_, E, S> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        // SAFETY: `weights_touched` checked that every offset lies within its slice, its callers that every sum does.
        unsafe {
            correlate_into::<V, S>(
                self.gradient.as_ptr(),
                self.input.as_ptr(),
                self.terms,
                self.window,
                self.sums,
                self.pairs,
            );
        }
    }
}

/// Where sums begin and end.
trait Sums<E: Real>: Copy {
    /// The place of another weight.
    unsafe fn at(self, weight: usize) -> Self;
    /// The lanes to begin with, of outputs `stride` apart.
    unsafe fn begin<V: Lanes<Elem = E>, A: Register<V>>(self, stride: usize) -> A;
    /// Takes the lanes that came out.
    unsafe fn end<V: Lanes<Elem = E>, A: Register<V>>(self, lanes: A, stride: usize);
}

/// Weights, to which the sum of the lanes is added.
#[derive(Clone, Copy)]
struct Whole<E>(*mut E);

impl<E: Real> Sums<E> for Whole<E> {
    #[inline(always)]
    unsafe fn at(self, weight: usize) -> Self {
        // SAFETY: the caller vouches for this weight.
        Whole(unsafe { self.0.add(weight) })
    }
    #[inline(always)]
    unsafe fn begin<V: Lanes<Elem = E>, A: Register<V>>(self, _: usize) -> A {
        A::zero()
    }
    #[inline(always)]
    unsafe fn end<V: Lanes<Elem = E>, A: Register<V>>(self, lanes: A, stride: usize) {
        // SAFETY: passed on to the caller.
        unsafe { lanes.add_to(self.0, stride) };
    }
}

/// Eight lanes per weight.
#[derive(Clone, Copy)]
struct InLanes<E>(*mut E);

impl<E: Real> Sums<E> for InLanes<E> {
    #[inline(always)]
    unsafe fn at(self, weight: usize) -> Self {
        // SAFETY: the caller vouches for this weight.
        InLanes(unsafe { self.0.add(LANES * weight) })
    }
    #[inline(always)]
    unsafe fn begin<V: Lanes<Elem = E>, A: Register<V>>(self, stride: usize) -> A {
        // SAFETY: passed on to the caller: eight lanes stand at each weight.
        unsafe { A::gradients(self.0, LANES * stride, LANES) }
    }
    #[inline(always)]
    unsafe fn end<V: Lanes<Elem = E>, A: Register<V>>(self, lanes: A, stride: usize) {
        // SAFETY: passed on to the caller.
        unsafe { lanes.store(self.0, LANES * stride) };
    }
}

/// [`correlate`] without its checks, for kernels that call it many times within one [`Real::dispatch`].
///
/// # Safety
/// All that [`correlate`] checks; `sums` must be writable and not overlap the operands.
#[inline(always)]
pub(crate) unsafe fn correlate_unchecked<V: Lanes>(
    gradient: *const V::Elem,
    input: *const V::Elem,
    terms: &[Term],
    window: Window,
    sums: *mut V::Elem,
    pairs: Pairs,
) {
    // SAFETY: passed on to the caller.
    unsafe { correlate_into::<V, _>(gradient, input, terms, window, Whole(sums), pairs) };
}

#[inline(always)]
unsafe fn correlate_into<V: Lanes, S: Sums<V::Elem>>(
    gradient: *const V::Elem,
    input: *const V::Elem,
    terms: &[Term],
    window: Window,
    sums: S,
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
                sums: sums.at(o * pairs.weight_stride),
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
    /// Writes each output's lanes, `stride` apart.
    unsafe fn store(self, to: *mut V::Elem, stride: usize);
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
    #[inline(always)]
    unsafe fn store(self, to: *mut V::Elem, _: usize) {
        // SAFETY: the caller vouches for eight places.
        unsafe { self.0.store(to) };
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
    #[inline(always)]
    unsafe fn store(self, to: *mut V::Elem, stride: usize) {
        let [one, other] = self.0.split();
        // SAFETY: the caller vouches for eight places of each.
        unsafe {
            one.store(to);
            other.store(to.add(stride));
        }
    }
}

/// Some outputs over the whole window.
#[derive(Clone, Copy)]
struct Tile<E, S> {
    gradient: *const E,
    input: *const E,
    window: Window,
    sums: S,
    pairs: Pairs,
}

impl<E: Real, S: Sums<E>> Tile<E, S> {
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
        // Where runs are whole vectors, nothing forces the sums out of their registers between runs.
        // SAFETY: passed on to the caller.
        unsafe {
            if self.window.run.is_multiple_of(LANES) {
                self.runs::<V, A, R, K, false>(terms);
            } else {
                self.runs::<V, A, R, K, true>(terms);
            }
        }
    }

    /// [`Tile::terms`] of runs that are whole vectors, or have a `REST`.
    #[inline(always)]
    unsafe fn runs<V: Lanes<Elem = E>, A: Register<V>, const R: usize, const K: usize, const REST: bool>(
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
            for r in 0..R {
                for k in 0..K {
                    let first = r * A::OUTPUTS * pairs.weight_stride + terms[k].weight as usize;
                    lanes[r][k] = sums.at(first).begin(pairs.weight_stride);
                }
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
                if REST {
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
                    sums.at(first).end(lanes[r][k], pairs.weight_stride);
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
