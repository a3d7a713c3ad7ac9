//! [`project`]: weights times activations.
//!
//! Blocking: about a dozen accumulators stay in registers; the terms are taken in blocks whose inputs fit the
//! first-level cache, so that all outputs use them from there.
#![allow(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "one constant counter indexes several arrays of registers, and is unrolled"
)]

use super::Term;
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// What the sums of [`project`] begin with.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a, E> {
    /// Zero.
    Zero,
    /// What stands in the output (`+=`).
    Existing,
    /// One value per output.
    Bias(&'a [E]),
}

/// The weights and inputs of [`project`].
#[derive(Clone, Copy, Debug)]
pub struct Operands<'a, E> {
    /// Weights; output `o`'s row begins at `o * row_stride`.
    pub weights: &'a [E],
    /// Distance between the weights of neighbouring outputs.
    pub row_stride: usize,
    /// The products, in the order they are added.
    pub terms: &'a [Term],
    /// Inputs.
    pub input: &'a [E],
}

/// Where the outputs of [`project`] stand: output `o` is `out[o * stride..][..run]`.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Number of outputs.
    pub outputs: usize,
    /// Distance between neighbouring outputs.
    pub stride: usize,
    /// Elements of one output (the batch, or several pixels times the batch).
    pub run: usize,
}

/// `out[o * stride + i] = start + sum over terms of weights[o * row_stride + term.weight] * input[term.input + i]`.
///
/// # Panics
/// If an operand is too short for the layout: a bug of the calling op.
pub fn project<E: Real>(operands: Operands<'_, E>, start: Start<'_, E>, out: &mut [E], layout: Layout) {
    if layout.outputs == 0 || layout.run == 0 {
        return;
    }
    let last = layout.outputs - 1;
    let weight = operands.terms.iter().map(|term| term.weight as usize + 1).max().unwrap_or(0);
    let input = operands.terms.iter().map(|term| term.input as usize + layout.run).max().unwrap_or(0);
    assert!(
        weight == 0 || weight + last * operands.row_stride <= operands.weights.len(),
        "weights too short"
    );
    assert!(input <= operands.input.len(), "input too short");
    assert!(last * layout.stride + layout.run <= out.len(), "output too short");
    if let Start::Bias(bias) = start {
        assert!(layout.outputs <= bias.len(), "bias too short");
    }
    E::dispatch(Project { operands, start, out, layout });
}

struct Project<'a, E> {
    operands: Operands<'a, E>,
    start: Start<'a, E>,
    out: &'a mut [E],
    layout: Layout,
}

impl<E: Real> Kernel<E> for Project<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let Operands { weights, row_stride, terms, input } = self.operands;
        // SAFETY: `project` checked that every offset of every term, output and run lies within its slice.
        unsafe {
            let rows = Rows { weights: weights.as_ptr(), stride: row_stride };
            project_unchecked::<V>(
                rows,
                terms,
                input.as_ptr(),
                self.start,
                self.out.as_mut_ptr(),
                self.layout,
            );
        }
    }
}

/// Rows of weights of [`project_unchecked`].
#[derive(Clone, Copy)]
pub struct Rows<E> {
    /// The first row.
    pub weights: *const E,
    /// Distance between rows.
    pub stride: usize,
}

/// Vectors of one register block.
const WIDE: usize = 5;
/// Terms whose inputs (`WIDE` vectors each) fit the first-level cache beside the weights.
const BLOCK: usize = 128;

/// [`project`] without its checks, for kernels that call it many times within one [`Real::dispatch`].
///
/// # Safety
/// All that [`project`] checks; `out` must be writable for the layout and not overlap the operands.
#[inline(always)]
pub unsafe fn project_unchecked<V: Lanes>(
    rows: Rows<V::Elem>,
    terms: &[Term],
    input: *const V::Elem,
    start: Start<'_, V::Elem>,
    out: *mut V::Elem,
    layout: Layout,
) {
    let mut done = 0;
    while done < layout.run {
        let left = layout.run - done;
        let mut begin = 0;
        loop {
            let end = if terms.len() - begin < BLOCK + BLOCK / 2 { terms.len() } else { begin + BLOCK };
            let start = if begin == 0 { start } else { Start::Existing };
            // SAFETY: `done + left` elements of every run are valid, and only terms within the list are taken.
            unsafe {
                let (terms, input, out) = (terms.get_unchecked(begin..end), input.add(done), out.add(done));
                match left / LANES {
                    0 => project_rows::<V, 4, 0>(rows, terms, input, start, out, layout, left),
                    1 => project_rows::<V, 4, 1>(rows, terms, input, start, out, layout, left),
                    2 => project_rows::<V, 4, 2>(rows, terms, input, start, out, layout, left),
                    3 => project_rows::<V, 3, 3>(rows, terms, input, start, out, layout, left),
                    4 => project_rows::<V, 2, 4>(rows, terms, input, start, out, layout, left),
                    _ => project_rows::<V, 2, WIDE>(rows, terms, input, start, out, layout, left),
                }
            }
            begin = end;
            if begin == terms.len() {
                break;
            }
        }
        done += match left / LANES {
            0 => left,
            vectors => vectors.min(WIDE) * LANES,
        };
    }
}

