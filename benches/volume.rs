//! From a raw volume of full size to its slices in the cache, on one thread: reading and hashing HDF5, the transform, writing.
//!
//! ```text
//! cargo bench --bench volume
//! ```
#![allow(clippy::expect_used, reason = "a bench has nobody to report an error to")]
#![allow(missing_docs)]

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hdf5_pure::{CompoundTypeBuilder, FileBuilder};
use i2m2::data::StatCache;
use i2m2::data::fastmri::{BuildOptions, Geometry, NoProgress, Space, build};
use i2m2::random::Seeds;

/// Slices and columns of a common volume of fastMRI; rows are 640.
const SLICES: u64 = 36;
const COLUMNS: u64 = 368;
/// The fewest volumes that split.
const VOLUMES: u64 = 4;

fn volume(seed: u64) -> Vec<u8> {
    let mut stream = Seeds::root(seed).stream();
    let mut floats = |count: u64| -> Vec<f32> { (0..count).map(|_| stream.normal() as f32).collect() };
    let (elements, side) = (SLICES * 640 * COLUMNS, 320);
    let kspace: Vec<u8> = floats(2 * elements).into_iter().flat_map(f32::to_le_bytes).collect();
    let rss = floats(SLICES * side * side);
    let mut file = FileBuilder::new();
    let kind =
        CompoundTypeBuilder::new().f32_field("r").f32_field("i").build().expect("two fields make a compound");
    file.create_dataset("kspace")
        .with_compound_data(kind, kspace, elements)
        .with_shape(&[SLICES, 640, COLUMNS]);
    file.create_dataset("reconstruction_rss").with_f32_data(&rss).with_shape(&[SLICES, side, side]);
    file.finish().expect("it fits")
}

fn volumes(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("volumes")).expect("a folder");
    for seed in 0..VOLUMES {
        std::fs::write(path(&format!("volumes/v{seed}.h5")), volume(seed)).expect("disk");
    }
    std::fs::write(path("knee.csv"), "file,slice,study_level,x,y,width,height,label\n").expect("disk");
    let options = BuildOptions {
        volumes: path("volumes"),
        annotations: path("knee.csv"),
        file_list: None,
        space: Space::Image,
        geometry: Geometry::FASTMRI,
        out: path("cache"),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let mut group = criterion.benchmark_group("fastMRI");
    group.throughput(Throughput::Elements(VOLUMES)).sample_size(10);
    group.bench_function("volumes of 36 slices, 640 x 368, one thread", |bencher| {
        bencher.iter_custom(|times| {
            let mut took = Duration::ZERO;
            for _ in 0..times {
                let begun = Instant::now();
                let built = pool.install(|| build(&options, &NoProgress, &StatCache::in_memory()));
                took += begun.elapsed();
                assert_eq!(built.expect("sound volumes").reused, 0);
                std::fs::remove_dir_all(&options.out).expect("it was made just now");
            }
            took
        });
    });
    group.finish();
}

criterion_group!(benches, volumes);
criterion_main!(benches);
