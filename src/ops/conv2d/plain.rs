//! Convolutions of any stride, product by product: slow, and plain enough to compare others with.

use super::Shape;
use crate::ops::simd::Real;

/// Visits every product: first element of the batch in the output and the input, and the weight.
fn each(shape: Shape, mut product: impl FnMut(usize, usize, usize)) {
    let Shape { inputs, outputs, kernel, stride, height, width, batch } = shape;
    let (out_height, out_width, padding) = (shape.out_height(), shape.out_width(), (kernel - 1) / 2);
    for (output, input) in (0..outputs).flat_map(|output| (0..inputs).map(move |input| (output, input))) {
        for (row, column) in (0..kernel).flat_map(|row| (0..kernel).map(move |column| (row, column))) {
            let weight = ((output * inputs + input) * kernel + row) * kernel + column;
            for (y, x) in (0..out_height).flat_map(|y| (0..out_width).map(move |x| (y, x))) {
                let (from_y, from_x) = (y * stride + row, x * stride + column);
                let inside = |at: usize, size| (padding..size + padding).contains(&at);
                if inside(from_y, height) && inside(from_x, width) {
                    let to = ((output * out_height + y) * out_width + x) * batch;
                    let from = ((input * height + from_y - padding) * width + from_x - padding) * batch;
                    product(to, from, weight);
                }
            }
        }
    }
}

/// Adds weight times input to the output.
pub(super) fn convolve<E: Real>(shape: Shape, weight: &[E], input: &[E], out: &mut [E]) {
    each(shape, |to, from, tap| {
        for n in 0..shape.batch {
            out[to + n] = weight[tap].fused(input[from + n], out[to + n]);
        }
    });
}

/// Adds weight times output gradient to the input gradient.
pub(super) fn input_gradient<E: Real>(shape: Shape, weight: &[E], gradient: &[E], x_gradient: &mut [E]) {
    each(shape, |to, from, tap| {
        for n in 0..shape.batch {
            x_gradient[from + n] = weight[tap].fused(gradient[to + n], x_gradient[from + n]);
        }
    });
}

/// Adds output gradient times input to the weight gradient.
pub(super) fn weight_gradient<E: Real>(shape: Shape, input: &[E], gradient: &[E], sums: &mut [E]) {
    each(shape, |to, from, tap| {
        for n in 0..shape.batch {
            sums[tap] = gradient[to + n].fused(input[from + n], sums[tap]);
        }
    });
}
