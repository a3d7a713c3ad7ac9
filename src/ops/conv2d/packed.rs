//! Large convolutions, and the gradients of their inputs: sums over terms, of packed weights and [`Planes`].
//!
//! Blocking: six outputs of a few vectors stay in registers; the inputs of one block of terms stay in the first-level cache while
//! all outputs of a unit pass by, whose weights are packed in that order and stay in the second-level cache.
//!
//! Invariant: each output is one chain of fused multiply-adds over (channel, kernel row, kernel column), whatever the
//! blocks, the vectors and the threads.
#![allow(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "one constant counter indexes several arrays of registers, and is unrolled"
)]

use std::ops::Range;

use super::Shape;
use super::planes::{Planes, Tap, Targets};
use crate::ops::parallel::{Disjoint, for_each_range};
use crate::ops::scratch::Scratch;
use crate::ops::simd::{Kernel, LANES, Lanes, Real, Vector};

/// Terms of a block: their inputs, up to 64 bytes each, take about half of a first-level cache.
const TERMS: usize = 288;
/// Outputs of a unit.
const OUTPUTS: usize = 128;
/// Elements of each output in a unit, at most.
const ELEMENTS: usize = 256;

/// What becomes of the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finish {
    /// They are the output.
    Write,
    /// They are added to what is there.
    Add,
}

/// Writes every output.
pub(super) fn convolve<E: Real>(shape: Shape, weight: &[E], input: &[E], out: Disjoint<'_, E>) {
    let taps = shape.kernel * shape.kernel;
    let weights = Weights { values: weight, output: shape.inputs * taps, channel: taps };
    let target = Target {
        outputs: shape.outputs,
        height: shape.out_height(),
        width: shape.out_width(),
        finish: Finish::Write,
    };
    every_target(&Planes::forward(shape), shape.kernel, weights, input, target, out);
}

/// Adds to the gradient of the input.
pub(super) fn input_gradient<E: Real>(shape: Shape, weight: &[E], gradient: &[E], x_gradient: &mut [E]) {
    let taps = shape.kernel * shape.kernel;
    let weights = Weights { values: weight, output: taps, channel: shape.inputs * taps };
    let target =
        Target { outputs: shape.inputs, height: shape.height, width: shape.width, finish: Finish::Add };
    let out = Disjoint::new(x_gradient);
    every_target(&Planes::backward(shape), shape.kernel, weights, gradient, target, out);
}

/// Weights as they are given: the distances between outputs and between channels; taps stand together.
#[derive(Clone, Copy)]
struct Weights<'a, E> {
    values: &'a [E],
    output: usize,
    channel: usize,
}

/// The image that is computed.
#[derive(Clone, Copy)]
struct Target {
    outputs: usize,
    height: usize,
    width: usize,
    finish: Finish,
}

fn every_target<E: Real>(
    planes: &Planes,
    kernel: usize,
    weights: Weights<'_, E>,
    image: &[E],
    target: Target,
    out: Disjoint<'_, E>,
) {
    let mut sweeps = Vec::new();
    for rows in &planes.rows.targets {
        for columns in &planes.columns.targets {
            sweeps.push(Sweep::new(planes, rows, columns, kernel, weights, target));
        }
    }
    for positions in planes.slabs(1) {
        let copy = planes.copy(image, positions.clone());
        for sweep in &sweeps {
            sweep.run(&copy, positions.clone(), out);
        }
    }
}

/// Outputs whose weights are packed together.
#[derive(Clone, Copy)]
struct Group {
    first: usize,
    count: usize,
}

/// Outputs from `begin` on in groups of six, but for the last few.
fn groups(outputs: usize) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut first = 0;
    while first < outputs {
        let count = match outputs - first {
            4 | 5 | 8 => 4,
            6.. => 6,
            _ => 1,
        };
        groups.push(Group { first, count });
        first += count;
    }
    groups
}

