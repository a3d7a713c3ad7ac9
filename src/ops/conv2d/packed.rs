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
use super::planes::{Planes, Tap, Targets, WIDEST};
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
    let groups = groups(target.outputs);
    let mut sweeps = Vec::new();
    for rows in &planes.rows.targets {
        let pack = |columns| Packed::new(planes, rows, columns, kernel, weights, &groups);
        let columns = planes.columns.targets.iter().map(pack).collect();
        sweeps.push(Sweep { planes, rows, columns, target, groups: &groups });
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

/// The terms and weights of all targets with the same taps.
struct Packed<'a, E: Real> {
    columns: &'a Targets,
    /// Where each term reads.
    offsets: Vec<u32>,
    /// Terms of a block: whole channels.
    block: usize,
    /// Block by block of terms, group by group, the weights of a group's outputs side by side.
    weights: Scratch<E>,
}

impl<'a, E: Real> Packed<'a, E> {
    fn new(
        planes: &Planes,
        rows: &Targets,
        columns: &'a Targets,
        kernel: usize,
        weights: Weights<'_, E>,
        groups: &[Group],
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
        let weights = pack(weights, &taps, planes.channels, groups, block);
        Packed { columns, offsets, block, weights }
    }
}

/// All targets in rows with the same taps.
struct Sweep<'a, E: Real> {
    planes: &'a Planes,
    rows: &'a Targets,
    columns: Vec<Packed<'a, E>>,
    target: Target,
    groups: &'a [Group],
}

