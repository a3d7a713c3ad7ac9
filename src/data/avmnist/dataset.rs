//! Reading AV-MNIST: the published arrays, or the compact form of a rebuild.
//!
//! Invariant: after [`load`] every label is a digit, every stored number is finite, and the files agree in their
//! rows. Arrays larger than [`RESIDENT`] stay on disk and are read row by row.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::samples::Samples;
use super::{CLASSES, compact};
use crate::data::formats::npy::{Dim, Npy, NpyRows};
use crate::data::identity::StatCache;
use crate::data::{DataError, Dataset, Identity, Loaded, Modality, Split, Targets};

/// Values of an image; it is 28 x 28.
const PIXELS: usize = 784;
/// More rows, or a larger side of a spectrogram, than any file that is meant.
const MOST_ROWS: usize = 1 << 24;
const LARGEST_SIDE: usize = 1 << 12;
/// Of this many training rows the last one is for validation: 5,000 of 60,000.
const ROWS_PER_VALID_ROW: usize = 12;
/// Bytes up to which an array is read into memory.
const RESIDENT: usize = 64 << 20;
/// Files of the published layout.
const PUBLISHED: [&str; 6] = [
    "image/train_data.npy",
    "image/test_data.npy",
    "audio/train_data.npy",
    "audio/test_data.npy",
    "train_labels.npy",
    "test_labels.npy",
];

/// AV-MNIST in either form.
pub(crate) struct AvmnistDataset {
    /// Training rows, validation rows behind them.
    train: Part,
    test: Part,
    /// How many rows of `train` are trained on.
    trained: usize,
    modalities: [Modality; 2],
    loaded: Loaded,
    fault: OnceLock<String>,
}

/// One file of each kind.
struct Part {
    labels: Vec<u32>,
    image: Samples,
    audio: Samples,
}

/// Places of the modalities.
const IMAGE: usize = 0;
const AUDIO: usize = 1;

/// Whether `root` holds a rebuild (whose choices were made with the paper's unimodal accuracies in view), not the
/// published files.
pub(crate) fn is_rebuilt(root: &Path) -> bool {
    root.join(compact::MANIFEST).is_file()
}

/// Loads the dataset in `root`: the compact form if there is a manifest, otherwise the published layout
/// (`image/{train,test}_data.npy` `[N, 784]`, `audio/{train,test}_data.npy` `[N, S, S]`, `{train,test}_labels.npy`
/// `[N]`).
///
/// The last twelfth of the training file's rows is the validation split: rows 55,000 to 60,000 of the published
/// files. Pixels of both modalities are divided by 255.
///
/// # Errors
/// Files that are missing, broken, of another shape or type, hold anything but finite numbers and digits, or do not
/// agree with each other.
pub(crate) fn load(root: &Path) -> Result<AvmnistDataset, DataError> {
    let (train, test) = if is_rebuilt(root) {
        let side = Dim::UpTo(LARGEST_SIDE);
        let path = root.join(compact::SPECTROGRAMS);
        let spectrograms = Arc::new(NpyRows::open(&path, &[Dim::UpTo(MOST_ROWS), side, side], RESIDENT)?);
        (load_compact(root, "train", &spectrograms)?, load_compact(root, "test", &spectrograms)?)
    } else {
        exists(root)?;
        (load_published(root, "train")?, load_published(root, "test")?)
    };
    let (train, side) = train;
    let (test, test_side) = test;
    if side != test_side {
        return Err(DataError::Shape {
            file: root.join("test").display().to_string(),
            expected: format!("spectrograms of {side} x {side}, as in the training file"),
            found: format!("{test_side} x {test_side}"),
        });
    }
    let rows = train.labels.len();
    if rows < ROWS_PER_VALID_ROW {
        return Err(DataError::Shape {
            file: root.join("train").display().to_string(),
            expected: format!("at least {ROWS_PER_VALID_ROW} rows, of which a twelfth is for validation"),
            found: format!("{rows}"),
        });
    }
    Ok(AvmnistDataset {
        train,
        test,
        trained: rows - rows / ROWS_PER_VALID_ROW,
        modalities: [Modality::new("image", [1, 28, 28]), Modality::new("audio", [1, side, side])],
        loaded: Loaded::new(),
        fault: OnceLock::new(),
    })
}

/// The identity of the files that [`load`] reads from `root`. That of a compact build is its manifest's digest.
///
/// # Errors
/// Files that are missing, unreadable, lead out of `root`, or are not those of the build's manifest.
pub(crate) fn identity(root: &Path, cache: &StatCache) -> Result<Identity, DataError> {
    if !is_rebuilt(root) {
        exists(root)?;
        return Identity::of(root, &PUBLISHED, "i2m2 avmnist published v1", "", cache);
    }
    let manifest = compact::manifest(root)?;
    let identity = compact::identity_of(root, cache)?;
    for file in &identity.files {
        let expected = manifest.files.get(&file.name);
        if expected != Some(&file.digest) {
            let expected = expected.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            return Err(DataError::Malformed {
                file: file.path.display().to_string(),
                expected: format!("the content with SHA-256 {expected} that the build's manifest names"),
                found: format!("{} (it was changed since; a rebuild repairs it)", file.digest),
            });
        }
    }
    Ok(identity)
}