/// All targets with the same taps.
struct Sweep<'a, E: Real> {
    planes: &'a Planes,
    rows: &'a Targets,
    columns: &'a Targets,
    target: Target,
    groups: Vec<Group>,
    /// Where each term reads.
    offsets: Vec<u32>,
    /// Terms of a block: whole channels.
    block: usize,
    /// Block by block of terms, group by group, the weights of a group's outputs side by side.
    weights: Scratch<E>,
}

impl<'a, E: Real> Sweep<'a, E> {
    fn new(
        planes: &'a Planes,
        rows: &'a Targets,
        columns: &'a Targets,
        kernel: usize,
        weights: Weights<'_, E>,
        target: Target,
    ) -> Self {
        let taps: Vec<(Tap, Tap)> =
            rows.taps.iter().flat_map(|&row| columns.taps.iter().map(move |&column| (row, column))).collect();
        let mut offsets = Vec::with_capacity(planes.channels * taps.len());
        for channel in 0..planes.channels {
            for &(row, column) in &taps {
                let offset = channel * planes.channel() + planes.offset(row, column);
                assert!(
                    u32::try_from(offset).is_ok(),
                    "a row of a convolution's input exceeds 2^32 elements"
                );
                offsets.push(offset as u32);
            }
        }
        let taps: Vec<usize> = taps.iter().map(|(row, column)| row.weight * kernel + column.weight).collect();
        let block = (TERMS / taps.len()).max(1) * taps.len();
        let groups = groups(target.outputs);
        let packed = pack(weights, &taps, planes.channels, &groups, block);
        Sweep { planes, rows, columns, target, groups, offsets, block, weights: packed }
    }

    /// The targets at some positions, from the copy of what they read.
    fn run(&self, copy: &[E], positions: Range<usize>, out: Disjoint<'_, E>) {
        let first = positions.start.max(self.rows.positions.start);
        let end = positions.end.min(self.rows.positions.end);
        let run = self.columns.positions.len() * self.planes.batch;
        if first >= end || run == 0 {
            return;
        }
        // A unit is a piece of a row, or several rows.
        let pieces = run.div_ceil(ELEMENTS);
        let piece = run.div_ceil(pieces).next_multiple_of(WIDE);
        let rows = (ELEMENTS / run).max(1);
        let bands = (end - first).div_ceil(rows);
        let parts = self.target.outputs.div_ceil(OUTPUTS);
        let work = (end - first) * run * self.target.outputs * self.offsets.len();
        for_each_range(bands * pieces * parts, work, |units| {
            for unit in units {
                let (part, band, piece_of_band) =
                    (unit / pieces / bands, unit / pieces % bands, unit % pieces);
                let share = |part| part * self.groups.len() / parts;
                let from = first + band * rows;
                let begin = (piece_of_band * piece).min(run);
                E::dispatch(Unit {
                    sweep: self,
                    copy,
                    slab: positions.start,
                    groups: share(part)..share(part + 1),
                    rows: from..end.min(from + rows),
                    elements: begin..run.min(begin + piece),
                    out,
                });
            }
        });
    }
}

/// The widest vector, which pieces of rows are a multiple of.
const WIDE: usize = super::planes::WIDEST;

fn pack<E: Real>(
    weights: Weights<'_, E>,
    taps: &[usize],
    channels: usize,
    groups: &[Group],
    block: usize,
) -> Scratch<E> {
    let terms = channels * taps.len();
    let outputs = groups.last().map_or(0, |group| group.first + group.count);
    let mut packed = Scratch::of(terms * outputs);
    let to = Disjoint::new(&mut packed);
    for_each_range(groups.len(), terms * outputs, |range| {
        for &Group { first, count } in &groups[range] {
            for begin in (0..terms).step_by(block) {
                let len = block.min(terms - begin);
                let panel = to.at(begin * outputs + first * len, len * count);
                // SAFETY: `at` checked the panel; each is written by one part.
                let panel = unsafe { std::slice::from_raw_parts_mut(panel, len * count) };
                for (term, values) in panel.chunks_exact_mut(count).enumerate() {
                    let (channel, tap) = ((begin + term) / taps.len(), (begin + term) % taps.len());
                    let at = first * weights.output + channel * weights.channel + taps[tap];
                    for (output, value) in values.iter_mut().enumerate() {
                        *value = weights.values[at + output * weights.output];
                    }
                }
            }
        }
    });
    packed
}

