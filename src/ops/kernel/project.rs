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
use crate::ops::simd::{Kernel, LANES, Lanes, Real, Vector};

/// What the sums of [`project`] begin with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start<'a, E> {
    /// Zero.
    Zero,
    /// What stands in the output (`+=`).
    Existing,
    /// One value per output.
    Bias(&'a [E]),
}

/// The weights and inputs of [`project`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operands<'a, E> {
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
pub(crate) struct Layout {
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
pub(crate) fn project<E: Real>(
    operands: Operands<'_, E>,
    start: Start<'_, E>,
    out: &mut [E],
    layout: Layout,
) {
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<E> {
    /// The first row.
    pub weights: *const E,
    /// Distance between rows.
    pub stride: usize,
}

/// Vectors of one register block with 16 registers: 2 outputs x 5 vectors, 2 weights and 1 input.
const NARROW: usize = 5;
/// Vectors of one register block with 32 registers: 6 outputs x 4 vectors, 6 weights and 1 input.
const WIDE: usize = 4;
/// Terms whose inputs (a register block of at most 256 bytes each) fit the first-level cache beside the weights.
const BLOCK: usize = 128;

/// [`project`] without its checks, for kernels that call it many times within one [`Real::dispatch`].
///
/// # Safety
/// All that [`project`] checks; `out` must be writable for the layout and not overlap the operands.
#[inline(always)]
pub(crate) unsafe fn project_unchecked<V: Lanes>(
    rows: Rows<V::Elem>,
    terms: &[Term],
    input: *const V::Elem,
    start: Start<'_, V::Elem>,
    out: *mut V::Elem,
    layout: Layout,
) {
    let wide = <V::Wide as Vector>::LEN;
    let block = if wide > LANES { BLOCK / 2 } else { BLOCK };
    let mut done = 0;
    while done < layout.run {
        let left = layout.run - done;
        let (vector, count) = if wide > LANES && left >= wide {
            (wide, [0, 1, 2, 2, WIDE][(left / wide).min(WIDE)])
        } else {
            (LANES, (left / LANES).min(NARROW))
        };
        let mut begin = 0;
        loop {
            let end = if terms.len() - begin < block + block / 2 { terms.len() } else { begin + block };
            let start = if begin == 0 { start } else { Start::Existing };
            // SAFETY: `done + left` elements of every run are valid, and only terms within the list are taken.
            unsafe {
                let tile = Tile {
                    rows,
                    terms: terms.get_unchecked(begin..end),
                    input: input.add(done),
                    start,
                    out: out.add(done),
                    layout,
                };
                match (vector > LANES, count) {
                    (true, 1) => tile.outputs::<V::Wide, 6, 1>(),
                    (true, 2) => tile.outputs::<V::Wide, 6, 2>(),
                    (true, _) => tile.outputs::<V::Wide, 6, WIDE>(),
                    (false, 0) => tile.rest::<V>(left),
                    (false, 1) => tile.outputs::<V, 4, 1>(),
                    (false, 2) => tile.outputs::<V, 4, 2>(),
                    (false, 3) => tile.outputs::<V, 3, 3>(),
                    (false, 4) => tile.outputs::<V, 2, 4>(),
                    (false, _) => tile.outputs::<V, 2, NARROW>(),
                }
            }
            begin = end;
            if begin == terms.len() {
                break;
            }
        }
        done += if count == 0 { left } else { count * vector };
    }
}

/// Some terms of all outputs, from one place of their runs on.
#[derive(Clone, Copy)]
struct Tile<'a, E> {
    rows: Rows<E>,
    terms: &'a [Term],
    input: *const E,
    start: Start<'a, E>,
    out: *mut E,
    layout: Layout,
}

impl<E: Real> Tile<'_, E> {
    /// All outputs of a block of `C` vectors, `R` outputs at a time.
    #[inline(always)]
    unsafe fn outputs<V: Vector<Elem = E>, const R: usize, const C: usize>(self) {
        let mut o = 0;
        while o < self.layout.outputs {
            // SAFETY: outputs below `layout.outputs` have valid weights and output runs.
            unsafe {
                o += match self.layout.outputs - o {
                    left if left >= R => self.some::<V, R, C>(o),
                    // Few outputs at a time leave the multipliers waiting for their sums.
                    left if R > 3 && left >= 3 => self.some::<V, 3, C>(o),
                    _ => self.some::<V, 1, C>(o),
                };
            }
        }
    }

