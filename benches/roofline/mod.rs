//! What this machine can do at most, measured, and how much of it each benched kernel reaches.
//!
//! A kernel cannot be faster than its multiply-adds at the peak rate, nor than its inputs and outputs at the memory's
//! bandwidth: the larger of the two is its bound, and bound over time its share.
#![allow(dead_code, reason = "each bench uses its share")]

use std::time::Instant;

use criterion::{Criterion, Throughput};
use i2m2::ops::simd::{Kernel, Lanes, Real, Vector, isa};

/// Multiply-adds in flight: enough to hide their latency on any processor, few enough for 16 registers.
const CHAINS: usize = 12;

struct Peak(usize);

impl Kernel<f32> for Peak {
    type Output = usize;

    #[inline(always)]
    fn run<V: Lanes<Elem = f32>>(self) -> usize {
        let (by, plus) = (std::hint::black_box(0.999f32), std::hint::black_box(0.001f32));
        let (by, plus) = (V::Wide::splat(by), V::Wide::splat(plus));
        let mut sums = [V::Wide::splat(1.0); CHAINS];
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = sum.mul_add(by, plus);
            }
        }
        let mut out = vec![0.0; <V::Wide as Vector>::LEN];
        for sum in sums {
            // SAFETY: there is room for one vector.
            #[allow(unsafe_code)]
            unsafe {
                sum.store(out.as_mut_ptr());
            }
            std::hint::black_box(&mut out);
        }
        2 * self.0 * CHAINS * <V::Wide as Vector>::LEN
    }
}

fn best(mut measure: impl FnMut() -> f64) -> f64 {
    (0..9).map(|_| measure()).fold(0.0, f64::max)
}

/// What one kernel does at the least.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    /// Floating-point operations, two for a multiply-add.
    pub flops: f64,
    /// Bytes of inputs and outputs, each once.
    pub bytes: f64,
}

impl Work {
    /// `multiply_adds` over `elements` inputs and outputs of 4 bytes.
    pub(crate) fn new(multiply_adds: usize, elements: usize) -> Self {
        Work { flops: 2.0 * multiply_adds as f64, bytes: 4.0 * elements as f64 }
    }
}

struct Row {
    name: String,
    work: Work,
    seconds: f64,
}

/// The limits of one core, and what was measured against them.
pub(crate) struct Roofline {
    flops: f64,
    bandwidth: f64,
    rows: Vec<Row>,
}

impl Roofline {
    /// Measures the limits.
    pub(crate) fn measure() -> Self {
        let flops = best(|| {
            let begun = Instant::now();
            f32::dispatch(Peak(1_000_000)) as f64 / begun.elapsed().as_secs_f64()
        });
        let (from, mut to) = (vec![1.0f32; 16 << 20], vec![0.0f32; 16 << 20]);
        let bandwidth = best(|| {
            let begun = Instant::now();
            to.copy_from_slice(std::hint::black_box(&from));
            std::hint::black_box(&mut to);
            8.0 * from.len() as f64 / begun.elapsed().as_secs_f64()
        });
        Roofline { flops, bandwidth, rows: Vec::new() }
    }

    /// Benches a kernel; `prepare` is not measured.
    pub(crate) fn bench(&mut self, criterion: &mut Criterion, name: &str, work: Work, mut run: impl FnMut()) {
        let mut samples = Vec::new();
        let mut group = criterion.benchmark_group("one core");
        group.throughput(Throughput::Elements(work.flops as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|count| {
                let begun = Instant::now();
                for _ in 0..count {
                    run();
                }
                let elapsed = begun.elapsed();
                samples.push(elapsed.as_secs_f64() / count as f64);
                elapsed
            });
        });
        group.finish();
        samples.sort_by(f64::total_cmp);
        if let Some(&seconds) = samples.get(samples.len() / 2) {
            self.rows.push(Row { name: name.to_owned(), work, seconds });
        }
    }

    /// The table.
    pub(crate) fn print(&self) {
        println!(
            "\n{}, one core: {:.1} GFLOP/s at most, {:.1} GB/s copied\n",
            isa(),
            self.flops / 1e9,
            self.bandwidth / 1e9
        );
        println!("| kernel | us | GFLOP/s | share of peak | GB/s | bound by | share of bound |");
        println!("|---|---|---|---|---|---|---|");
        for Row { name, work, seconds } in &self.rows {
            let (compute, memory) = (work.flops / self.flops, work.bytes / self.bandwidth);
            let bound = if compute >= memory { "arithmetic" } else { "memory" };
            println!(
                "| {name} | {:.1} | {:.1} | {:.0} % | {:.1} | {bound} | {:.0} % |",
                1e6 * seconds,
                work.flops / seconds / 1e9,
                100.0 * compute / seconds,
                work.bytes / seconds / 1e9,
                100.0 * compute.max(memory) / seconds
            );
        }
    }
}
