//! Copies of an image in which every tap of a convolution reads neighbouring elements, whatever the stride, and none falls
//! outside.
//!
//! Along an axis the padded image is dealt out to `phases`: position `i` of phase `a` is the pixel `i * step + a - padding`,
//! zero outside of the image. Rows of the copy hold all channels, `(position, channel, phase of the row, phase of the
//! column, columns times batch)`, so that what a block of outputs reads stands together.
//!
//! Invariant: a copy only depends on the image; pixels outside are zeros, and the rest of a row may be read but says nothing.
#![allow(unsafe_code)]

use std::ops::Range;

use super::Shape;
use crate::ops::parallel::{Disjoint, for_each_range};
use crate::ops::scratch::Scratch;
use crate::ops::simd::Real;

/// The widest vector: what may be read after a row.
pub(super) const WIDEST: usize = 16;
/// Elements of a copy; more rows than fit are copied slab by slab.
const SLAB: usize = 1 << 21;

/// A tap along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tap {
    /// Positions after the first that is read.
    pub(super) position: usize,
    /// The phase it reads.
    pub(super) phase: usize,
    /// Its place in the kernel.
    pub(super) weight: usize,
}

/// Targets along one axis that have the same taps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Targets {
    /// Where they stand on the axis of positions.
    pub(super) positions: Range<usize>,
    /// Positions between a target's own and the first that is read.
    pub(super) lead: usize,
    /// What is read, in the order of the sum.
    pub(super) taps: Vec<Tap>,
    /// The first target, and the distance to the next.
    pub(super) first: usize,
    pub(super) step: usize,
}

/// How one axis of an image is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    /// Pixels of the image.
    size: usize,
    /// Pixels between positions.
    step: usize,
    padding: usize,
    pub(super) phases: usize,
    /// Positions that targets have.
    pub(super) positions: usize,
    /// Positions that are read beyond them.
    pub(super) reach: usize,
    pub(super) targets: Vec<Targets>,
}

impl Axis {
    /// Reading inputs for outputs.
    pub(super) fn forward(size: usize, kernel: usize, stride: usize) -> Axis {
        let positions = size.div_ceil(stride);
        let tap = |weight| Tap { position: weight / stride, phase: weight % stride, weight };
        let taps = (0..kernel).map(tap).collect();
        Axis {
            size,
            step: stride,
            padding: (kernel - 1) / 2,
            phases: stride.min(kernel),
            positions,
            reach: (kernel - 1) / stride,
            targets: vec![Targets { positions: 0..positions, lead: 0, taps, first: 0, step: 1 }],
        }
    }

    /// Reading the gradients of outputs for those of inputs: `stride` kinds of inputs, each with its own taps.
    pub(super) fn backward(size: usize, kernel: usize, stride: usize) -> Axis {
        let (padding, reach) = ((kernel - 1) / 2, (kernel - 1) / stride);
        let mut targets = Vec::new();
        for phase in 0..stride.min(kernel) {
            // Input `i * stride + phase - padding` was read by output `i - j` with weight `phase + j * stride`.
            let count = (kernel - phase).div_ceil(stride);
            let taps = (0..count).rev().map(|j| Tap {
                position: count - 1 - j,
                phase: 0,
                weight: phase + j * stride,
            });
            let begin = padding.saturating_sub(phase).div_ceil(stride);
            let end = (size + padding).saturating_sub(phase).div_ceil(stride);
            if begin < end {
                targets.push(Targets {
                    positions: begin..end,
                    lead: reach + 1 - count,
                    taps: taps.collect(),
                    first: begin * stride + phase - padding,
                    step: stride,
                });
            }
        }
        Axis {
            size: size.div_ceil(stride),
            step: 1,
            padding: reach,
            phases: 1,
            positions: (size + padding).div_ceil(stride),
            reach,
            targets,
        }
    }
}

/// How an image is copied.
#[derive(Clone, Debug)]
pub(super) struct Planes {
    pub(super) rows: Axis,
    pub(super) columns: Axis,
    pub(super) channels: usize,
    pub(super) batch: usize,
    /// Elements of one row of one plane.
    pub(super) pitch: usize,
}

impl Planes {
    pub(super) fn new(rows: Axis, columns: Axis, channels: usize, batch: usize) -> Planes {
        let read = (columns.positions + columns.reach) * batch + WIDEST - 1;
        // An odd number of cache lines, so that neighbouring planes do not fall into the same places of a cache.
        let pitch = (read.div_ceil(WIDEST) | 1) * WIDEST;
        Planes { rows, columns, channels, batch, pitch }
    }