    /// `R` outputs from `first` on, of `C` whole vectors. Returns `R`.
    #[inline(always)]
    unsafe fn some<V: Vector<Elem = E>, const R: usize, const C: usize>(self, first: usize) -> usize {
        let mut sums = [[V::zero(); C]; R];
        // SAFETY: the caller vouches for R outputs of C vectors and for every term.
        unsafe {
            let weights = self.rows.weights.add(first * self.rows.stride);
            let out = self.out.add(first * self.layout.stride);
            match self.start {
                Start::Zero => {}
                Start::Existing => {
                    for r in 0..R {
                        for c in 0..C {
                            sums[r][c] = V::load(out.add(r * self.layout.stride + c * V::LEN));
                        }
                    }
                }
                Start::Bias(bias) => {
                    for r in 0..R {
                        sums[r] = [V::splat(*bias.get_unchecked(first + r)); C];
                    }
                }
            }
            for term in self.terms {
                let weight = weights.add(term.weight as usize);
                let input = self.input.add(term.input as usize);
                // The weights are held and the inputs pass by.
                let mut w = [V::zero(); R];
                for r in 0..R {
                    w[r] = V::splat(*weight.add(r * self.rows.stride));
                }
                for c in 0..C {
                    let x = V::load(input.add(c * V::LEN));
                    for r in 0..R {
                        sums[r][c] = w[r].mul_add(x, sums[r][c]);
                    }
                }
            }
            for r in 0..R {
                for c in 0..C {
                    sums[r][c].store(out.add(r * self.layout.stride + c * V::LEN));
                }
            }
        }
        R
    }

    /// All outputs of the `count` elements that fill no vector.
    #[inline(always)]
    unsafe fn rest<V: Lanes<Elem = E>>(self, count: usize) {
        let mut o = 0;
        while o < self.layout.outputs {
            // SAFETY: outputs below `layout.outputs` have valid weights and output runs.
            unsafe {
                o += if o + 4 <= self.layout.outputs {
                    self.some_of_rest::<V, 4>(o, count)
                } else {
                    self.some_of_rest::<V, 1>(o, count)
                };
            }
        }
    }

    /// `R` outputs from `first` on, of fewer elements than a vector has. Returns `R`.
    #[inline(always)]
    unsafe fn some_of_rest<V: Lanes<Elem = E>, const R: usize>(self, first: usize, count: usize) -> usize {
        let mut sums = [V::zero(); R];
        // SAFETY: the caller vouches for `count` elements of R outputs and of every term.
        unsafe {
            let weights = self.rows.weights.add(first * self.rows.stride);
            let out = self.out.add(first * self.layout.stride);
            for r in 0..R {
                sums[r] = match self.start {
                    Start::Zero => V::zero(),
                    Start::Existing => V::load_first(out.add(r * self.layout.stride), count),
                    Start::Bias(bias) => V::splat(*bias.get_unchecked(first + r)),
                };
            }
            for term in self.terms {
                let weight = weights.add(term.weight as usize);
                let x = V::load_first(self.input.add(term.input as usize), count);
                for r in 0..R {
                    sums[r] = V::splat(*weight.add(r * self.rows.stride)).mul_add(x, sums[r]);
                }
            }
            for r in 0..R {
                sums[r].store_first(out.add(r * self.layout.stride), count);
            }
        }
        R
    }
}
