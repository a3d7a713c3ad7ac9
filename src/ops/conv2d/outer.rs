//! The weight gradient of large convolutions: sums over pixels, of gradients side by side output by output and [`Planes`].
//!
//! Blocking: sixteen outputs with six terms stay in registers; a block's gradients of sixteen outputs stay in the first-level
//! cache while the terms of a unit pass by.
//!
//! Invariant: a weight's sum is one chain of fused multiply-adds per block, in the order of the pixels, added block by
//! block. Blocks follow from the shape; units have weights of their own, whatever the number of threads.
#![allow(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "one constant counter indexes several arrays of registers, and is unrolled"
)]

use std::ops::Range;

use super::Shape;
use super::planes::Planes;
use crate::ops::parallel::{Disjoint, for_each_range};
use crate::ops::scratch::Scratch;
use crate::ops::simd::{Kernel, LANES, Lanes, Real, Vector};

/// Outputs of a panel.
const PANEL: usize = 16;
/// Terms of a group.
const GROUP: usize = 6;
/// Elements of a block: its gradients of a panel take 20 KiB.
const BLOCK: usize = 320;
/// Groups of a unit.
const GROUPS: usize = 12;
/// Panels of a unit: two are worked on together where a register holds one.
const PANELS: usize = 2;

/// Adds `sum over pixels and batch of gradient * input under each tap` to the weight gradient.
pub(super) fn weight_gradient<E: Real>(shape: Shape, input: &[E], gradient: &[E], weights: &mut [E]) {
    let planes = Planes::forward(shape);
    let [rows, columns] = [&planes.rows, &planes.columns].map(|axis| &axis.targets[0].taps);
    let mut offsets = Vec::new();
    for channel in 0..shape.inputs {
        for &row in rows {
            for &column in columns {
                offsets.push(channel * planes.channel() + planes.offset(row, column));
            }
        }
    }
    let terms = offsets.len();
    if terms == 0 || shape.outputs == 0 {
        return;
    }
    // What is missing in the last group is computed from any input, and dropped.
    offsets.resize(terms.next_multiple_of(GROUP), 0);
    let run = shape.out_width() * shape.batch;
    let panels = shape.outputs.div_ceil(PANEL);
    let mut sums = Scratch::zeros(panels * offsets.len() * PANEL);
    let cut = Cut { rows: (BLOCK / run.max(1)).max(1), pieces: run.div_ceil(BLOCK).max(1), run };
    for positions in planes.slabs(cut.rows) {
        let copy = planes.copy(input, positions.clone());
        let turned = turn(shape, gradient, positions.clone(), cut);
        let sums = Disjoint::new(&mut sums);
        let shares = [offsets.len().div_ceil(GROUP * GROUPS), panels.div_ceil(PANELS)];
        let work = positions.len() * run * offsets.len() * panels * PANEL;
        for_each_range(shares[0] * shares[1], work, |units| {
            for unit in units {
                let (first, panel) = (unit % shares[0] * GROUP * GROUPS, unit / shares[0] * PANELS);
                E::dispatch(Unit {
                    copy: &copy,
                    row: planes.row(),
                    turned: &turned,
                    positions: positions.len(),
                    cut,
                    offsets: &offsets,
                    terms: first..offsets.len().min(first + GROUP * GROUPS),
                    panels: panel..panels.min(panel + PANELS),
                    all_panels: panels,
                    sums,
                });
            }
        });
    }
    let weights = Disjoint::new(weights);
    for_each_range(panels, shape.outputs * terms, |range| {
        for panel in range {
            let sums = &sums[panel * offsets.len() * PANEL..][..terms * PANEL];
            for output in panel * PANEL..shape.outputs.min((panel + 1) * PANEL) {
                // SAFETY: `at` checks the output's weights, which only this part writes.
                let to = unsafe { std::slice::from_raw_parts_mut(weights.at(output * terms, terms), terms) };
                for (to, sums) in to.iter_mut().zip(sums.chunks_exact(PANEL)) {
                    *to += sums[output % PANEL];
                }
            }
        }
    });
}

/// How rows are cut into blocks: several rows, or pieces of one.
#[derive(Clone, Copy)]
struct Cut {
    rows: usize,
    pieces: usize,
    /// Elements of a row.
    run: usize,
}

/// Some rows, and which elements of each.
struct Block {
    rows: Range<usize>,
    elements: Range<usize>,
    /// Elements of the slab's rows before it.
    before: usize,
}

impl Cut {
    /// Blocks of some rows.
    fn count(self, rows: usize) -> usize {
        rows.div_ceil(self.rows) * self.pieces
    }

    fn block(self, index: usize, rows: usize) -> Block {
        let (first, piece) = (index / self.pieces * self.rows, index % self.pieces);
        let begin = piece * self.run / self.pieces;
        Block {
            rows: first..rows.min(first + self.rows),
            elements: begin..(piece + 1) * self.run / self.pieces,
            before: first * self.run + begin,
        }
    }
}