    /// Copies of the inputs for outputs.
    pub(super) fn forward(shape: Shape) -> Planes {
        let Shape { inputs, kernel, stride, height, width, batch, .. } = shape;
        let (rows, columns) = (Axis::forward(height, kernel, stride), Axis::forward(width, kernel, stride));
        Planes::new(rows, columns, inputs, batch)
    }

    /// Copies of the gradients of outputs for those of inputs.
    pub(super) fn backward(shape: Shape) -> Planes {
        let Shape { outputs, kernel, stride, height, width, batch, .. } = shape;
        let (rows, columns) = (Axis::backward(height, kernel, stride), Axis::backward(width, kernel, stride));
        Planes::new(rows, columns, outputs, batch)
    }

    /// Elements between channels.
    pub(super) fn channel(&self) -> usize {
        self.rows.phases * self.columns.phases * self.pitch
    }

    /// Elements between rows.
    pub(super) fn row(&self) -> usize {
        self.channels * self.channel()
    }

    /// Where a tap reads, from where its target's first tap does.
    pub(super) fn offset(&self, row: Tap, column: Tap) -> usize {
        row.position * self.row()
            + (row.phase * self.columns.phases + column.phase) * self.pitch
            + column.position * self.batch
    }

    /// Ranges of positions whose copies are made together, of a multiple of `together` positions but for the last.
    pub(super) fn slabs(&self, together: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let positions = self.rows.positions;
        let most = (SLAB / self.row().max(1)).saturating_sub(self.rows.reach).max(1);
        let slabs = positions.div_ceil(most).max(1);
        let step = positions.div_ceil(slabs).next_multiple_of(together.max(1)).max(1);
        (0..positions).step_by(step).map(move |first| first..positions.min(first + step))
    }

    /// Copies what the targets of some positions read.
    pub(super) fn copy<E: Real>(&self, image: &[E], positions: Range<usize>) -> Scratch<E> {
        let rows = positions.len() + self.rows.reach;
        let mut copy = Scratch::of(rows * self.row());
        let work = copy.len();
        let to = Disjoint::new(&mut copy);
        for_each_range(rows * self.channels, work, |lines| {
            for line in lines {
                let (row, channel) = (line / self.channels, line % self.channels);
                let len = self.channel();
                // SAFETY: `at` checks that the planes of this row and channel are within the copy; each is written once.
                let planes = unsafe { std::slice::from_raw_parts_mut(to.at(line * len, len), len) };
                for (phase, plane) in planes.chunks_exact_mut(self.pitch).enumerate() {
                    let (down, across) = (phase / self.columns.phases, phase % self.columns.phases);
                    let y = (positions.start + row) * self.rows.step + down;
                    let line = y.checked_sub(self.rows.padding).filter(|&y| y < self.rows.size);
                    match line {
                        Some(y) => {
                            let len = self.columns.size * self.batch;
                            self.copy_line(
                                &image[(channel * self.rows.size + y) * len..][..len],
                                across,
                                plane,
                            );
                        }
                        None => plane.fill(E::ZERO),
                    }
                }
            }
        });
        copy
    }

    /// Copies one phase of one row of the image.
    fn copy_line<E: Real>(&self, line: &[E], phase: usize, to: &mut [E]) {
        let Axis { size, step, padding, .. } = self.columns;
        // The first position inside of the image, and one past the last.
        let begin = padding.saturating_sub(phase).div_ceil(step);
        let end = (size + padding).saturating_sub(phase).div_ceil(step).max(begin);
        let begin_at = (begin * self.batch).min(to.len());
        let end_at = (end * self.batch).min(to.len());
        to[..begin_at].fill(E::ZERO);
        to[end_at..].fill(E::ZERO);
        let to = &mut to[begin_at..end_at];
        if to.is_empty() {
            return;
        }
        let from = &line[(begin * step + phase - padding) * self.batch..];
        if step == 1 {
            to.copy_from_slice(&from[..to.len()]);
        } else if self.batch == 1 {
            for (to, from) in to.iter_mut().zip(from.iter().step_by(step)) {
                *to = *from;
            }
        } else {
            for (to, from) in to.chunks_mut(self.batch).zip(from.chunks(step * self.batch)) {
                to.copy_from_slice(&from[..to.len()]);
            }
        }
    }
}
