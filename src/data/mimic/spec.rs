//! MIMIC-III in one value: static features and hourly series of an admission.

use std::path::Path;
use std::sync::Arc;

use super::fixture::FIXTURE;
use super::{Cohort, ID, explain, identity, load, tasks};
use crate::data::{
    Choice, DataError, Dataset, DatasetSpec, Identity, Kind, Loader, ModalitySpec, Population, Preparation,
    Prepared, StatCache,
};

/// MIMIC-III.
pub(crate) static SPEC: DatasetSpec = DatasetSpec {
    id: ID,
    title: "MIMIC-III",
    modalities: &[
        ModalitySpec { name: "static", kind: Kind::Vector, dims: &[5] },
        ModalitySpec { name: "series", kind: Kind::Series, dims: &[24, 12] },
    ],
    tasks: |_| tasks(),
    test_splits: &["test"],
    subsets: &[],
    averages: &[],
    credentialed: true,
    synthetic: false,
    // Deviation M5.
    choices: &[Choice { key: STANDARDISE_ON, words: &["all", "train"], default: "all" }],
    explain: explain::TEXT,
    loader: &Files,
    build: None,
    fixture: Some(&FIXTURE),
};

const STANDARDISE_ON: &str = "standardise_on";

/// The arrays of the preprocessed file.
struct Files;

impl Loader for Files {
    fn identity(
        &self,
        root: &Path,
        preparation: &Preparation,
        cache: &StatCache,
    ) -> Result<Identity, DataError> {
        identity(root, preparation.read(STANDARDISE_ON)?, cache)
    }

    fn load(&self, root: &Path, preparation: &Preparation) -> Result<Arc<dyn Prepared>, DataError> {
        Ok(Arc::new(Shared(load(root, preparation.read(STANDARDISE_ON)?)?)))
    }
}

struct Shared(Arc<Cohort>);

impl Prepared for Shared {
    fn view(&self, task: &str, _: Option<Population>) -> Option<Arc<dyn Dataset>> {
        Some(Arc::new(self.0.task(task)?))
    }
}
