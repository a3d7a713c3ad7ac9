//! The two micro-kernels under every dense op: `project` (weights times activations) and `correlate` (their gradient).
//!
//! Invariant: an output of [`project`] is one chain of fused multiply-adds in the order of its terms, whatever the
//! blocking; an output of [`correlate`] is eight such chains, lane `i % 8` of each row's run, summed by the fixed tree
//! of [`Lanes::sum`]. So no bit depends on how a caller cuts outputs into blocks and threads.
//!
//! Blocking: about a dozen accumulators stay in registers; the terms of [`project`] are taken in blocks whose inputs
//! fit the first-level cache, so that all outputs use them from there.
#![allow(unsafe_code)]

use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// One product of a sum: where its weight and its input stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Offset of the weight from the beginning of the output's row of weights.
    pub weight: u32,
    /// Offset of the first element of the input run.
    pub input: u32,
}

impl Term {
    /// The terms of a matrix product: `count` weights `weight_stride` apart, inputs `input_stride` apart.
    ///
    /// # Panics
    /// If an offset exceeds 32 bits.
    pub fn strided(count: usize, weight_stride: usize, input_stride: usize) -> Vec<Term> {
        (0..count).map(|k| Term::at(k * weight_stride, k * input_stride)).collect()
    }

    /// A term at the given offsets.
    ///
    /// # Panics
    /// If an offset exceeds 32 bits.
    pub fn at(weight: usize, input: usize) -> Term {
        assert!(
            weight <= u32::MAX as usize && input <= u32::MAX as usize,
            "an op's operand exceeds 2^32 elements"
        );
        Term { weight: weight as u32, input: input as u32 }
    }
}

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
        match rest {
            &[a, b, c] => correlate_tile::<V, R, 3>(gradient, input, &[a, b, c], window, sums, pairs),
            &[a, b] => correlate_tile::<V, R, 2>(gradient, input, &[a, b], window, sums, pairs),
            &[a] => correlate_tile::<V, R, 1>(gradient, input, &[a], window, sums, pairs),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::simd::{Isa, force};
    use crate::random::Seeds;

    fn numbers(name: &str, count: usize) -> Vec<f32> {
        let mut stream = Seeds::root(1).child(name).stream();
        (0..count).map(|_| stream.uniform_in(-1.0, 1.0) as f32).collect()
    }

    #[test]
    fn project_is_one_fused_chain_per_output_whatever_the_blocking() {
        for (outputs, count, run) in
            [(1, 1, 1), (2, 3, 40), (5, 200, 43), (7, 300, 95), (3, 0, 9), (4, 13, 7), (9, 25, 24)]
        {
            let (weights, input) = (numbers("w", outputs * count), numbers("x", count * run));
            let bias = numbers("b", outputs);
            let terms = Term::strided(count, 1, run);
            let operands = Operands { weights: &weights, row_stride: count, terms: &terms, input: &input };
            let layout = Layout { outputs, stride: run, run };
            for isa in [Isa::Portable, Isa::Avx2] {
                force(isa);
                let mut out = vec![0.0; outputs * run];
                project(operands, Start::Bias(&bias), &mut out, layout);
                for o in 0..outputs {
                    for i in 0..run {
                        let expected = (0..count)
                            .fold(bias[o], |sum, k| weights[o * count + k].mul_add(input[k * run + i], sum));
                        assert_eq!(
                            out[o * run + i].to_bits(),
                            expected.to_bits(),
                            "{outputs} {count} {run}: {o} {i}"
                        );
                    }
                }
                let before = out.clone();
                project(operands, Start::Existing, &mut out, layout);
                let expected = (0..count).fold(before[0], |sum, k| weights[k].mul_add(input[k * run], sum));
                assert_eq!(out[0].to_bits(), expected.to_bits());
            }
        }
    }

    #[test]
    fn correlate_sums_eight_fused_chains_whatever_the_blocking() {
        for (outputs, count, rows, run) in
            [(1, 1, 1, 1), (6, 25, 2, 40), (4, 3, 3, 43), (7, 5, 1, 7), (2, 9, 2, 16)]
        {
            let (gradient, input) = (numbers("g", outputs * rows * run), numbers("x", count * rows * run));
            let terms = Term::strided(count, 1, rows * run);
            let window = Window { rows, run, gradient_stride: run, input_stride: run };
            let pairs = Pairs { outputs, gradient_stride: rows * run, weight_stride: count };
            for isa in [Isa::Portable, Isa::Avx2] {
                force(isa);
                let mut sums = vec![0.5; outputs * count];
                correlate(&gradient, &input, &terms, window, &mut sums, pairs);
                for o in 0..outputs {
                    for k in 0..count {
                        let mut lanes = [0f32; LANES];
                        for row in 0..rows {
                            for i in 0..run {
                                let (g, x) =
                                    (gradient[(o * rows + row) * run + i], input[(k * rows + row) * run + i]);
                                lanes[i % LANES] = g.mul_add(x, lanes[i % LANES]);
                            }
                        }
                        let [a, b, c, d, e, f, g, h] = lanes;
                        let expected = 0.5 + (((a + e) + (c + g)) + ((b + f) + (d + h)));
                        assert_eq!(
                            sums[o * count + k].to_bits(),
                            expected.to_bits(),
                            "{outputs} {count} {rows} {run}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "input too short")]
    fn operands_are_checked() {
        let terms = Term::strided(2, 1, 8);
        let operands = Operands { weights: &[1.0f32; 2], row_stride: 2, terms: &terms, input: &[1.0; 15] };
        project(operands, Start::Zero, &mut [0.0; 8], Layout { outputs: 1, stride: 8, run: 8 });
    }
}