/// The gradients of some rows: block by block, panel by panel, element by element, sixteen outputs side by side.
fn turn<E: Real>(shape: Shape, gradient: &[E], positions: Range<usize>, cut: Cut) -> Scratch<E> {
    let panels = shape.outputs.div_ceil(PANEL);
    let rows = positions.len();
    let map = shape.out_height() * cut.run;
    let mut turned = Scratch::of(rows * cut.run * panels * PANEL);
    let work = turned.len();
    let to = Disjoint::new(&mut turned);
    for_each_range(cut.count(rows) * panels, work, |units| {
        for unit in units {
            let (block, panel) = (cut.block(unit / panels, rows), unit % panels);
            let len = block.elements.len();
            let size = block.rows.len() * len * PANEL;
            // SAFETY: `at` checks the panel, which only this part writes.
            let to = unsafe {
                std::slice::from_raw_parts_mut(
                    to.at(block.before * panels * PANEL + panel * size, size),
                    size,
                )
            };
            for (row, to) in block.rows.clone().zip(to.chunks_exact_mut((len * PANEL).max(1))) {
                let from = (positions.start + row) * cut.run + block.elements.start;
                let outputs = panel * PANEL..shape.outputs.min((panel + 1) * PANEL);
                for (place, to) in to.chunks_mut(PANEL * PANEL).enumerate() {
                    // Square by square: outputs stand far from each other, so each line of memory is read at once.
                    let mut square = [[E::ZERO; PANEL]; PANEL];
                    let count = to.len() / PANEL;
                    for (line, output) in square.iter_mut().zip(outputs.clone()) {
                        let from = output * map + from + place * PANEL;
                        line[..count].copy_from_slice(&gradient[from..from + count]);
                    }
                    for (i, to) in to.chunks_exact_mut(PANEL).enumerate() {
                        for (to, line) in to.iter_mut().zip(&square) {
                            *to = line[i];
                        }
                    }
                }
            }
        }
    });
    turned
}

/// Some terms of some outputs, over all blocks of a slab.
struct Unit<'a, 'b, E> {
    copy: &'a [E],
    /// Elements between rows of the copy.
    row: usize,
    turned: &'a [E],
    positions: usize,
    cut: Cut,
    offsets: &'a [usize],
    terms: Range<usize>,
    panels: Range<usize>,
    all_panels: usize,
    sums: Disjoint<'b, E>,
}

impl<E: Real> Kernel<E> for Unit<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let wide = <V::Wide as Vector>::LEN > LANES;
        let size = self.offsets.len() * PANEL;
        let widest = self.offsets.iter().max().copied().unwrap_or(0);
        assert!(
            (self.positions - 1) * self.row + widest + self.cut.run <= self.copy.len(),
            "a convolution reads outside of its copy"
        );
        for index in 0..self.cut.count(self.positions) {
            let block = self.cut.block(index, self.positions);
            let len = block.rows.len() * block.elements.len() * PANEL;
            let turned = &self.turned[block.before * self.all_panels * PANEL..][..self.all_panels * len];
            let mut panel = self.panels.start;
            while panel < self.panels.end {
                let together = if wide && panel + 2 <= self.panels.end { 2 } else { 1 };
                for term in self.terms.clone().step_by(GROUP) {
                    let at = panel * size + term * PANEL;
                    let sums = self.sums.at(at, (together - 1) * size + GROUP * PANEL);
                    // SAFETY: the check above keeps every term of every element within the copy; `turned` has `len` elements per
                    // panel; `at` checked the sums, which only this unit touches.
                    unsafe {
                        let tile = Tile {
                            gradient: turned.as_ptr().add(panel * len),
                            input: self.copy.as_ptr().add(block.rows.start * self.row + block.elements.start),
                            offsets: self.offsets.as_ptr().add(term),
                            rows: block.rows.len(),
                            run: block.elements.len(),
                            row: self.row,
                            sums,
                        };
                        if together == 2 {
                            tile.run::<V::Wide>(len, size);
                        } else {
                            tile.run::<V>(LANES, LANES);
                        }
                    }
                }
                panel += together;
            }
        }
    }
}

/// A group of terms of one or two panels in one block.
#[derive(Clone, Copy)]
struct Tile<E> {
    gradient: *const E,
    input: *const E,
    offsets: *const usize,
    rows: usize,
    run: usize,
    /// Elements between rows of the input.
    row: usize,
    sums: *mut E,
}

impl<E: Real> Tile<E> {
    /// Two vectors of outputs: the distances between them in the gradients and the sums.
    #[inline(always)]
    unsafe fn run<V: Vector<Elem = E>>(self, second: usize, second_sum: usize) {
        let mut sums = [[V::zero(); 2]; GROUP];
        // SAFETY: the caller vouches for every term, element and sum.
        unsafe {
            let mut gradient = self.gradient;
            for row in 0..self.rows {
                let mut inputs = [self.input; GROUP];
                for t in 0..GROUP {
                    inputs[t] = self.input.add(row * self.row + *self.offsets.add(t));
                }
                for i in 0..self.run {
                    let g = [V::load(gradient), V::load(gradient.add(second))];
                    for t in 0..GROUP {
                        let x = V::splat(*inputs[t].add(i));
                        for c in 0..2 {
                            sums[t][c] = x.mul_add(g[c], sums[t][c]);
                        }
                    }
                    gradient = gradient.add(PANEL);
                }
            }
            // A product with one is the sum, rounded once.
            let one = V::splat(<E as Real>::ONE);
            for t in 0..GROUP {
                for c in 0..2 {
                    let to = self.sums.add(t * PANEL + c * second_sum);
                    one.mul_add(sums[t][c], V::load(to)).store(to);
                }
            }
        }
    }
}
