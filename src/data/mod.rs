//! Datasets: what a training loop sees, whatever the files look like.
//!
//! Invariant: a loader never trusts a header, never follows a path out of its root, and every error names the
//! file, what was expected, what was found and what to do next.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::digest::{Digest, Hasher};
use crate::random::Seeds;

pub(crate) mod avmnist;
pub(crate) mod build;
mod error;
pub mod fastmri;
pub mod fixture;
#[cfg(test)]
mod fixture_tests;
pub(crate) mod formats;
mod gather;
pub mod generative;
pub(crate) mod identity;
pub mod images;
mod mapped;
pub(crate) mod mimic;
#[cfg(test)]
pub(crate) mod mutations;
pub(crate) mod names;
pub mod nlvr2;
mod preparation;
pub(crate) mod pretrained;
pub(crate) mod registry;
mod shuffle;
mod spec;
pub mod synthetic;
mod task;
pub mod tokens;
pub mod vqa;

pub use error::DataError;
use gather::gather_made;
pub use gather::gather_rows;
pub use identity::StatCache;
pub use mapped::Mapped;
pub use names::{UnknownName, did_you_mean, nearest};
pub use preparation::{Choice, Population, Preparation};
pub use pretrained::Pretrained;
pub use spec::{DatasetSpec, Kind, Loader, ModalitySpec, Prepared, Source};
pub use task::{Target, Targets, TargetsBuf, Task};

/// A part of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// Trained on, shuffled every epoch.
    Train,
    /// Chooses the checkpoint.
    Valid,
    /// Reported: one of [`Dataset::test_splits`], by its place among them.
    Test(usize),
}

impl Split {
    /// The first test split; of most datasets the only one.
    pub const TEST: Split = Split::Test(0);
}

/// What a dataset holds of each example beside its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modality {
    /// Its name.
    pub name: String,
    /// What its samples are.
    pub kind: Kind,
    /// Dimensions of one sample: `[features]`, `[steps, channels]`, `[channels, height, width]`, `[images, channels, height,
    /// width]`, or the `[length]` of a text.
    pub dims: Vec<usize>,
}

impl Modality {
    /// A modality of arrays, whose kind follows from the number of dimensions.
    pub fn new(name: impl Into<String>, dims: impl Into<Vec<usize>>) -> Self {
        let dims = dims.into();
        Modality { name: name.into(), kind: Kind::of(&dims).unwrap_or(Kind::Vector), dims }
    }

    /// Texts of so many tokens.
    pub fn tokens(name: impl Into<String>, length: usize) -> Self {
        Modality { name: name.into(), kind: Kind::Tokens, dims: vec![length] }
    }

    /// Numbers of one sample.
    pub fn features(&self) -> usize {
        self.dims.iter().product()
    }
}

/// A part of a test split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subset {
    /// What its metrics are named by, as a split's are.
    pub name: String,
    /// The place of its split among [`Dataset::test_splits`].
    pub test: usize,
    /// Its rows in that split.
    pub rows: Vec<u32>,
}

/// The plain mean of metrics over parts of test splits, however many examples each has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Average {
    /// What it is named by, as a split is.
    pub name: String,
    /// Names of the parts.
    pub of: Vec<String>,
}

/// The only test split where a dataset names no others.
static TEST: LazyLock<[String; 1]> = LazyLock::new(|| ["test".to_owned()]);

/// A prepared dataset with the targets of one task, in memory or memory-mapped.
///
/// No `Debug`: samples may be credentialed.
pub trait Dataset: Send + Sync {
    /// What it holds of each example, in the order that numbers of modalities count.
    fn modalities(&self) -> &[Modality];

    /// Names of its test splits, in the order that [`Split::Test`] counts; at least one, all of them different, of letters,
    /// digits, `-` and `_`, and none of them `train` or `valid`.
    fn test_splits(&self) -> &[String] {
        &*TEST
    }

    /// Number of examples in a split.
    fn len(&self, split: Split) -> usize;

    /// The targets of a split, one for each example.
    fn targets(&self, split: Split) -> Targets<'_>;

    /// Writes the given rows of a split, batch innermost: `out[feature * rows.len() + i]` is feature `feature` of
    /// row `rows[i]`. `out` has `features * rows.len()` elements; `modality` is a place in [`Dataset::modalities`]. Images and
    /// tokens are asked for one row at a time, since their layout has the batch outermost.
    fn gather(&self, split: Split, modality: usize, rows: &[u32], out: &mut [f32]);

    /// Writes one row of images or tokens as training sees it: augmented, with everything random drawn from `seeds` alone.
    fn augmented(&self, split: Split, modality: usize, row: u32, _seeds: &Seeds, out: &mut [f32]) {
        self.gather(split, modality, &[row], out);
    }

    /// Whether [`Dataset::augmented`] gives anything else than [`Dataset::gather`].
    fn augments(&self) -> bool {
        false
    }

    /// Parts of test splits that are measured on their own, from the predictions of the whole.
    fn subsets(&self) -> &[Subset] {
        &[]
    }

    /// Means over some of [`Dataset::subsets`].
    fn averages(&self) -> &[Average] {
        &[]
    }

    /// The number of the sample that a row has: rows of a split with the same number have the same sample.
    fn sample(&self, _split: Split, _modality: usize, row: u32) -> u32 {
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

impl dyn Dataset + '_ {
    /// A split's name: `train`, `valid`, or that of a test split.
    pub fn name_of(&self, split: Split) -> &str {
        match split {
            Split::Train => "train",
            Split::Valid => "valid",
            Split::Test(index) => self.test_splits().get(index).map_or("unknown", String::as_str),
        }
    }

    /// That it can be trained on and measured for a target.
    ///
    /// # Errors
    /// Test splits that cannot be told apart; a split without examples, or without a target for each; targets that do not fit.
    /// No message holds a row.
    pub fn check(&self, target: &Target) -> Result<(), String> {
        let tests: Vec<&str> = self.test_splits().iter().map(String::as_str).collect();
        names::differ("test splits", &tests)?;
        if let Some(split) = tests.iter().find(|split| ["train", "valid"].contains(split)) {
            return Err(format!("a test split is called `{split}`"));
        }
        for Subset { name, test, rows } in self.subsets() {
            let examples = self.test_splits().get(*test).map_or(0, |_| self.len(Split::Test(*test)));
            if rows.is_empty() || rows.iter().any(|&row| row as usize >= examples) {
                return Err(format!("`{name}` is no part of a test split of {examples} examples"));
            }
        }
        for split in self.splits() {
            let (name, targets) = (self.name_of(split), self.targets(split));
            if targets.is_empty() || targets.len() != self.len(split) {
                return Err(format!(
                    "{} examples and {} targets in the {name} split, expected at least one and as many of both",
                    self.len(split),
                    targets.len()
                ));
            }
            targets.check(target).map_err(|error| format!("{error}, in the {name} split"))?;
        }
        Ok(())
    }

    /// All splits, to train on first.
    pub fn splits(&self) -> impl Iterator<Item = Split> + use<> {
        let tests = (0..self.test_splits().len()).map(Split::Test);
        [Split::Train, Split::Valid].into_iter().chain(tests)
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

impl Identity {
    /// This identity with another input's: whoever reads both depends on both.
    #[must_use]
    pub fn with(self, other: &Identity) -> Self {
        let mut hasher = Hasher::new("i2m2 inputs v1");
        hasher.field(self.digest.bytes()).field(other.digest.bytes());
        let files = self.files.into_iter().chain(other.files.iter().cloned()).collect();
        Identity { digest: hasher.finish(), files }
    }
}
