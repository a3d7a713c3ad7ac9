//! Rebuilding AV-MNIST from MNIST's idx files and FSDD's recordings (deviation A7).
//!
//! Invariant: the same sources and options give the same bytes, on any machine and for any number of threads. A
//! build appears under its final name whole, or not at all.

use std::fmt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::clips::{self, CLASSES, Clips, Pool};
use super::compact::{self, Draft, Manifest, Part, Settings, SourceDigest};
use super::components;
use super::pairing::{self, Sound};
use super::spectrogram::{SIDE, Spectrograph};
use crate::data::DataError;
use crate::data::formats::idx::{self, Idx};
use crate::digest::Digest;
use crate::random::Seeds;

/// Height and width of an image.
const IMAGE_SIDE: usize = 28;
/// Spectrograms between two reports of progress.
const BATCH: usize = 128;

/// What to build from what. [`BuildOptions::new`] has the recipe's choices.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// Folder of MNIST's four idx files.
    pub mnist: PathBuf,
    /// Folder of FSDD, or of its recordings.
    pub fsdd: PathBuf,
    /// Additive noise, if any.
    pub noise: Option<NoiseOptions>,
    /// Share of the rows that keep their own label's recording, in [0, 1]; every other row hears an independently
    /// drawn row of its file. 1 is correct pairing.
    pub aligned_share: f64,
    /// Principal components kept of the images, fitted on the training and the test images separately.
    pub components: usize,
    /// FSDD's speakers to use.
    pub speakers: Vec<String>,
    /// Root of the random choices: which rows are out of place, which noises are drawn.
    pub seed: u64,
    /// Folder to write; it must not exist, be empty, or hold an earlier build, which is replaced.
    pub out: PathBuf,
}

/// Noise to add to the spoken digits.
#[derive(Clone, Debug)]
pub struct NoiseOptions {
    /// Folder of ESC-10's class folders.
    pub esc: PathBuf,
    /// Factor of the noise: `speech + power * noise`, both in [-1, 1].
    pub power: f64,
}

impl BuildOptions {
    /// The recipe's decision: 4 components, no noise, the 4 speakers of the May-2020 state, and the first guess of
    /// the share of rows in place, 0.335.
    pub fn new(mnist: PathBuf, fsdd: PathBuf, out: PathBuf) -> Self {
        BuildOptions {
            mnist,
            fsdd,
            noise: None,
            aligned_share: 0.335,
            components: 4,
            speakers: ["jackson", "nicolas", "theo", "yweweler"].map(str::to_owned).to_vec(),
            seed: 0,
            out,
        }
    }

    fn check(&self) -> Result<(), DataError> {
        let wrong = |option: &str, expected: &str, found: String| {
            Err(DataError::Value { file: option.into(), row: None, expected: expected.into(), found })
        };
        if !(0.0..=1.0).contains(&self.aligned_share) {
            return wrong("share of rows in place", "a number from 0 to 1", self.aligned_share.to_string());
        }
        if !(1..=IMAGE_SIDE * IMAGE_SIDE).contains(&self.components) {
            return wrong("number of components", "1 to 784", self.components.to_string());
        }
        if self.speakers.is_empty() {
            return wrong("speakers", "at least one speaker of FSDD", "none".into());
        }
        match &self.noise {
            Some(noise) if !(noise.power > 0.0 && noise.power.is_finite()) => {
                wrong("noise power", "a positive number (leave the noise out for none)", noise.power.to_string())
            }
            _ => Ok(()),
        }
    }
}

/// Where a build stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading MNIST and FSDD, and ESC-10 if noise is wanted.
    Reading,
    /// Fitting and projecting on the images' principal components.
    Images,
    /// Drawing spectrograms.
    Spectrograms {
        /// How many are drawn.
        done: usize,
        /// Of how many.
        total: usize,
    },
    /// Flushing to disk and giving the build its name.
    Finishing,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Reading => write!(f, "reading MNIST and recordings"),
            Stage::Images => write!(f, "principal components of the images"),
            Stage::Spectrograms { done, total } => write!(f, "spectrograms {done}/{total}"),
            Stage::Finishing => write!(f, "writing"),
        }
    }
}

/// What was built.
#[derive(Clone, Debug, serde::Serialize)]
pub struct BuildReport {
    /// Over the content of every data file: the same on any machine.
    pub digest: Digest,
    /// Bytes of all files.
    pub bytes: u64,
    /// The manifest that was written beside the data.
    pub manifest: Manifest,
}

/// Builds the compact form of AV-MNIST.
///
/// # Errors
/// Sources that are missing, broken or do not fit each other, options out of range, a target folder that holds
/// something else, and whatever the system refuses; nothing is left behind then.
pub fn build(options: &BuildOptions, progress: &dyn Fn(Stage)) -> Result<BuildReport, DataError> {
    options.check()?;
    let draft = Draft::begin(&options.out)?;
    progress(Stage::Reading);
    let seeds = Seeds::root(options.seed).child("avmnist");
    let train = Digits::read(&options.mnist, "train")?;
    let test = Digits::read(&options.mnist, "t10k")?;
    let speech = clips::speech(&options.fsdd, &options.speakers)?;
    let noise = options.noise.as_ref().map(|noise| clips::noise(noise, &seeds.child("noise"))).transpose()?;

    let mut sounds = Vec::new();
    let mut heard = Vec::new();
    for (digits, pool, name) in [(&train, Pool::Train, "train"), (&test, Pool::Test, "test")] {
        let aligned = pairing::aligned(&digits.labels, &speech, noise.as_ref(), pool);
        let seeds = seeds.child("misalignment").child(name);
        let sources = pairing::sources(aligned.len(), options.aligned_share, &seeds);
        heard.push(sources.iter().map(|&row| aligned[row as usize]).collect::<Vec<_>>());
        sounds.extend(aligned);
        draft.agreement(pool, pairing::agreement(&digits.labels, &sources));
    }
    // Every sound that some row would hear in place, once: the same list whatever is out of place.
    sounds.sort_unstable();
    sounds.dedup();

    progress(Stage::Images);
    unimplemented!()
}