/// A missing folder or first file is the case to explain at length.
fn exists(root: &Path) -> Result<(), DataError> {
    let first = root.join(PUBLISHED[0]);
    if first.exists() {
        return Ok(());
    }
    Err(DataError::Missing {
        path: first,
        expected: format!("the published AV-MNIST, or a rebuild ({} beside its arrays)", compact::MANIFEST),
        remedy: "rebuild it with `i2m2 data build avmnist`, or see `i2m2 data explain avmnist`".into(),
    })
}

fn load_published(root: &Path, part: &str) -> Result<(Part, usize), DataError> {
    let array = |kind: &str| root.join(kind).join(format!("{part}_data.npy"));
    let image = NpyRows::open(&array("image"), &[Dim::UpTo(MOST_ROWS), Dim::Is(PIXELS)], RESIDENT)?;
    let rows = image.rows();
    let side = Dim::UpTo(LARGEST_SIDE);
    let audio = NpyRows::open(&array("audio"), &[Dim::Is(rows), side, side], RESIDENT)?;
    let side = square(&audio)?;
    let labels = labels(&root.join(format!("{part}_labels.npy")), rows)?;
    let [image, audio] = [image, audio].map(|array| Samples::Rows { array: Arc::new(array), numbers: None });
    image.check_finite()?;
    audio.check_finite()?;
    Ok((Part { labels, image, audio }, side))
}

fn load_compact(root: &Path, part: &str, spectrograms: &Arc<NpyRows>) -> Result<(Part, usize), DataError> {
    let open = |name: &str, dims: &[Dim]| NpyRows::open(&root.join(part).join(name), dims, RESIDENT);
    let scores = open(compact::SCORES, &[Dim::UpTo(MOST_ROWS), Dim::UpTo(PIXELS)])?;
    let (rows, components) = (scores.rows(), scores.dims()[1]);
    let bases = open(compact::BASES, &[Dim::Is(components), Dim::Is(PIXELS)])?;
    let side = square(spectrograms)?;
    let sounds = open(compact::SOUNDS, &[Dim::Is(rows)])?;
    let numbers = sounds.elements::<u32>()?;
    if let Some(row) = numbers.iter().position(|&number| number as usize >= spectrograms.rows()) {
        return Err(DataError::Value {
            file: sounds.file().to_owned(),
            row: Some(row),
            expected: format!("the number of one of {} spectrograms", spectrograms.rows()),
            found: numbers[row].to_string(),
        });
    }
    let labels = labels(&root.join(part).join(compact::LABELS), rows)?;
    let image = Samples::Scores { scores: finite(&scores)?, bases: finite(&bases)?, components };
    let audio = Samples::Rows { array: Arc::clone(spectrograms), numbers: Some(numbers) };
    audio.check_finite()?;
    Ok((Part { labels, image, audio }, side))
}

fn labels(path: &Path, rows: usize) -> Result<Vec<u32>, DataError> {
    let labels = Npy::read(path)?;
    labels.expect(&[Dim::Is(rows)])?;
    labels.to_labels(CLASSES)
}

fn square(spectrograms: &NpyRows) -> Result<usize, DataError> {
    let dims = spectrograms.dims();
    if dims[1] == dims[2] {
        return Ok(dims[1]);
    }
    Err(DataError::Shape {
        file: spectrograms.file().to_owned(),
        expected: format!("square spectrograms, [{}, {}, {}]", dims[0], dims[1], dims[1]),
        found: format!("{dims:?}"),
    })
}

fn finite(array: &NpyRows) -> Result<Vec<f32>, DataError> {
    let values = array.elements::<f32>()?;
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(DataError::Value {
            file: array.file().to_owned(),
            row: Some(at / array.dims()[1]),
            expected: "finite numbers".into(),
            found: values[at].to_string(),
        });
    }
    Ok(values)
}

impl AvmnistDataset {
    /// The part that holds a split, and its first row there.
    fn part(&self, split: Split) -> (&Part, usize) {
        match split {
            Split::Train => (&self.train, 0),
            Split::Valid => (&self.train, self.trained),
            Split::Test(_) => (&self.test, 0),
        }
    }
}

impl Dataset for AvmnistDataset {
    fn modalities(&self) -> &[Modality] {
        &self.modalities
    }

    fn len(&self, split: Split) -> usize {
        self.targets(split).len()
    }

    fn targets(&self, split: Split) -> Targets<'_> {
        let (part, first) = self.part(split);
        Targets::Labels(match split {
            Split::Train => &part.labels[..self.trained],
            Split::Valid | Split::Test(_) => &part.labels[first..],
        })
    }

    fn gather(&self, split: Split, modality: usize, rows: &[u32], out: &mut [f32]) {
        let (part, first) = self.part(split);
        let samples = if modality == IMAGE { &part.image } else { &part.audio };
        if let Err(error) = samples.gather(rows.iter().map(|&row| first + row as usize), out) {
            // Nothing that could be taken for data: training stops at the first NaN and asks for the fault.
            out.fill(f32::NAN);
            self.fault.get_or_init(|| error.to_string());
        }
    }

    fn sample(&self, split: Split, modality: usize, row: u32) -> u32 {
        let (part, first) = self.part(split);
        match (modality, &part.audio) {
            (AUDIO, Samples::Rows { numbers: Some(numbers), .. }) => numbers[first + row as usize],
            _ => row,
        }
    }

    fn loaded(&self) -> Option<Loaded> {
        Some(self.loaded)
    }

    fn fault(&self) -> Option<&str> {
        self.fault.get().map(String::as_str)
    }
}
