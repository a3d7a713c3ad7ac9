//! Convolutions of stride 1 with few channels and a batch that fills vectors: read where they stand.
//!
//! Forward is [`project_unchecked`] over the taps of each run of pixels; the input gradient is the same with flipped,
//! transposed weights; the weight gradient is [`correlate_unchecked`] over small tiles of pixels, so that what a tile
//! reads stays in the first-level cache while all its taps use it.
//!
//! Invariant: blocks and parts are cut by the shape alone wherever that could change a bit (the tiles of the weight
//! gradient); the number of threads only decides who computes what.
#![allow(unsafe_code)]

use std::ops::Range;

use super::Shape;
use super::geometry::{Segment, inside, segments, terms};
use crate::ops::kernel::{Layout, Pairs, Rows, Start, Term, Window, correlate_unchecked, project_unchecked};
use crate::ops::parallel::{Disjoint, for_each_range};
use crate::ops::simd::{Kernel, Lanes, Real};

/// Outputs whose weights are used together: 48 rows of 864 weights stay in the second-level cache.
const OUTPUT_BLOCK: usize = 48;
/// Elements of one channel in a tile of the weight gradient: 24 pixels of a batch of 40.
const TILE: usize = 960;

/// The weights of the input gradient: output and input channels swapped, the kernel turned by 180 degrees.
pub(super) fn flip<E: Real>(weight: &[E], shape: Shape) -> Vec<E> {
    let taps = shape.kernel * shape.kernel;
    let mut flipped = Vec::with_capacity(weight.len());
    for input in 0..shape.inputs {
        for output in 0..shape.outputs {
            let kernel = &weight[(output * shape.inputs + input) * taps..][..taps];
            flipped.extend(kernel.iter().rev());
        }
    }
    flipped
}

/// `out (outputs, height, width, batch) = start + weight [outputs, inputs, k, k] * input (inputs, height, width, batch)`.
pub(super) fn convolve<E: Real>(
    shape: Shape,
    weight: &[E],
    input: &[E],
    start: Start<'static, E>,
    out: Disjoint<'_, E>,
) {
    let Shape { inputs, outputs, kernel, height, width, batch, .. } = shape;
    let row_weights = inputs * kernel * kernel;
    assert_eq!((weight.len(), input.len()), (outputs * row_weights, inputs * height * width * batch));
    let (rows, columns) = (segments(height, kernel), segments(width, kernel));
    let terms: Vec<Vec<Vec<Term>>> =
        rows.iter().map(|row| columns.iter().map(|column| terms(shape, row, column)).collect()).collect();
    let work = weight.len() * height * width * batch;
    let stripe = Stripe { shape, rows: &rows, columns: &columns, terms: &terms, weight, input, start, out };
    // Many rows: share the rows. Few: share the outputs, two at a time as the register blocks take them.
    if height > outputs / 2 {
        for_each_range(height, work, |height| E::dispatch(Part { stripe, height, outputs: 0..outputs }));
    } else {
        let pairs = outputs.div_ceil(2);
        for_each_range(pairs, work, |pairs| {
            let outputs = 2 * pairs.start..outputs.min(2 * pairs.end);
            E::dispatch(Part { stripe, height: 0..height, outputs });
        });
    }
}

/// A whole convolution.
#[derive(Clone, Copy)]
struct Stripe<'a, E: 'static> {
    shape: Shape,
    rows: &'a [Segment],
    columns: &'a [Segment],
    terms: &'a [Vec<Vec<Term>>],
    weight: &'a [E],
    input: &'a [E],
    start: Start<'static, E>,
    out: Disjoint<'a, E>,
}

/// Some rows and outputs of a convolution.
struct Part<'a, E: 'static> {
    stripe: Stripe<'a, E>,
    height: Range<usize>,
    outputs: Range<usize>,
}

