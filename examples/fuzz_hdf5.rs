//! Feeds the reader of fastMRI volumes with damaged HDF5 files: bits flipped, bytes overwritten, addresses bent, parts cut,
//! doubled, moved and taken from other volumes. Whatever comes must be read or refused; a panic that gets through, more
//! than 1 GiB of memory, or a file that takes more than ten seconds ends the run with an error.
//!
//! ```text
//! cargo run --release --example fuzz_hdf5 -- --minutes 10
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use clap::Parser;
use hdf5_pure::{CompoundTypeBuilder, FileBuilder};
use i2m2::data::fastmri::{Geometry, Volume};
use i2m2::random::{Seeds, Stream};

/// That of scripts/golden_fastmri.py.
const GEOMETRY: Geometry = Geometry { rows: 32, columns: 20, side: 16 };
/// Bytes that may be allocated at a time.
const CEILING: usize = 1 << 30;

/// The system's allocator, which counts, and refuses what goes beyond the ceiling: that aborts the process.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator with the arguments that came in.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        if now > CEILING {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise about `layout`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise; the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Numbers that sizes and offsets are replaced by.
const TELLING: [u64; 10] =
    [0, 1, 7, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, i64::MAX as u64, u64::MAX];

/// Fuzzes the reader of volumes.
#[derive(Parser)]
struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Root of the mutations.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// A sound volume as this project's generator writes them, without filters.
fn ours() -> anyhow::Result<Vec<u8>> {
    let mut file = FileBuilder::new();
    let kind = CompoundTypeBuilder::new().f32_field("r").f32_field("i").build()?;
    let count = 2 * 32 * 17;
    file.create_dataset("kspace")
        .with_compound_data(kind, vec![1; count * 8], count as u64)
        .with_shape(&[2, 32, 17]);
    file.create_dataset("reconstruction_rss").with_f32_data(&[0.5; 512]).with_shape(&[2, 16, 16]);
    Ok(file.finish()?)
}

/// Sound volumes: ours, and h5py's in each way of storing.
fn sound() -> anyhow::Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/fastmri");
    let mut volumes = vec![ours()?];
    for name in ["contiguous", "gzip", "shuffled", "chunked"] {
        volumes.push(std::fs::read(folder.join(name).with_extension("h5"))?);
    }
    Ok(volumes)
}

fn mutate(bytes: &mut Vec<u8>, sound: &[Vec<u8>], stream: &mut Stream) {
    for _ in 0..=stream.below(4) {
        if bytes.is_empty() {
            return;
        }
        // Headers are where it hurts: half of the mutations are among the first bytes.
        let within = if stream.chance(0.5) { bytes.len().min(4096) } else { bytes.len() };
        let place = stream.below(within as u64) as usize;
        match stream.below(9) {
            0 => bytes[place] ^= 1 << stream.below(8),
            1 => bytes[place] = stream.below(256) as u8,
            2 | 3 => {
                let width = [1usize, 2, 4, 8][stream.below(4) as usize];
                let number = TELLING[stream.below(TELLING.len() as u64) as usize].to_le_bytes();
                let end = (place + width).min(bytes.len());
                bytes[place..end].copy_from_slice(&number[..end - place]);
            }
            4 => bytes.truncate(place),
            5 => {
                // An address of somewhere else in the file: loops and overlaps.
                let place = place / 8 * 8;
                let width = (bytes.len() - place).min(8);
                let target = stream.below(bytes.len() as u64).to_le_bytes();
                bytes[place..place + width].copy_from_slice(&target[..width]);
            }
            6 => {
                let other = &sound[stream.below(sound.len() as u64) as usize];
                let from = stream.below(other.len() as u64) as usize;
                let width = (1 + stream.below(256) as usize).min(other.len() - from).min(bytes.len() - place);
                bytes[place..place + width].copy_from_slice(&other[from..from + width]);
            }
            7 => {
                let end = (place + stream.below(64) as usize).min(bytes.len());
                let part = bytes[place..end].to_vec();
                let to = stream.below(bytes.len() as u64) as usize;
                bytes.splice(to..to, part);
            }
            _ => {
                let end = (place + stream.below(64) as usize).min(bytes.len());
                bytes.drain(place..end);
            }
        }
    }
}

/// What became of a file: its first words, for the tally.
fn read(path: &Path) -> String {
    let volume = match Volume::open(path, GEOMETRY) {
        Ok(volume) => volume,
        Err(error) => return kind(&error),
    };
    for slice in 0..volume.slices {
        if let Err(error) = volume.kspace(slice).map(drop).and_then(|()| volume.rss(slice).map(drop)) {
            return kind(&error);
        }
    }
    "read".to_owned()
}

fn kind(error: &i2m2::data::DataError) -> String {
    let text = format!("{error:?}");
    let name = text.split([' ', '{', '(']).next().unwrap_or_default().to_owned();
    if text.contains("stumbles") { format!("{name}, a panic that was caught") } else { name }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // Panics of the library are caught and counted; their traces would fill the screen.
    std::panic::set_hook(Box::new(|_| ()));
    let (sound, folder) = (sound()?, tempfile_folder()?);
    for volume in &sound {
        let path = folder.join("sound.h5");
        std::fs::write(&path, volume)?;
        ensure!(read(&path) == "read", "a sound volume is refused");
    }
    let path = folder.join("volume.h5");
    let (begun, seeds) = (Instant::now(), Seeds::root(arguments.seed).child("fuzz"));
    let (mut tally, mut slowest, mut most, mut count) =
        (BTreeMap::<String, u64>::new(), Duration::ZERO, 0, 0u64);
    while begun.elapsed().as_secs_f64() < 60.0 * arguments.minutes {
        let mut stream = seeds.child(count).stream();
        let mut bytes = sound[(count % sound.len() as u64) as usize].clone();
        mutate(&mut bytes, &sound, &mut stream);
        std::fs::write(&path, &bytes)?;
        MOST.store(NOW.load(Ordering::Relaxed), Ordering::Relaxed);
        let (start, before) = (Instant::now(), NOW.load(Ordering::Relaxed));
        *tally.entry(read(&path)).or_default() += 1;
        slowest = slowest.max(start.elapsed());
        most = most.max(MOST.load(Ordering::Relaxed).saturating_sub(before));
        if slowest > Duration::from_secs(10) {
            bail!("mutation {count} of seed {} took {slowest:?}: {}", arguments.seed, path.display());
        }
        count += 1;
    }
    std::fs::remove_dir_all(&folder)?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{count} files in {seconds:.0} s, the slowest {slowest:?}, the most memory {} MiB", most >> 20);
    for (outcome, times) in tally {
        println!("{times:>9}  {outcome}");
    }
    Ok(())
}

fn tempfile_folder() -> std::io::Result<std::path::PathBuf> {
    let folder = std::env::temp_dir().join(format!("i2m2-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
