//! Which taps of a kernel fall inside the image, worked out once per call: no padding is ever stored or multiplied.
//!
//! Invariant: along each axis the segments cover every output once, and all outputs of a segment have the same taps.

use super::Shape;
use crate::ops::kernel::Term;

/// Neighbouring outputs along one axis that have the same taps inside the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The first output.
    pub(super) start: usize,
    /// Number of outputs.
    pub(super) len: usize,
    /// The first tap inside the image.
    pub(super) first_tap: usize,
    /// One past the last tap inside the image.
    pub(super) end_tap: usize,
}

impl Segment {
    /// The input under the first output's first tap.
    pub(super) fn first_input(&self, kernel: usize) -> usize {
        self.start + self.first_tap - (kernel - 1) / 2
    }
}

/// The segments of an axis of `size` outputs.
pub(super) fn segments(size: usize, kernel: usize) -> Vec<Segment> {
    let padding = (kernel - 1) / 2;
    let mut segments: Vec<Segment> = Vec::new();
    for output in 0..size {
        let first_tap = padding.saturating_sub(output);
        let end_tap = kernel.min(size + padding - output);
        match segments.last_mut() {
            Some(last) if (last.first_tap, last.end_tap) == (first_tap, end_tap) => last.len += 1,
            _ => segments.push(Segment { start: output, len: 1, first_tap, end_tap }),
        }
    }
    segments
}

/// The outputs of `range` whose tap `tap` falls inside an axis of `size`: the first one and their number.
pub(super) fn inside(
    range: std::ops::Range<usize>,
    tap: usize,
    size: usize,
    kernel: usize,
) -> (usize, usize) {
    let padding = (kernel - 1) / 2;
    let first = range.start.max(padding.saturating_sub(tap));
    let end = range.end.min((size + padding).saturating_sub(tap));
    (first, end.saturating_sub(first))
}

/// The terms of the outputs where a row segment and a column segment cross: weights relative to an output's row of
/// weights, inputs relative to the input under the crossing's first tap.
pub(super) fn terms(shape: Shape, rows: &Segment, columns: &Segment) -> Vec<Term> {
    let Shape { inputs, kernel, height, width, batch, .. } = shape;
    let mut terms = Vec::with_capacity(inputs * kernel * kernel);
    for channel in 0..inputs {
        for row in rows.first_tap..rows.end_tap {
            for column in columns.first_tap..columns.end_tap {
                let weight = (channel * kernel + row) * kernel + column;
                let input = (channel * height + row - rows.first_tap) * width + column - columns.first_tap;
                terms.push(Term::at(weight, input * batch));
            }
        }
    }
    terms
}
