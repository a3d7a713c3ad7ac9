//! Convolution stages of the audio encoder LeNet(6, 5) at batch 40.
#![allow(clippy::print_stdout)]
#![allow(missing_docs)]
use i2m2::ops::kernel::*;
use std::time::Instant;
fn main() {
    let n = 40;
    for (count, outs, px) in [(25usize, 6usize, 56usize), (54, 12, 56), (216, 48, 14), (864, 192, 3)] {
        let w = vec![0.5f32; outs * count];
        let x = vec![0.25f32; count * px * n];
        let terms = Term::strided(count, 1, px * n);
        let mut out = vec![0f32; outs * px * n];
        let reps = 2_000_000_000 / (2 * count * outs * px * n) + 1;
        let t = Instant::now();
        for _ in 0..reps {
            project(
                Operands { weights: &w, row_stride: count, terms: &terms, input: &x },
                Start::Zero,
                &mut out,
                Layout { outputs: outs, stride: px * n, run: px * n },
            );
        }
        let s = t.elapsed().as_secs_f64();
        let fl = (reps * 2 * count * outs * px * n) as f64;
        let px = px.min(14);
        let terms = Term::strided(count, 1, px * n);
        let mut dw = vec![0f32; outs * count];
        let g = vec![0.1f32; outs * px * n];
        let reps = 2_000_000_000 / (2 * count * outs * px * n) + 1;
        let t = Instant::now();
        for _ in 0..reps {
            correlate(
                &g,
                &x,
                &terms,
                Window { rows: 1, run: px * n, gradient_stride: 0, input_stride: 0 },
                &mut dw,
                Pairs { outputs: outs, gradient_stride: px * n, weight_stride: count },
            );
        }
        let s2 = t.elapsed().as_secs_f64();
        let fl2 = (reps * 2 * count * outs * px * n) as f64;
        println!("{count} {outs}: project {:.1} GF correlate {:.1} GF", fl / s / 1e9, fl2 / s2 / 1e9);
    }
}