/// Some outputs at some places.
struct Unit<'a, 'b, E: Real> {
    sweep: &'a Sweep<'a, E>,
    copy: &'a [E],
    /// The position of the copy's first row.
    slab: usize,
    groups: Range<usize>,
    /// Positions of rows, and elements of each.
    rows: Range<usize>,
    elements: Range<usize>,
    out: Disjoint<'b, E>,
}

impl<E: Real> Kernel<E> for Unit<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        if <V::Wide as Vector>::LEN > LANES {
            self.compute::<V::Wide, 4>();
        } else {
            self.compute::<V, 2>();
        }
    }
}

/// A vector of one output: where it reads, and where it goes.
#[derive(Clone, Copy)]
struct Slot {
    input: usize,
    /// The first target in an output's map, and the example it is of.
    target: usize,
    example: usize,
    /// Targets; the rest of the vector is dropped.
    count: usize,
}

impl<E: Real> Unit<'_, '_, E> {
    #[inline(always)]
    fn compute<V: Vector<Elem = E>, const C: usize>(self) {
        let Sweep { planes, rows, columns, groups, offsets, block, .. } = self.sweep;
        let groups = &groups[self.groups.clone()];
        let (Some(head), Some(last)) = (groups.first(), groups.last()) else { return };
        let (begin, outputs) = (head.first, last.first + last.count - head.first);
        let all = self.sweep.target.outputs;
        let mut slots = Vec::with_capacity(self.rows.len() * self.elements.len().div_ceil(V::LEN));
        let start = (columns.positions.start + columns.lead) * planes.batch;
        for row in self.rows.clone() {
            let from = (row - self.slab + rows.lead) * planes.row() + start;
            let y = rows.first + (row - rows.positions.start) * rows.step;
            let line = (y * self.sweep.target.width + columns.first) * planes.batch;
            for element in self.elements.clone().step_by(V::LEN) {
                let count = V::LEN.min(self.elements.end - element);
                let (pixel, example) = (element / planes.batch, element % planes.batch);
                let target = line + pixel * columns.step * planes.batch + example;
                slots.push(Slot { input: from + element, target, example, count });
            }
        }
        // Slot by slot, output by output.
        let mut sums = Scratch::<E>::of(slots.len() * outputs * V::LEN);
        let stride = outputs * V::LEN;
        let widest = offsets.iter().max().map_or(0, |&offset| offset as usize);
        let furthest = slots.iter().map(|slot| slot.input).max().unwrap_or(0);
        assert!(furthest + widest + V::LEN <= self.copy.len(), "a convolution reads outside of its copy");
        let mut term = 0;
        while term < offsets.len() {
            let terms = &offsets[term..offsets.len().min(term + block)];
            let weights = &self.sweep.weights[term * all..(term + terms.len()) * all];
            let mut slot = 0;
            while slot < slots.len() {
                let together = if slot + C <= slots.len() { C } else { 1 };
                for group in groups {
                    let panel = &weights[group.first * terms.len()..][..group.count * terms.len()];
                    let at = slot * stride + (group.first - begin) * V::LEN;
                    // SAFETY: the inputs of every slot and term were checked above; `panel` has `count` weights per term; sums
                    // of all slots and outputs are in `sums`.
                    unsafe {
                        let tile = Tile {
                            panel: panel.as_ptr(),
                            terms,
                            input: self.copy.as_ptr(),
                            slots: slots.as_ptr().add(slot),
                            sums: sums.as_mut_ptr().add(at),
                            stride,
                            first: term == 0,
                        };
                        match (group.count, together > 1) {
                            (6, true) => tile.run::<V, 6, C>(),
                            (6, false) => tile.run::<V, 6, 1>(),
                            (4, true) => tile.run::<V, 4, C>(),
                            (4, false) => tile.run::<V, 4, 1>(),
                            (_, true) => tile.run::<V, 1, C>(),
                            (_, false) => tile.run::<V, 1, 1>(),
                        }
                    }
                }
                slot += together;
            }
            term += terms.len();
        }
        let target = self.sweep.target;
        let map = target.height * target.width * planes.batch;
        for output in 0..outputs {
            for (slot, place) in slots.iter().enumerate() {
                let sums = &sums[slot * stride + output * V::LEN..][..V::LEN];
                self.finish::<V>((begin + output) * map + place.target, place, sums);
            }
        }
    }

