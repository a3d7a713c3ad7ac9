//! The recordings of a build: spoken digits from FSDD, noise from ESC-10.
//!
//! Invariant: clips are named by rule and sorted by name, never taken in the order in which a folder lists them, so
//! the same files give the same pools on every file system.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::data::DataError;
use crate::data::formats::{ogg, wav};
use crate::digest::{Digest, Hasher};
use crate::random::Seeds;

/// Number of digits.
pub(super) const CLASSES: usize = 10;
/// Recordings of each digit by each speaker; those from [`FIRST_OF_TEST`] on are the test pool's.
const TAKES: usize = 50;
/// The generator's later version: takes 0-39 train, 40-49 test, all speakers in both.
const FIRST_OF_TEST: usize = 40;
/// Noise clips of the generator: the first 40 for training, the last 10 for testing.
const NOISES: usize = 50;
/// Classes of ESC-10; the first eight are heard in training, the last two in testing.
const NOISE_CLASSES: usize = 10;
/// Class folders of ESC-10 whose noises are for training.
const NOISE_CLASSES_OF_TRAIN: usize = 8;

/// One of the two files that the set consists of, and the recordings that are heard in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pool {
    /// Training and validation rows.
    Train,
    /// Test rows.
    Test,
}

impl Pool {
    /// Its name, and that of its folder.
    pub(super) fn name(self) -> &'static str {
        match self {
            Pool::Train => "train",
            Pool::Test => "test",
        }
    }
}

/// Samples of recordings, by number.
pub(super) struct Clips {
    /// Samples in [-1, 1) at 8 kHz, with the file they came from.
    pub clips: Vec<(PathBuf, Vec<f64>)>,
    /// Numbers of the training pool, and of the test pool.
    pools: [Vec<u32>; 2],
    /// Over every file's name and bytes.
    pub digest: Digest,
}

impl Clips {
    /// Numbers of a pool's clips: of speech digit by digit, `len / 10` of each, sorted by name.
    pub(super) fn pool(&self, pool: Pool) -> &[u32] {
        &self.pools[pool as usize]
    }

    /// Reads files, in order; `remedy` is for those that are missing.
    fn read(
        files: Vec<(PathBuf, Pool)>,
        domain: &str,
        remedy: &str,
        parse: fn(&Path, &[u8]) -> Result<Vec<f64>, DataError>,
    ) -> Result<Self, DataError> {
        let numbers =
            |pool| (0u32..).zip(&files).filter(|(_, (_, of))| *of == pool).map(|(i, _)| i).collect();
        let pools = [numbers(Pool::Train), numbers(Pool::Test)];
        // Collecting keeps the order, and of several errors the first file's.
        let read = files
            .into_par_iter()
            .map(|(path, _)| {
                let bytes = std::fs::read(&path).map_err(DataError::open(&path, "a recording", remedy))?;
                let samples = parse(&path, &bytes)?;
                Ok((path, samples, Digest::of(&bytes)))
            })
            .collect::<Vec<Result<_, DataError>>>();
        let mut hasher = Hasher::new(domain);
        let mut clips = Vec::with_capacity(read.len());
        for clip in read {
            let (path, samples, digest) = clip?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            hasher.field(name.as_bytes()).field(digest.bytes());
            clips.push((path, samples));
        }
        Ok(Clips { clips, pools, digest: hasher.finish() })
    }
}

/// Reads the recordings of the given speakers from FSDD's folder, or from its `recordings` folder.
///
/// # Errors
/// A recording that is missing, unreadable or not 8 kHz mono 16-bit.
pub(super) fn speech(fsdd: &Path, speakers: &[String]) -> Result<Clips, DataError> {
    let below = fsdd.join("recordings");
    let folder = if below.is_dir() { below } else { fsdd.to_owned() };
    let mut files = Vec::new();
    for digit in 0..CLASSES {
        let mut named: Vec<(String, Pool)> = speakers
            .iter()
            .flat_map(|speaker| (0..TAKES).map(move |take| (speaker, take)))
            .map(|(speaker, take)| {
                let pool = if take < FIRST_OF_TEST { Pool::Train } else { Pool::Test };
                (format!("{digit}_{speaker}_{take}.wav"), pool)
            })
            .collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        files.extend(named.into_iter().map(|(name, pool)| (folder.join(name), pool)));
    }
    let remedy = "get the Free Spoken Digit Dataset and pass its folder with --fsdd";
    Clips::read(files, "fsdd", remedy, wav::parse)
}

/// Draws noise clips from ESC-10's ten class folders, five from each.
///
/// # Errors
/// Another number of class folders, too few clips in one, or a clip that cannot be read.
pub(super) fn noise(root: &Path, seeds: &Seeds) -> Result<Clips, DataError> {
    let remedy = "get ESC-10 and pass the folder that holds its class folders with --esc";
    if !root.is_dir() {
        let expected = "ESC-10's ten class folders".to_owned();
        return Err(DataError::Missing { path: root.to_owned(), expected, remedy: remedy.into() });
    }
    let classes = sorted(root, Path::is_dir)?;
    let wrong = |path: &Path, expected: String, found: usize| DataError::Missing {
        path: path.to_owned(),
        expected: format!("{expected} (found {found})"),
        remedy: remedy.to_owned(),
    };
    if classes.len() != NOISE_CLASSES {
        return Err(wrong(root, format!("{NOISE_CLASSES} class folders"), classes.len()));
    }
    let each = NOISES / NOISE_CLASSES;
    let mut files = Vec::new();
    for (number, class) in classes.iter().enumerate() {
        let clips = sorted(class, |path| path.extension().is_some_and(|end| end == "ogg"))?;
        if clips.len() < each {
            return Err(wrong(class, format!("at least {each} .ogg files"), clips.len()));
        }
        let mut chosen = seeds.child(number).stream().permutation(clips.len());
        chosen.truncate(each);
        let pool = if number < NOISE_CLASSES_OF_TRAIN { Pool::Train } else { Pool::Test };
        files.extend(chosen.into_iter().map(|i| (clips[i as usize].clone(), pool)));
    }
    Clips::read(files, "esc-10", remedy, ogg::parse)
}

/// The entries of a folder that pass, sorted by name.
fn sorted(folder: &Path, keep: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, DataError> {
    let error = || DataError::io(folder, "list it");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(error())? {
        let path = entry.map_err(error())?.path();
        if keep(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