impl<E: Real> Kernel<E> for Part<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let Stripe { shape, rows, columns, terms, weight, input, start, out } = self.stripe;
        let Shape { inputs, kernel, height, width, batch, .. } = shape;
        let row_weights = inputs * kernel * kernel;
        let mut first = self.outputs.start;
        while first < self.outputs.end {
            let outputs = OUTPUT_BLOCK.min(self.outputs.end - first);
            for (row, terms) in rows.iter().zip(terms) {
                let end = self.height.end.min(row.start + row.len);
                for y in self.height.start.max(row.start)..end {
                    let input_row = row.first_input(kernel) + y - row.start;
                    for (column, terms) in columns.iter().zip(terms) {
                        let from = (input_row * width + column.first_input(kernel)) * batch;
                        let to = ((first * height + y) * width + column.start) * batch;
                        let layout =
                            Layout { outputs, stride: height * width * batch, run: column.len * batch };
                        let out = out.at(to, (outputs - 1) * layout.stride + layout.run);
                        // SAFETY: `segments` only names inputs inside the image, whose size `convolve` checked, as it
                        // did the weights'; `at` checked the outputs, and parts have disjoint rows or outputs.
                        unsafe {
                            let rows = Rows {
                                weights: weight.as_ptr().add(first * row_weights),
                                stride: row_weights,
                            };
                            project_unchecked::<V>(rows, terms, input.as_ptr().add(from), start, out, layout);
                        }
                    }
                }
            }
            first += outputs;
        }
    }
}

/// Adds `sum over pixels and batch of gradient * input under each tap` to the weight gradient.
pub(super) fn weight_gradient_of<E: Real>(shape: Shape, input: &[E], gradient: &[E], sums: &mut [E]) {
    let Shape { inputs, outputs, kernel, height, width, batch, .. } = shape;
    let row_weights = inputs * kernel * kernel;
    let pixels = height * width * batch;
    assert_eq!((input.len(), gradient.len()), (inputs * pixels, outputs * pixels));
    assert_eq!(sums.len(), outputs * row_weights);
    // With one or two input channels the taps themselves must fill the register blocks, which needs a common window:
    // a padded copy of the (small) input.
    let padded = (inputs < 3).then(|| pad(shape, input));
    let sums = Disjoint::new(sums);
    // Register blocks take three outputs, or six where registers are wide: threads share sixes where there are enough.
    let unit = if outputs >= 6 * 2 * rayon::current_num_threads() { 6 } else { 3 };
    for_each_range(outputs.div_ceil(unit), outputs * row_weights * pixels, |units| {
        let outputs = unit * units.start..outputs.min(unit * units.end);
        match &padded {
            Some(input) => E::dispatch(PaddedWeights { shape, input, gradient, sums, outputs }),
            None => E::dispatch(Weights { shape, input, gradient, sums, outputs }),
        }
    });
}

/// The input with a border of zeros: `(inputs, height + k - 1, width + k - 1, batch)`.
fn pad<E: Real>(shape: Shape, input: &[E]) -> Vec<E> {
    let Shape { inputs, kernel, height, width, batch, .. } = shape;
    let (padding, row) = ((kernel - 1) / 2, width * batch);
    let (padded_height, padded_row) = (height + kernel - 1, (width + kernel - 1) * batch);
    let mut padded = vec![E::ZERO; inputs * padded_height * padded_row];
    for (from, values) in input.chunks_exact(row).enumerate() {
        let (channel, y) = (from / height, from % height);
        let to = (channel * padded_height + y + padding) * padded_row + padding * batch;
        padded[to..][..row].copy_from_slice(values);
    }
    padded
}

/// Rows and columns of a tile of about [`TILE`] elements.
fn tile(shape: Shape) -> (usize, usize) {
    let pixels = (TILE / shape.batch.max(1)).max(1);
    let pieces = shape.width.div_ceil(pixels);
    let columns = shape.width.div_ceil(pieces);
    ((pixels / columns).clamp(1, shape.height), columns)
}

/// The weight gradient of some outputs, tap by tap, each over the pixels whose tap falls inside the image.
struct Weights<'a, E> {
    shape: Shape,
    input: &'a [E],
    gradient: &'a [E],
    sums: Disjoint<'a, E>,
    outputs: Range<usize>,
}

