//! fastMRI knee in one value: magnitude, phase and RSS of slices, with four findings each.

use std::path::Path;
use std::sync::Arc;

use super::choices::Choices;
use super::dataset::{KneeDataset, identity, load};
use super::fixture::Volumes;
use super::labels::FINDINGS;
use super::options::Slices;
use super::{FIXTURE, KNEE};
use crate::data::{
    Choice, DataError, Dataset, DatasetSpec, Identity, Kind, Loader, ModalitySpec, Population, Preparation,
    Prepared, StatCache, Target, Task,
};

/// fastMRI.
pub static SPEC: DatasetSpec = DatasetSpec {
    id: "fastmri",
    title: "fastMRI",
    modalities: &[
        ModalitySpec { name: "magnitude", kind: Kind::Map, dims: &[1, 320, 320] },
        ModalitySpec { name: "phase", kind: Kind::Map, dims: &[1, 320, 320] },
        ModalitySpec { name: "rss", kind: Kind::Map, dims: &[1, 320, 320] },
    ],
    tasks: |_| vec![Task::new(KNEE, Target::binary(FINDINGS))],
    test_splits: &["test"],
    subsets: &[],
    averages: &[],
    credentialed: true,
    synthetic: false,
    choices: &[
        // Deviation F3.
        Choice {
            key: "magnitude_norm",
            words: &["none", "slice-max", "volume-max", "slice-zscore"],
            default: "slice-max",
        },
        // Deviation F12.
        Choice { key: "study_level", words: &["slice0", "ignore"], default: "slice0" },
        // Which synthetic data the smoke tier has.
        Choice { key: FIXTURE, words: &["additive", "interaction"], default: "additive" },
    ],
    explain: include_str!("explain.txt"),
    loader: &Cache,
    build: Some(&Slices),
    fixture: Some(&Volumes),
};

/// Slices in a cache.
struct Cache;

fn choices(preparation: &Preparation) -> Result<Choices, DataError> {
    Ok(Choices {
        magnitude_norm: preparation.read("magnitude_norm")?,
        study_level: preparation.read("study_level")?,
    })
}

impl Loader for Cache {
    fn identity(
        &self,
        root: &Path,
        preparation: &Preparation,
        cache: &StatCache,
    ) -> Result<Identity, DataError> {
        identity(root, choices(preparation)?, cache)
    }

    fn load(&self, root: &Path, preparation: &Preparation) -> Result<Arc<dyn Prepared>, DataError> {
        Ok(Arc::new(Shared(Arc::new(load(root, choices(preparation)?)?))))
    }
}

struct Shared(Arc<KneeDataset>);

impl Prepared for Shared {
    fn view(&self, task: &str, _: Option<Population>) -> Option<Arc<dyn Dataset>> {
        (task == KNEE).then(|| self.0.clone() as Arc<dyn Dataset>)
    }
}