    /// Puts the sums of one slot where they belong, from `first` on.
    #[inline(always)]
    fn finish<V: Vector<Elem = E>>(&self, first: usize, slot: &Slot, sums: &[E]) {
        let (batch, step) = (self.sweep.planes.batch, self.sweep.columns.step);
        let add = self.sweep.target.finish == Finish::Add;
        // Targets that stand together, or single pixels.
        let (mut done, mut place, mut example) = (0, first, slot.example);
        while done < slot.count {
            let left = slot.count - done;
            let count = if step == 1 { left } else { left.min(batch - example) };
            let out = self.out.at(place, count);
            // SAFETY: `at` checked the place, and `sums` holds a whole vector; no two units share a target, and the output
            // overlaps nothing.
            unsafe {
                if count == V::LEN {
                    let mut value = V::load(sums.as_ptr());
                    if add {
                        // A product with one is the sum, rounded once.
                        value = V::splat(<E as Real>::ONE).mul_add(value, V::load(out));
                    }
                    value.store(out);
                } else {
                    for i in 0..count {
                        let value = *sums.get_unchecked(done + i);
                        *out.add(i) = if add { *out.add(i) + value } else { value };
                    }
                }
            }
            done += count;
            place += count + (step - 1) * batch;
            example = 0;
        }
    }
}

/// A block of terms of some outputs in some slots.
#[derive(Clone, Copy)]
struct Tile<'a, E> {
    panel: *const E,
    terms: &'a [u32],
    input: *const E,
    slots: *const Slot,
    sums: *mut E,
    /// Between slots.
    stride: usize,
    /// Whether the sums begin here.
    first: bool,
}

impl<E: Real> Tile<'_, E> {
    /// `R` outputs in `C` slots.
    #[inline(always)]
    unsafe fn run<V: Vector<Elem = E>, const R: usize, const C: usize>(self) {
        let mut sums = [[V::zero(); C]; R];
        // SAFETY: the caller vouches for R outputs of C slots and for every term.
        unsafe {
            let mut inputs = [self.input; C];
            for c in 0..C {
                inputs[c] = self.input.add((*self.slots.add(c)).input);
            }
            if !self.first {
                for r in 0..R {
                    for c in 0..C {
                        sums[r][c] = V::load(self.sums.add(c * self.stride + r * V::LEN));
                    }
                }
            }
            let mut panel = self.panel;
            for &term in self.terms {
                let mut x = [V::zero(); C];
                for c in 0..C {
                    x[c] = V::load(inputs[c].add(term as usize));
                }
                for r in 0..R {
                    let weight = V::splat(*panel.add(r));
                    for c in 0..C {
                        sums[r][c] = weight.mul_add(x[c], sums[r][c]);
                    }
                }
                panel = panel.add(R);
            }
            for r in 0..R {
                for c in 0..C {
                    sums[r][c].store(self.sums.add(c * self.stride + r * V::LEN));
                }
            }
        }
    }
}
