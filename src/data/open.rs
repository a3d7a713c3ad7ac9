//! Datasets by name: where they are, what they are, and how they are opened.

use std::path::Path;
use std::sync::Arc;

use super::avmnist::{self, AvmnistDataset};
use super::mimic::{self, Cohort};
use super::{DataError, Dataset, Identity, Source, StatCache, synthetic};
use crate::protocol::{DatasetName, Preparation, Task};

/// A dataset in memory, shared by the runs that read it. No `Debug`: samples may be credentialed.
pub enum Prepared {
    /// AV-MNIST.
    Avmnist(Arc<AvmnistDataset>),
    /// MIMIC-III.
    Mimic(Arc<Cohort>),
}

impl Prepared {
    /// The dataset with the labels of a task; `None` for a task of another dataset.
    pub fn task(&self, task: Task) -> Option<Arc<dyn Dataset>> {
        match self {
            Prepared::Avmnist(dataset) if task == Task::Digits => Some(dataset.clone()),
            Prepared::Avmnist(_) => None,
            Prepared::Mimic(cohort) => Some(Arc::new(cohort.task(task)?)),
        }
    }
}

/// The folder of a dataset's files; a fixture that is not there yet is generated.
fn folder(name: DatasetName, source: &Source) -> Result<std::path::PathBuf, DataError> {
    match source {
        Source::Folder(folder) => Ok(folder.clone()),
        Source::Fixture(fixtures) => {
            let folder = fixtures.join(name.to_string());
            synthetic::generate(name, &folder)?;
            Ok(folder)
        }
    }
}

/// Identity of a dataset: the digests of its files, through the stat cache.
///
/// # Errors
/// Missing or unreadable files.
pub fn identify(
    name: DatasetName,
    source: &Source,
    preparation: Preparation,
    cache: &StatCache,
) -> Result<Identity, DataError> {
    let folder = folder(name, source)?;
    match name {
        DatasetName::Avmnist => avmnist::identity(&folder, cache),
        DatasetName::Mimic => mimic::identity(&folder, preparation.standardise_on, cache),
    }
}

/// Opens a dataset.
///
/// # Errors
/// Everything that can be wrong with its files.
pub fn open(name: DatasetName, source: &Source, preparation: Preparation) -> Result<Prepared, DataError> {
    let folder = folder(name, source)?;
    Ok(match name {
        DatasetName::Avmnist => Prepared::Avmnist(Arc::new(avmnist::load(&folder)?)),
        DatasetName::Mimic => Prepared::Mimic(mimic::load(&folder, preparation.standardise_on)?),
    })
}

/// Hashes every file again and reads all of it as training would.
///
/// # Errors
/// A file that changed since `identity` was taken, or that cannot be read as the dataset.
pub fn verify(name: DatasetName, source: &Source, identity: &Identity) -> Result<(), DataError> {
    identity.verify()?;
    open(name, source, Preparation::default()).map(drop)
}

/// Where a dataset comes from, how to get it and under which terms.
pub fn explain(name: DatasetName) -> &'static str {
    match name {
        DatasetName::Avmnist => avmnist::explain(),
        DatasetName::Mimic => mimic::explain(),
    }
}

/// Whether a folder's data was built with the paper's Table 1 in view (the rebuilt AV-MNIST).
pub fn is_calibrated(name: DatasetName, folder: &Path) -> bool {
    name == DatasetName::Avmnist && avmnist::is_rebuilt(folder)
}
