//! What every output is, element by element, and that operands are checked.

use super::*;
use crate::ops::simd::{LANES, on_every_isa};
use crate::ops::testing::bits;
use crate::random::Seeds;

fn numbers(name: &str, count: usize) -> Vec<f32> {
    let mut stream = Seeds::root(1).child(name).stream();
    (0..count).map(|_| stream.uniform_in(-1.0, 1.0) as f32).collect()
}

#[test]
fn project_is_one_fused_chain_per_output_whatever_the_blocking() {
    for (outputs, count, run) in [
        (1, 1, 1),
        (2, 3, 40),
        (5, 200, 43),
        (7, 300, 95),
        (3, 0, 9),
        (4, 13, 7),
        (9, 25, 24),
        (6, 25, 160),
        (13, 150, 239),
        (17, 97, 16),
    ] {
        let (weights, input) = (numbers("w", outputs * count), numbers("x", count * run));
        let bias = numbers("b", outputs);
        let terms = Term::strided(count, 1, run);
        let operands = Operands { weights: &weights, row_stride: count, terms: &terms, input: &input };
        let layout = Layout { outputs, stride: run, run };
        on_every_isa(|_| {
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
        });
    }
}

#[test]
fn correlate_sums_eight_fused_chains_whatever_the_blocking() {
    for (outputs, count, rows, run) in [
        (1, 1, 1, 1),
        (6, 25, 2, 40),
        (4, 3, 3, 43),
        (7, 5, 1, 7),
        (2, 9, 2, 16),
        (12, 6, 2, 43),
        (20, 7, 3, 24),
    ] {
        let (gradient, input) = (numbers("g", outputs * rows * run), numbers("x", count * rows * run));
        let terms = Term::strided(count, 1, rows * run);
        let window = Window { rows, run, gradient_stride: run, input_stride: run };
        let pairs = Pairs { outputs, gradient_stride: rows * run, weight_stride: count };
        on_every_isa(|_| {
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
        });
    }
}

#[test]
fn a_window_in_parts_gives_the_bits_of_the_whole() {
    let (outputs, count, rows) = (13, 7, 6);
    for run in [40, 43] {
        let (gradient, input) = (numbers("g", outputs * rows * run), numbers("x", count * rows * run));
        let terms = Term::strided(count, 1, run);
        let pairs = Pairs { outputs, gradient_stride: run, weight_stride: count };
        let window = |rows| Window { rows, run, gradient_stride: outputs * run, input_stride: count * run };
        on_every_isa(|_| {
            let mut whole = vec![0.5; outputs * count];
            correlate(&gradient, &input, &terms, window(rows), &mut whole, pairs);
            let mut lanes = vec![[0.0; LANES]; outputs * count];
            for (first, count_of_rows) in [(0, 1), (1, 3), (4, 2)] {
                let (gradient, input) = (&gradient[first * outputs * run..], &input[first * count * run..]);
                correlate_lanes(gradient, input, &terms, window(count_of_rows), &mut lanes, pairs);
            }
            let mut parts = vec![0.5; outputs * count];
            add_lanes(&lanes, &mut parts);
            assert_eq!(bits(&whole), bits(&parts), "{run}");
        });
    }
}

#[test]
#[should_panic(expected = "input too short")]
fn operands_are_checked() {
    let terms = Term::strided(2, 1, 8);
    let operands = Operands { weights: &[1.0f32; 2], row_stride: 2, terms: &terms, input: &[1.0; 15] };
    project(operands, Start::Zero, &mut [0.0; 8], Layout { outputs: 1, stride: 8, run: 8 });
}
