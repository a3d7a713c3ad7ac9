//! AV-MNIST in one value: an image and a spectrogram of a digit.

use std::path::Path;
use std::sync::Arc;

use super::dataset::{AvmnistDataset, identity, is_rebuilt, load};
use super::fixture::FIXTURE;
use super::options::Rebuild;
use super::{DIGITS, ID, tasks};
use crate::data::{
    DataError, Dataset, DatasetSpec, Identity, Kind, Loader, ModalitySpec, Population, Preparation, Prepared,
    StatCache,
};

/// AV-MNIST.
pub(crate) static SPEC: DatasetSpec = DatasetSpec {
    id: ID,
    title: "AV-MNIST",
    modalities: &[
        ModalitySpec { name: "image", kind: Kind::Map, dims: &[1, 28, 28] },
        ModalitySpec { name: "audio", kind: Kind::Map, dims: &[1, 112, 112] },
    ],
    tasks: |_| tasks(),
    test_splits: &["test"],
    subsets: &[],
    averages: &[],
    credentialed: false,
    synthetic: false,
    choices: &[],
    explain: include_str!("explain.txt"),
    loader: &Files,
    build: Some(&Rebuild),
    fixture: Some(&FIXTURE),
};

/// The published files, or those of a rebuild.
struct Files;

impl Loader for Files {
    fn identity(&self, root: &Path, _: &Preparation, cache: &StatCache) -> Result<Identity, DataError> {
        identity(root, cache)
    }

    fn load(&self, root: &Path, _: &Preparation) -> Result<Arc<dyn Prepared>, DataError> {
        Ok(Arc::new(Shared(Arc::new(load(root)?))))
    }

    fn is_calibrated(&self, root: &Path) -> bool {
        is_rebuilt(root)
    }
}

struct Shared(Arc<AvmnistDataset>);

impl Prepared for Shared {
    fn view(&self, task: &str, _: Option<Population>) -> Option<Arc<dyn Dataset>> {
        (task == DIGITS).then(|| self.0.clone() as Arc<dyn Dataset>)
    }
}