impl<E: Real> Sweep<'_, E> {
    /// The targets at some positions, from the copy of what they read.
    fn run(&self, copy: &[E], positions: Range<usize>, out: Disjoint<'_, E>) {
        let first = positions.start.max(self.rows.positions.start);
        let end = positions.end.min(self.rows.positions.end);
        let run = self.planes.columns.positions * self.planes.batch;
        if first >= end || run == 0 || self.columns.is_empty() {
            return;
        }
        // A unit is a piece of a row, or several rows.
        let most = ELEMENTS / self.columns.len();
        let piece = run.div_ceil(run.div_ceil(most.max(1))).next_multiple_of(WIDEST);
        let pieces = run.div_ceil(piece);
        let rows = (most / run).max(1);
        let bands = (end - first).div_ceil(rows);
        let parts = self.target.outputs.div_ceil(OUTPUTS);
        let terms: usize = self.columns.iter().map(|packed| packed.offsets.len()).sum();
        let work = (end - first) * run * self.target.outputs * terms;
        for_each_range(bands * pieces * parts, work, |units| {
            for unit in units {
                let (part, band, piece_of_band) =
                    (unit / pieces / bands, unit / pieces % bands, unit % pieces);
                let share = |part| part * self.groups.len() / parts;
                let from = first + band * rows;
                let begin = piece_of_band * piece;
                E::dispatch(Unit {
                    sweep: self,
                    copy,
                    slab: positions.start,
                    groups: &self.groups[share(part)..share(part + 1)],
                    rows: from..end.min(from + rows),
                    elements: begin..run.min(begin + piece),
                    out,
                });
            }
        });
    }
}

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
    groups: &'a [Group],
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
        let (Some(head), Some(last)) = (self.groups.first(), self.groups.last()) else { return };
        let (first, outputs) = (head.first, last.first + last.count - head.first);
        let stride = outputs * V::LEN;
        let columns = &self.sweep.columns;
        let mut slots = Vec::new();
        let mut ends = Vec::with_capacity(columns.len());
        for packed in columns {
            self.push_slots::<V>(packed.columns, &mut slots);
            ends.push(slots.len());
        }
        // Slot by slot, output by output.
        let mut sums = Scratch::<E>::of(slots.len() * stride);
        let mut begin = 0;
        for (packed, &end) in columns.iter().zip(&ends) {
            let sums = &mut sums[begin * stride..end * stride];
            self.sum::<V, C>(packed, &slots[begin..end], sums, outputs);
            begin = end;
        }
        // Output by output, so that what stands together is written together.
        let Target { height, width, .. } = self.sweep.target;
        let map = height * width * self.sweep.planes.batch;
        for output in 0..outputs {
            for (slot, place) in slots.iter().enumerate() {
                let sums = &sums[slot * stride + output * V::LEN..][..V::LEN];
                self.finish::<V>((first + output) * map + place.target, place, sums);
            }
        }
    }

    /// Adds the slots of some targets.
    #[inline(always)]
    fn push_slots<V: Vector<Elem = E>>(&self, columns: &Targets, slots: &mut Vec<Slot>) {
        let Sweep { planes, rows, target, .. } = self.sweep;
        let batch = planes.batch;
        let begin = self.elements.start.max(columns.positions.start * batch);
        let end = self.elements.end.min(columns.positions.end * batch);
        for row in self.rows.clone() {
            let from = (row - self.slab + rows.lead) * planes.row() + columns.lead * batch;
            let y = rows.first + (row - rows.positions.start) * rows.step;
            let line = (y * target.width + columns.first) * batch;
            let mut element = begin;
            while element < end {
                let to = element - columns.positions.start * batch;
                let (pixel, example) = (to / batch, to % batch);
                slots.push(Slot {
                    input: from + element,
                    target: line + pixel * columns.step * batch + example,
                    example,
                    count: V::LEN.min(end - element),
                });
                element += V::LEN;
            }
        }
    }

    /// The sums of some slots.
    #[inline(always)]
    fn sum<V: Vector<Elem = E>, const C: usize>(
        &self,
        packed: &Packed<'_, E>,
        slots: &[Slot],
        sums: &mut [E],
        outputs: usize,
    ) {
        let stride = outputs * V::LEN;
        let Packed { offsets, block, .. } = packed;
        let all = self.sweep.target.outputs;
        let first = self.groups[0].first;
        let mut furthest = 0;
        for slot in slots {
            furthest = furthest.max(slot.input);
        }
        let mut widest = 0;
        for &offset in offsets {
            widest = widest.max(offset as usize);
        }
        assert!(furthest + widest + V::LEN <= self.copy.len(), "a convolution reads outside of its copy");
        let mut term = 0;
        while term < offsets.len() {
            let terms = &offsets[term..offsets.len().min(term + block)];
            let weights = &packed.weights[term * all..(term + terms.len()) * all];
            let mut slot = 0;
            while slot < slots.len() {
                let together = if slot + C <= slots.len() { C } else { 1 };
                for group in self.groups {
                    let panel = &weights[group.first * terms.len()..][..group.count * terms.len()];
                    let at = slot * stride + (group.first - first) * V::LEN;
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
    }

    /// Puts the sums of one slot where they belong, from `first` on.
    #[inline(always)]
    fn finish<V: Vector<Elem = E>>(&self, first: usize, slot: &Slot, sums: &[E]) {
        let (batch, step) = (self.sweep.planes.batch, self.sweep.rows.step);
        let add = self.sweep.target.finish == Finish::Add;
        if slot.count == V::LEN && (step == 1 || slot.example + V::LEN <= batch) {
            let out = self.out.at(first, V::LEN);
            // SAFETY: `at` checked the place, and `sums` holds a whole vector; no two units share a target, and the output
            // overlaps nothing.
            unsafe {
                let mut value = V::load(sums.as_ptr());
                if add {
                    // A product with one is the sum, rounded once.
                    value = V::splat(<E as Real>::ONE).mul_add(value, V::load(out));
                }
                value.store(out);
            }
            return;
        }
        let (last_pixel, last_example) =
            ((slot.example + slot.count - 1) / batch, (slot.example + slot.count - 1) % batch);
        let span = last_pixel * step * batch + last_example - slot.example + 1;
        let out = self.out.at(first, span);
        // Elements from one example to the next pixel's first.
        let skip = (step - 1) * batch;
        let (mut place, mut left) = (0, batch - slot.example);
        for &sum in &sums[..slot.count] {
            // SAFETY: `at` checked all places up to the last one; as above.
            unsafe { *out.add(place) = if add { *out.add(place) + sum } else { sum } };
            (place, left) = if left == 1 { (place + 1 + skip, batch) } else { (place + 1, left - 1) };
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