/// All outputs of one block of `C` vectors (0: the `left` elements that do not fill one), `R` outputs at a time.
#[inline(always)]
unsafe fn project_rows<V: Lanes, const R: usize, const C: usize>(
    rows: Rows<V::Elem>,
    terms: &[Term],
    input: *const V::Elem,
    start: Start<'_, V::Elem>,
    out: *mut V::Elem,
    layout: Layout,
    left: usize,
) {
    let mut o = 0;
    while o < layout.outputs {
        // SAFETY: outputs below `layout.outputs` have valid weights and output runs.
        unsafe {
            let weights = rows.weights.add(o * rows.stride);
            let out = out.add(o * layout.stride);
            let full = o + R <= layout.outputs;
            match (full, C) {
                (true, 0) => partial_tile::<V, R>(
                    weights,
                    rows.stride,
                    terms,
                    input,
                    start,
                    o,
                    out,
                    layout.stride,
                    left,
                ),
                (true, _) => {
                    tile::<V, R, C>(weights, rows.stride, terms, input, start, o, out, layout.stride)
                }
                (false, 0) => partial_tile::<V, 1>(
                    weights,
                    rows.stride,
                    terms,
                    input,
                    start,
                    o,
                    out,
                    layout.stride,
                    left,
                ),
                (false, _) => {
                    tile::<V, 1, C>(weights, rows.stride, terms, input, start, o, out, layout.stride)
                }
            }
            o += if full { R } else { 1 };
        }
    }
}

/// `R` outputs of `C` whole vectors.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn tile<V: Lanes, const R: usize, const C: usize>(
    weights: *const V::Elem,
    row_stride: usize,
    terms: &[Term],
    input: *const V::Elem,
    start: Start<'_, V::Elem>,
    first: usize,
    out: *mut V::Elem,
    out_stride: usize,
) {
    let mut sums = [[V::zero(); C]; R];
    // SAFETY: the caller vouches for R outputs of C vectors and for every term.
    unsafe {
        match start {
            Start::Zero => {}
            Start::Existing => {
                for r in 0..R {
                    for c in 0..C {
                        sums[r][c] = V::load(out.add(r * out_stride + c * LANES));
                    }
                }
            }
            Start::Bias(bias) => {
                for r in 0..R {
                    sums[r] = [V::splat(*bias.get_unchecked(first + r)); C];
                }
            }
        }
        for term in terms {
            let weight = weights.add(term.weight as usize);
            let input = input.add(term.input as usize);
            // The weights are held and the inputs pass by: 2 x 5 sums, 2 weights and 1 input stay clear of 16 registers.
            let mut w = [V::zero(); R];
            for r in 0..R {
                w[r] = V::splat(*weight.add(r * row_stride));
            }
            for c in 0..C {
                let x = V::load(input.add(c * LANES));
                for r in 0..R {
                    sums[r][c] = w[r].mul_add(x, sums[r][c]);
                }
            }
        }
        for r in 0..R {
            for c in 0..C {
                sums[r][c].store(out.add(r * out_stride + c * LANES));
            }
        }
    }
}

/// `R` outputs of fewer elements than a vector has.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn partial_tile<V: Lanes, const R: usize>(
    weights: *const V::Elem,
    row_stride: usize,
    terms: &[Term],
    input: *const V::Elem,
    start: Start<'_, V::Elem>,
    first: usize,
    out: *mut V::Elem,
    out_stride: usize,
    count: usize,
) {
    let mut sums = [V::zero(); R];
    // SAFETY: the caller vouches for `count` elements of R outputs and of every term.
    unsafe {
        for r in 0..R {
            sums[r] = match start {
                Start::Zero => V::zero(),
                Start::Existing => V::load_first(out.add(r * out_stride), count),
                Start::Bias(bias) => V::splat(*bias.get_unchecked(first + r)),
            };
        }
        for term in terms {
            let weight = weights.add(term.weight as usize);
            let x = V::load_first(input.add(term.input as usize), count);
            for r in 0..R {
                sums[r] = V::splat(*weight.add(r * row_stride)).mul_add(x, sums[r]);
            }
        }
        for r in 0..R {
            sums[r].store_first(out.add(r * out_stride), count);
        }
    }
}
