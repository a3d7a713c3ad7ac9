//! MIMIC-III: five static features (x) and twelve hourly series (x') of each admission.
//!
//! The harness reads `im.npz`, the four arrays of the
//! distributed pickle `im.pk`; `scripts/mimic_pickle_to_npz.py` converts, the harness never unpickles.
//!
//! Invariant: rows are credentialed. The types that hold them have neither `Debug` nor `Display` nor `Serialize`, and
//! errors name the file and the array, never a row or a value.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::formats::npy::Dim;
use super::formats::npz::Npz;
use super::gather::gather_rows;
use super::{
    DataError, Dataset, Identity, Loaded, Modality, Split, StatCache, Target, Targets, Task, identity,
};
pub(crate) use spec::SPEC;
pub(crate) use standardise::StandardiseOn;

mod explain;
pub(crate) mod fixture;
mod labels;
mod spec;
mod standardise;

/// The file, below the dataset's folder.
pub(crate) const FILE: &str = "im.npz";
/// Static features.
const STATIC: [usize; 1] = [5];
/// Hours and channels.
const SERIES: [usize; 2] = [24, 12];
/// Columns of `adm_labels_all` and of `y_icd9`.
const LABELS: [usize; 2] = [6, 20];
/// MIMIC-III has 58,976 admissions; a file with far more is something else.
const MOST: usize = 100_000;
/// Fewer would leave no row for validation or test.
const FEWEST: usize = 10;
/// Changes whenever this loader makes other values of the same file.
const LOADER: &str = "mimic 1";
/// Seed of the released code's shuffle.
const SHUFFLE_SEED: u32 = 10;

/// The rows of one file, standardised, in the order of the splits, with the labels of all three tasks.
pub(crate) struct Cohort {
    rows: usize,
    statics: Vec<f32>,
    series: Vec<f32>,
    /// Of each task.
    labels: [Vec<u32>; 3],
    modalities: [Modality; 2],
    loaded: Loaded,
}

/// A cohort with the labels of one task. Tasks share the cohort's memory.
pub(crate) struct MimicDataset {
    cohort: Arc<Cohort>,
    /// The task's place among [`TASKS`].
    task: usize,
}

/// Its id.
const ID: &str = "mimic";
/// The tasks: survival, six classes; neoplasms and respiratory diseases, yes or no.
const TASKS: [(&str, usize); 3] = [("mortality", 6), ("icd9-140-239", 2), ("icd9-460-519", 2)];

fn tasks() -> Vec<Task> {
    TASKS.iter().map(|&(id, classes)| Task::new(id, Target::classes_of(classes))).collect()
}

/// Identity of the prepared data, for keys.
///
/// # Errors
/// A file that is missing, unreadable, or outside of `root`.
pub(crate) fn identity(root: &Path, on: StandardiseOn, cache: &StatCache) -> Result<Identity, DataError> {
    let choices = match on {
        StandardiseOn::All => "standardise on all",
        StandardiseOn::Train => "standardise on train",
    };
    present(root)?;
    Identity::of(root, &[FILE], LOADER, choices, cache)
}

/// Loads `im.npz` below `root`.
///
/// # Errors
/// A file that is missing, broken, or has other arrays, shapes or types than the preprocessed file.
pub(crate) fn load(root: &Path, on: StandardiseOn) -> Result<Arc<Cohort>, DataError> {
    present(root)?;
    let mut npz = Npz::open(&identity::inside(root, FILE)?)?;
    let dims = |rows: Dim, rest: &[usize]| -> Vec<Dim> {
        std::iter::once(rows).chain(rest.iter().map(|&dim| Dim::Is(dim))).collect()
    };
    // The smallest array fixes the number of rows before a large one is inflated.
    let rows = npz.dims("adm_features_all", &dims(Dim::UpTo(MOST), &STATIC))?[0];
    if rows < FEWEST {
        return Err(DataError::Shape {
            file: format!("{}[adm_features_all]", root.join(FILE).display()),
            expected: format!("at least {FEWEST} rows, so that every split has one"),
            found: rows.to_string(),
        });
    }
    let order = super::shuffle::python_shuffle(SHUFFLE_SEED, rows as u32);
    let mut fitted = match on {
        StandardiseOn::All => order.clone(),
        StandardiseOn::Train => order[part(rows, Split::Train)].to_vec(),
    };
    // Statistics are summed in the order of the file, as numpy does.
    fitted.sort_unstable();
    let mut read = |name: &str, rest: &[usize]| npz.array(name, &dims(Dim::Is(rows), rest));
    let adm_labels = read("adm_labels_all", &LABELS[..1])?;
    let y_icd9 = read("y_icd9", &LABELS[1..])?;
    Ok(Arc::new(Cohort {
        rows,
        statics: standardise::standardise(&read("adm_features_all", &STATIC)?, STATIC[0], &fitted, &order)?,
        series: standardise::standardise(&read("ep_tdata", &SERIES)?, SERIES[1], &fitted, &order)?,
        labels: [
            labels::mortality(&adm_labels, &order)?,
            labels::icd9(&y_icd9, 1, &order)?,
            labels::icd9(&y_icd9, 7, &order)?,
        ],
        modalities: [Modality::new("static", STATIC), Modality::new("series", SERIES)],
        loaded: Loaded::new(),
    }))
}

/// A missing file is told with how to get it.
fn present(root: &Path) -> Result<(), DataError> {
    let path = root.join(FILE);
    match std::fs::metadata(&path) {
        Ok(_) => Ok(()),
        Err(error) => Err(DataError::open(
            &path,
            "the preprocessed MIMIC-III arrays",
            "`i2m2 data explain mimic` says how to get and convert them",
        )(error)),
    }
}

/// Positions of a split in the shuffled order: the first tenth validates, the second tests, the rest trains.
fn part(rows: usize, split: Split) -> Range<usize> {
    match split {
        Split::Valid => 0..rows / 10,
        Split::Test(_) => rows / 10..rows / 5,
        Split::Train => rows / 5..rows,
    }
}

impl Cohort {
    /// The cohort with the labels of a task; `None` for a task of another dataset.
    pub(crate) fn task(self: &Arc<Self>, task: &str) -> Option<MimicDataset> {
        let task = TASKS.iter().position(|(id, _)| *id == task)?;
        Some(MimicDataset { cohort: Arc::clone(self), task })
    }
}

impl Dataset for MimicDataset {
    fn modalities(&self) -> &[Modality] {
        &self.cohort.modalities
    }

    fn len(&self, split: Split) -> usize {
        part(self.cohort.rows, split).len()
    }

    fn targets(&self, split: Split) -> Targets<'_> {
        Targets::Labels(&self.cohort.labels[self.task][part(self.cohort.rows, split)])
    }

    fn gather(&self, split: Split, modality: usize, rows: &[u32], out: &mut [f32]) {
        let values = if modality == 0 { &self.cohort.statics } else { &self.cohort.series };
        let width = self.cohort.modalities[modality].features();
        let part = part(self.cohort.rows, split);
        gather_rows(&values[part.start * width..part.end * width], width, rows, out);
    }

    fn loaded(&self) -> Option<Loaded> {
        Some(self.cohort.loaded)
    }
}

#[cfg(test)]
mod tests;
