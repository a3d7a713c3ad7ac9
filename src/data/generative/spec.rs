//! The generative model in one value: two vectors that show latent states.

use std::path::Path;
use std::sync::Arc;

use super::dataset::{Sweep, identity, load};
use super::fixture::FIXTURE;
use super::{GENERATED, ID, tasks};
use crate::data::{
    DataError, Dataset, DatasetSpec, Identity, Kind, Loader, ModalitySpec, Population, Preparation, Prepared,
    StatCache,
};

/// The paper's generative model.
pub static SPEC: DatasetSpec = DatasetSpec {
    id: ID,
    title: "the paper's generative model",
    modalities: &[
        ModalitySpec { name: "first", kind: Kind::Vector, dims: &[16] },
        ModalitySpec { name: "second", kind: Kind::Vector, dims: &[16] },
    ],
    tasks: |_| tasks(),
    test_splits: &["test"],
    subsets: &[],
    averages: &[],
    credentialed: false,
    synthetic: true,
    choices: &[],
    explain: include_str!("explain.txt"),
    loader: &Files,
    build: None,
    fixture: Some(&FIXTURE),
};

/// A file for each selection strength.
struct Files;

impl Loader for Files {
    fn identity(&self, root: &Path, _: &Preparation, cache: &StatCache) -> Result<Identity, DataError> {
        identity(root, cache)
    }

    fn load(&self, root: &Path, _: &Preparation) -> Result<Arc<dyn Prepared>, DataError> {
        Ok(Arc::new(Shared(load(root)?)))
    }
}

struct Shared(Arc<Sweep>);

impl Prepared for Shared {
    fn view(&self, task: &str, draw: Option<Population>) -> Option<Arc<dyn Dataset>> {
        if task != GENERATED {
            return None;
        }
        Some(Arc::new(self.0.draw(draw?)?))
    }
}
