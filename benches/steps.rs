//! A whole training step of every model of Tables 1 and 2 at full size, batch 40, on one thread and on all cores.
//!
//! ```text
//! cargo bench --bench steps
//! cargo bench --bench steps -- avmnist/i2m2-lf
//! ```
#![allow(clippy::expect_used, reason = "a bench has nobody to report an error to")]
#![allow(missing_docs)]

#[path = "../examples/common/mod.rs"]
mod common;

use std::time::Instant;

use common::Model;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use i2m2::experiment::workload::MODELS;

fn steps(criterion: &mut Criterion) {
    i2m2::device::keep_freed_memory();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for threads in if cores > 1 { vec![1, cores] } else { vec![1] } {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("there are threads");
        let mut group = criterion.benchmark_group(format!("training step, {threads} threads"));
        group.throughput(Throughput::Elements(1)).sample_size(10);
        for name in MODELS {
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|steps| {
                    pool.install(|| {
                        let mut model = Model::new(name).expect("a model of the list");
                        model.step().expect("the loss is finite");
                        let begun = Instant::now();
                        for _ in 0..steps {
                            model.step().expect("the loss is finite");
                        }
                        begun.elapsed()
                    })
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