impl<E: Real> Kernel<E> for Weights<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let Shape { inputs, kernel, height, width, batch, .. } = self.shape;
        let (taps, map) = (kernel * kernel, height * width * batch);
        let (tile_rows, tile_columns) = tile(self.shape);
        // Input channels of one tap, as many at a time as fill a register block.
        let together = if inputs.is_multiple_of(4) { 4 } else { 3 };
        let channels = Term::strided(together, taps, map);
        for y in (0..height).step_by(tile_rows) {
            for x in (0..width).step_by(tile_columns) {
                for output in self.outputs.clone().step_by(6) {
                    let outputs = 6.min(self.outputs.end - output);
                    let pairs = Pairs { outputs, gradient_stride: map, weight_stride: inputs * taps };
                    for channel in (0..inputs).step_by(together) {
                        let count = together.min(inputs - channel);
                        for tap in 0..taps {
                            let (tap_row, tap_column) = (tap / kernel, tap % kernel);
                            let (top, rows) = inside(y..height.min(y + tile_rows), tap_row, height, kernel);
                            let (left, columns) =
                                inside(x..width.min(x + tile_columns), tap_column, width, kernel);
                            if rows == 0 || columns == 0 {
                                continue;
                            }
                            let padding = (kernel - 1) / 2;
                            let from = (top + tap_row - padding) * width + left + tap_column - padding;
                            let window = Window {
                                rows,
                                run: columns * batch,
                                gradient_stride: width * batch,
                                input_stride: width * batch,
                            };
                            let first = output * inputs * taps + channel * taps + tap;
                            let span = (outputs - 1) * inputs * taps + (count - 1) * taps + 1;
                            let sums = self.sums.at(first, span);
                            // SAFETY: `inside` keeps the window within both images, whose sizes
                            // `weight_gradient_of` checked; `at` checked the sums, and parts have disjoint outputs.
                            unsafe {
                                let gradient =
                                    self.gradient.as_ptr().add(output * map + (top * width + left) * batch);
                                let input = self.input.as_ptr().add(channel * map + from * batch);
                                let terms = channels.get_unchecked(..count);
                                correlate_unchecked::<V>(gradient, input, terms, window, sums, pairs);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The weight gradient of some outputs over a padded input, all taps together.
struct PaddedWeights<'a, E> {
    shape: Shape,
    input: &'a [E],
    gradient: &'a [E],
    sums: Disjoint<'a, E>,
    outputs: Range<usize>,
}

impl<E: Real> Kernel<E> for PaddedWeights<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let Shape { inputs, kernel, height, width, batch, .. } = self.shape;
        let (taps, map) = (kernel * kernel, height * width * batch);
        let (padded_height, padded_width) = (height + kernel - 1, width + kernel - 1);
        let mut terms = Vec::with_capacity(inputs * taps);
        for weight in 0..inputs * taps {
            let (channel, row, column) = (weight / taps, weight % taps / kernel, weight % kernel);
            let pixel = (channel * padded_height + row) * padded_width + column;
            terms.push(Term::at(weight, pixel * batch));
        }
        let outputs = self.outputs.len();
        let pairs = Pairs { outputs, gradient_stride: map, weight_stride: inputs * taps };
        let (tile_rows, tile_columns) = tile(self.shape);
        for y in (0..height).step_by(tile_rows) {
            for x in (0..width).step_by(tile_columns) {
                let window = Window {
                    rows: tile_rows.min(height - y),
                    run: tile_columns.min(width - x) * batch,
                    gradient_stride: width * batch,
                    input_stride: padded_width * batch,
                };
                let sums = self.sums.at(self.outputs.start * inputs * taps, outputs * inputs * taps);
                // SAFETY: every tap of every pixel lies within the padded input; sizes were checked by
                // `weight_gradient_of`; `at` checked the sums, and parts have disjoint outputs.
                unsafe {
                    let gradient =
                        self.gradient.as_ptr().add(self.outputs.start * map + (y * width + x) * batch);
                    let input = self.input.as_ptr().add((y * padded_width + x) * batch);
                    correlate_unchecked::<V>(gradient, input, &terms, window, sums, pairs);
                }
            }
        }
    }
}
