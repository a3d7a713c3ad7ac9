//! Rebuilding AV-MNIST from MNIST's idx files and FSDD's recordings (deviation A7).
//!
//! Invariant: the same sources and options give the same bytes, on any machine and for any number of threads. A
//! build appears under its final name whole, or not at all.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::clips::{self, CLASSES, Clips, Pool};
use super::compact::{self, BuildSettings, Draft, Facts, Manifest, Part};
use super::components::{self, Projected};
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
pub(crate) struct BuildOptions {
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
pub(crate) struct NoiseOptions {
    /// Folder of ESC-10's class folders.
    pub esc: PathBuf,
    /// Factor of the noise: `speech + power * noise`, both in [-1, 1].
    pub power: f64,
}

impl BuildOptions {
    /// The recipe's decision: 4 components, no noise, the 4 speakers of the May-2020 state, and the first guess of
    /// the share of rows in place, 0.335.
    pub(crate) fn new(mnist: PathBuf, fsdd: PathBuf, out: PathBuf) -> Self {
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
            Err(DataError::Choice { option: option.into(), expected: expected.into(), found })
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
            Some(noise) if !(noise.power > 0.0 && noise.power.is_finite()) => wrong(
                "noise power",
                "a positive number (leave the noise out for none)",
                noise.power.to_string(),
            ),
            _ => Ok(()),
        }
    }
}

