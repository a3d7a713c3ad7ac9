//! Datasets by name: where they are, what they are, and how they are opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::avmnist::{self, AvmnistDataset};
use super::fastmri::{self, KneeDataset};
use super::generative::{self, Sweep};
use super::mimic::{self, Cohort};
use super::synthetic::knee::KneeSettings;
use super::{DataError, Dataset, Identity, Source, StatCache, synthetic};
use crate::protocol::{DatasetName, KneeFixture, Preparation, Recipe, Space, Task};

/// A dataset in memory or mapped, shared by the runs that read it. No `Debug`: samples may be credentialed.
pub enum Prepared {
    /// AV-MNIST.
    Avmnist(Arc<AvmnistDataset>),
    /// MIMIC-III.
    Mimic(Arc<Cohort>),
    /// fastMRI.
    Fastmri(Arc<KneeDataset>),
    /// The generative model.
    Generative(Arc<Sweep>),
}

impl Prepared {
    /// What a recipe reads of it, with the labels of its task; `None` where that is not here.
    pub fn of(&self, recipe: &Recipe) -> Option<Arc<dyn Dataset>> {
        let task = recipe.task;
        match self {
            Prepared::Generative(sweep) => Some(Arc::new(sweep.draw(recipe.population?)?)),
            Prepared::Avmnist(dataset) if task == Task::Digits => Some(dataset.clone()),
            Prepared::Avmnist(_) => None,
            Prepared::Mimic(cohort) => Some(Arc::new(cohort.task(task)?)),
            Prepared::Fastmri(slices) if task == Task::Knee => Some(slices.clone()),
            Prepared::Fastmri(_) => None,
        }
    }
}

/// The folder of a dataset's files.
fn folder(name: DatasetName, source: &Source, preparation: Preparation) -> PathBuf {
    match source {
        Source::Folder(folder) => folder.clone(),
        Source::Fixture(fixtures) if name == DatasetName::Fastmri => {
            fixtures.join(synthetic::knee::name(preparation.knee_fixture)).join("cache")
        }
        Source::Fixture(fixtures) => fixtures.join(name.to_string()),
    }
}

/// Makes a fixture that is not there yet.
fn prepare(
    name: DatasetName,
    source: &Source,
    preparation: Preparation,
    stats: &StatCache,
) -> Result<(), DataError> {
    match source {
        Source::Folder(_) => Ok(()),
        Source::Fixture(fixtures) if name == DatasetName::Fastmri => {
            knee(fixtures, preparation.knee_fixture, stats)
        }
        Source::Fixture(_) => synthetic::generate(name, &folder(name, source, preparation), stats),
    }
}

/// The raw files of a synthetic fastMRI, and the cache that is built from them.
fn knee(fixtures: &Path, fixture: KneeFixture, stats: &StatCache) -> Result<(), DataError> {
    let settings = KneeSettings::embedded(fixture)?;
    let folder = fixtures.join(synthetic::knee::name(fixture));
    synthetic::knee::generate(&settings, synthetic::knee::pinned(fixture), &folder, stats)?;
    let options = fastmri::BuildOptions {
        volumes: folder.join("volumes"),
        annotations: folder.join("knee.csv"),
        file_list: Some(folder.join("knee_file_list.csv")),
        space: Space::Image,
        geometry: settings.geometry,
        out: folder.join("cache"),
    };
    fastmri::build(&options, &fastmri::Unheard, stats).map(drop)
}

fn choices(preparation: Preparation) -> fastmri::Choices {
    let Preparation { magnitude_norm, study_level, .. } = preparation;
    fastmri::Choices { magnitude_norm, study_level }
}

/// Identity of a dataset: the digests of its files, through the stat cache. A fixture that is not there yet is made.
///
/// # Errors
/// Missing or unreadable files.
pub fn identify(
    name: DatasetName,
    source: &Source,
    preparation: Preparation,
    cache: &StatCache,
) -> Result<Identity, DataError> {
    prepare(name, source, preparation, cache)?;
    let folder = folder(name, source, preparation);
    match name {
        DatasetName::Avmnist => avmnist::identity(&folder, cache),
        DatasetName::Mimic => mimic::identity(&folder, preparation.standardise_on, cache),
        DatasetName::Fastmri => fastmri::identity(&folder, choices(preparation), cache),
        DatasetName::Generative => generative::identity(&folder, cache),
    }
}

/// Opens a dataset, of which [`identify`] has been asked before.
///
/// # Errors
/// Everything that can be wrong with its files.
pub fn open(name: DatasetName, source: &Source, preparation: Preparation) -> Result<Prepared, DataError> {
    let folder = folder(name, source, preparation);
    Ok(match name {
        DatasetName::Avmnist => Prepared::Avmnist(Arc::new(avmnist::load(&folder)?)),
        DatasetName::Mimic => Prepared::Mimic(mimic::load(&folder, preparation.standardise_on)?),
        DatasetName::Fastmri => Prepared::Fastmri(Arc::new(fastmri::load(&folder, choices(preparation))?)),
        DatasetName::Generative => Prepared::Generative(generative::load(&folder)?),
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
        DatasetName::Fastmri => fastmri::explain(),
        DatasetName::Generative => generative::explain(),
    }
}

/// Whether a folder's data was built with the paper's Table 1 in view (the rebuilt AV-MNIST).
pub fn is_calibrated(name: DatasetName, folder: &Path) -> bool {
    name == DatasetName::Avmnist && avmnist::is_rebuilt(folder)
}
