//! Datasets: what a training loop sees, whatever the files look like.
//!
//! Invariant: a loader never trusts a header, never follows a path out of its root, and every error names the
//! file, what was expected, what was found and what to do next.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::digest::Digest;
use crate::protocol::Modality;
use crate::random::Seeds;

pub mod atomic;
pub mod avmnist;
mod error;
pub mod fastmri;
pub mod formats;
mod gather;
pub mod generative;
pub mod identity;
pub mod mimic;
mod open;
mod shuffle;
pub mod synthetic;

pub use error::DataError;
pub use identity::StatCache;
pub use open::{Prepared, explain, identify, is_calibrated, open, verify};

/// A part of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Trained on, shuffled every epoch.
    Train,
    /// Chooses the checkpoint.
    Valid,
    /// Reported.
    Test,
}

/// A prepared dataset with labels of one task, in memory or memory-mapped.
///
/// No `Debug`: samples may be credentialed.
pub trait Dataset: Send + Sync {
    /// Number of values that a label has: of classes, and of combinations of classes where several things are predicted.
    fn classes(&self) -> usize;

    /// Number of examples in a split.
    fn len(&self, split: Split) -> usize;

    /// The labels of a split, each below [`Dataset::classes`].
    fn labels(&self, split: Split) -> &[u8];

    /// Dimensions of one sample of a modality: `[channels, height, width]`, `[features]` or `[steps, channels]`; empty for a
    /// modality that there is not.
    fn dims(&self, modality: Modality) -> &[usize];

    /// Writes the given rows of a split, batch innermost: `out[feature * rows.len() + i]` is feature `feature` of
    /// row `rows[i]`. `out` has `dims product * rows.len()` elements.
    fn gather(&self, split: Split, modality: Modality, rows: &[u32], out: &mut [f32]);

    /// The number of the sample that a row has: rows of a split with the same number have the same sample.
    fn sample(&self, _split: Split, _modality: Modality, row: u32) -> u32 {
        row
    }

    /// What names these samples within the process, where runs share them: a device that keeps samples keeps them once.
    fn loaded(&self) -> Option<Loaded> {
        None
    }

    /// The same examples with noise of `percent` of each sample's peak, drawn from `seeds` and the example alone; `None`
    /// where noise means nothing.
    fn noisy(&self, _percent: f64, _seeds: &Seeds) -> Option<Box<dyn Dataset>> {
        None
    }

    /// Why rows could not be read any more, if that has happened; [`Dataset::gather`] then gave NaN.
    fn fault(&self) -> Option<&str> {
        None
    }
}

/// A folder of the shared real data, where there is any: beside the checkout, or where I2M2_SHARED_DATA says.
#[cfg(test)]
pub(crate) fn shared_data(folder: &str) -> Option<PathBuf> {
    let beside =
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(|parent| parent.join("shared/data"));
    let found = std::env::var_os("I2M2_SHARED_DATA").map(PathBuf::from).or_else(beside)?.join(folder);
    found.is_dir().then_some(found)
}

impl dyn Dataset + '_ {
    /// [`Dataset::dims`] of every modality, in their order.
    pub fn all_dims(&self) -> [&[usize]; 3] {
        [Modality::First, Modality::Second, Modality::Third].map(|modality| self.dims(modality))
    }
}

/// The name of samples that were loaded into this process; no two loads share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Loaded(u64);

impl Loaded {
    /// A name that nothing has yet.
    #[expect(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Loaded(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Where a dataset's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The synthetic fixture, generated below this folder when it is not there yet.
    Fixture(PathBuf),
    /// A folder with the real files (or a rebuilt set) of this dataset.
    Folder(PathBuf),
}

/// One file that a dataset reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    /// Path below the dataset's root, with `/` between its parts.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// What the file system said when the digest was taken.
    pub stat: Stat,
}

/// What tells, cheaply, that a file may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stat {
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since the epoch.
    pub modified: i128,
    /// Inode number (0 where there is none).
    pub inode: u64,
}

/// Identity of a prepared dataset: what goes into the keys of the runs that read it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Over the loader's version, preparation choices, and every file's name and digest.
    pub digest: Digest,
    /// The files.
    pub files: Vec<FileIdentity>,
}