/// Where a build stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
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
pub(crate) struct BuildReport {
    /// Over the content of the data files; the same on any x86-64 machine.
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
pub(crate) fn build(options: &BuildOptions, progress: &dyn Fn(Stage)) -> Result<BuildReport, DataError> {
    options.check()?;
    let draft = Draft::begin(&options.out)?;
    let seeds = Seeds::root(options.seed).child("avmnist");
    progress(Stage::Reading);
    let [train, test] = [Pool::Train, Pool::Test].map(|pool| Digits::read(&options.mnist, pool));
    let (train, test) = (train?, test?);
    let speech = clips::speech(&options.fsdd, &options.speakers)?;
    let noise = match &options.noise {
        Some(noise) => {
            Some(Noise { clips: clips::noise(&noise.esc, &seeds.child("noise"))?, power: noise.power })
        }
        None => None,
    };

    let aligned = |digits: &Digits| {
        pairing::aligned(&digits.labels, &speech, noise.as_ref().map(|noise| &noise.clips), digits.pool)
    };
    let sounds = [aligned(&train), aligned(&test)];
    // Every sound that some row hears when nothing is out of place, once: the same list whatever the share.
    let mut distinct = sounds.concat();
    distinct.sort_unstable();
    distinct.dedup();
    draw(&draft, &distinct, &speech, noise.as_ref(), progress)?;

    progress(Stage::Images);
    let [train_sounds, test_sounds] = &sounds;
    let (train_part, test_part) = rayon::join(
        || write_part(&draft, &train, train_sounds, &distinct, options, &seeds),
        || write_part(&draft, &test, test_sounds, &distinct, options, &seeds),
    );
    let (train_part, test_part) = (train_part?, test_part?);

    progress(Stage::Finishing);
    let mut sources: BTreeMap<String, Digest> = train.sources.into_iter().chain(test.sources).collect();
    sources.insert("fsdd".into(), speech.digest);
    let noise_power = noise.as_ref().map_or(0.0, |noise| noise.power);
    sources.extend(noise.map(|noise| ("esc-10".to_owned(), noise.clips.digest)));
    let facts = Facts {
        settings: BuildSettings {
            aligned_share: options.aligned_share,
            components: options.components,
            noise_power,
            speakers: options.speakers.clone(),
            seed: options.seed,
        },
        sources,
        spectrograms: distinct.len(),
        train: train_part,
        test: test_part,
    };
    let (manifest, bytes) = draft.finish(facts)?;
    Ok(BuildReport { digest: manifest.digest, bytes, manifest })
}

/// Noise to add, with its factor.
struct Noise {
    clips: Clips,
    power: f64,
}

/// MNIST's images and labels of one file.
struct Digits {
    pool: Pool,
    /// `[rows, 784]`.
    images: Vec<u8>,
    labels: Vec<u8>,
    /// Where the images are, for messages.
    path: PathBuf,
    sources: Vec<(String, Digest)>,
}

impl Digits {
    fn read(mnist: &Path, pool: Pool) -> Result<Self, DataError> {
        let stem = match pool {
            Pool::Train => "train",
            Pool::Test => "t10k",
        };
        let names = [format!("{stem}-images-idx3-ubyte"), format!("{stem}-labels-idx1-ubyte")];
        let [path, labels_path] = names.each_ref().map(|name| mnist.join(name));
        let images = idx::read::<3>(&path)?;
        let labels = idx::read::<1>(&labels_path)?;
        let shape = |path: &Path, expected: String, found: &Idx| DataError::Shape {
            file: path.display().to_string(),
            expected,
            found: format!("{:?}", found.dims),
        };
        let rows = labels.dims[0];
        // Two rows are the least that has a covariance; validation takes a twelfth of the training rows.
        if images.dims[1..] != [IMAGE_SIDE, IMAGE_SIDE] || images.dims[0] < 12 {
            return Err(shape(&path, "[12 or more, 28, 28]".into(), &images));
        }
        if rows != images.dims[0] {
            return Err(shape(
                &labels_path,
                format!("[{}], one label for each image", images.dims[0]),
                &labels,
            ));
        }
        if let Some(row) = labels.bytes.iter().position(|&label| usize::from(label) >= CLASSES) {
            return Err(DataError::Label {
                file: labels_path.display().to_string(),
                row: Some(row),
                classes: CLASSES,
                found: labels.bytes[row].to_string(),
            });
        }
        let sources = names.into_iter().zip([images.digest, labels.digest]).collect();
        Ok(Digits { pool, images: images.bytes, labels: labels.bytes, path, sources })
    }
}

/// Draws and writes the spectrograms of all distinct sounds.
fn draw(
    draft: &Draft,
    sounds: &[Sound],
    speech: &Clips,
    noise: Option<&Noise>,
    progress: &dyn Fn(Stage),
) -> Result<(), DataError> {
    let spectrograph = Spectrograph::new();
    let one = |sound: &Sound| {
        let (path, samples) = &speech.clips[sound.clip as usize];
        let mixed = match (noise, sound.noise) {
            (Some(noise), Some(number)) => mix(samples, &noise.clips.clips[number as usize], noise.power)?,
            _ => samples.clone(),
        };
        spectrograph.draw(&mixed).ok_or_else(|| DataError::Value {
            file: path.display().to_string(),
            row: None,
            expected: "a recording that can be cut into 112 frames (112 to about 25,000 samples)".into(),
            found: format!("{} samples", samples.len()),
        })
    };
    let pieces = sounds.chunks(BATCH).enumerate().map(|(i, sounds_of_batch)| {
        progress(Stage::Spectrograms { done: i * BATCH, total: sounds.len() });
        let drawn: Vec<Result<Vec<u8>, DataError>> = sounds_of_batch.par_iter().map(one).collect();
        Ok(drawn.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
    });
    draft.bytes(compact::SPECTROGRAMS, &[sounds.len(), SIDE, SIDE], pieces)
}

/// Speech with the beginning of a noise added.
fn mix(speech: &[f64], (path, noise): &(PathBuf, Vec<f64>), power: f64) -> Result<Vec<f64>, DataError> {
    if noise.len() < speech.len() {
        return Err(DataError::Value {
            file: path.display().to_string(),
            row: None,
            expected: format!("noise at least as long as the speech ({} samples at 8 kHz)", speech.len()),
            found: format!("{} samples", noise.len()),
        });
    }
    Ok(speech.iter().zip(noise).map(|(speech, noise)| speech + power * noise).collect())
}

/// Writes the arrays of one file: which sound each row hears, its image and its label.
fn write_part(
    draft: &Draft,
    digits: &Digits,
    aligned: &[Sound],
    distinct: &[Sound],
    options: &BuildOptions,
    seeds: &Seeds,
) -> Result<Part, DataError> {
    let rows = digits.labels.len();
    let name = digits.pool.name();
    let seeds = seeds.child("misalignment").child(name);
    let sources = pairing::sources(rows, options.aligned_share, &seeds);
    // Every sound is in the list that was made of all of them.
    let number = |sound: &Sound| distinct.partition_point(|other| other < sound) as u32;
    let sounds: Vec<u32> = sources.iter().map(|&row| number(&aligned[row as usize])).collect();

    let pixels = IMAGE_SIDE * IMAGE_SIDE;
    let projected = components::project(&digits.images, pixels, options.components);
    let Projected { scores, bases, explained } = projected.ok_or_else(|| DataError::Value {
        file: digits.path.display().to_string(),
        row: None,
        expected: "images that differ from each other".into(),
        found: "images without principal components".into(),
    })?;
    let file = |file: &str| format!("{name}/{file}");
    draft.array(&file(compact::SOUNDS), &[rows], &sounds)?;
    draft.array(&file(compact::SCORES), &[rows, options.components], &scores)?;
    draft.array(&file(compact::BASES), &[options.components, pixels], &bases)?;
    draft.array(&file(compact::LABELS), &[rows], &digits.labels)?;
    Ok(Part { rows, agreement: pairing::agreement(&digits.labels, &sources), explained })
}
