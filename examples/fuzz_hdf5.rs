//! Feeds the reader of fastMRI volumes with damaged HDF5 files: bits flipped, bytes overwritten, parts cut, doubled and moved.
//! Whatever comes must be read or refused; a panic that gets through, an allocation that the limit refuses, or a file that takes
//! more than ten seconds ends the run with an error.
//!
//! ```text
//! cargo build --release --example fuzz_hdf5
//! (ulimit -v 1500000; target/release/examples/fuzz_hdf5 --minutes 10)
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Parser;
use hdf5_pure::{CompoundTypeBuilder, FileBuilder};
use i2m2::data::fastmri::{Geometry, Volume};
use i2m2::random::{Seeds, Stream};

const GEOMETRY: Geometry = Geometry { rows: 12, columns: 10, side: 6 };
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

/// Sound volumes, in every layout that is written here.
fn sound(columns: u64, chunked: bool, deflated: bool) -> anyhow::Result<Vec<u8>> {
    let mut file = FileBuilder::new();
    let kind = CompoundTypeBuilder::new().f32_field("r").f32_field("i").build()?;
    let count = 3 * 12 * columns;
    let kspace = file.create_dataset("kspace");
    kspace.with_compound_data(kind, vec![1; count as usize * 8], count).with_shape(&[3, 12, columns]);
    if chunked {
        kspace.with_chunks(&[1, 12, columns]);
    }
    if deflated {
        kspace.with_deflate(4);
    }
    file.create_dataset("reconstruction_rss").with_f32_data(&[0.5; 108]).with_shape(&[3, 6, 6]);
    Ok(file.finish()?)
}

fn mutate(bytes: &mut Vec<u8>, stream: &mut Stream) {
    for _ in 0..=stream.below(4) {
        if bytes.is_empty() {
            return;
        }
        // Headers are where it hurts: half of the mutations are among the first bytes.
        let within = if stream.chance(0.5) { bytes.len().min(1024) } else { bytes.len() };
        let place = stream.below(within as u64) as usize;
        match stream.below(7) {
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
fn read(path: &std::path::Path) -> String {
    let volume = match Volume::open(path, GEOMETRY) {
        Ok(volume) => volume,
        Err(error) => return kind(&error),
    };
    for slice in 0..volume.slices.min(8) {
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
    let sound = [sound(7, false, false)?, sound(10, true, false)?, sound(8, true, true)?];
    let folder = tempfile_folder()?;
    let path = folder.join("volume.h5");
    let (begun, seeds) = (Instant::now(), Seeds::root(arguments.seed).child("fuzz"));
    let (mut tally, mut slowest, mut count) = (BTreeMap::<String, u64>::new(), Duration::ZERO, 0u64);
    while begun.elapsed().as_secs_f64() < 60.0 * arguments.minutes {
        let mut stream = seeds.child(count).stream();
        let mut bytes = sound[(count % 3) as usize].clone();
        mutate(&mut bytes, &mut stream);
        std::fs::write(&path, &bytes)?;
        let start = Instant::now();
        *tally.entry(read(&path)).or_default() += 1;
        slowest = slowest.max(start.elapsed());
        if slowest > Duration::from_secs(10) {
            bail!("mutation {count} of seed {} took {slowest:?}: {}", arguments.seed, path.display());
        }
        count += 1;
    }
    std::fs::remove_dir_all(&folder)?;
    println!("{count} files in {:.0} s, the slowest {slowest:?}", begun.elapsed().as_secs_f64());
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
