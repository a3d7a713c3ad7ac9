//! NLVR2 in one value: two photographs and a sentence, true or false.

use std::path::Path;
use std::sync::Arc;

use super::choices::CHOICES;
use super::dataset::Shared;
use super::files::{identity, load};
use super::fixture::Pairs;
use super::{ID, TEST1, TITLE, TRUTH};
use crate::data::{
    DataError, DatasetSpec, Identity, Kind, Loader, ModalitySpec, Preparation, Prepared, StatCache, Target,
    Task,
};

/// NLVR2.
pub static SPEC: DatasetSpec = DatasetSpec {
    id: ID,
    title: TITLE,
    modalities: &[
        ModalitySpec { name: "images", kind: Kind::Images, dims: &[2, 3, 384, 384] },
        ModalitySpec { name: "sentence", kind: Kind::Tokens, dims: &[50] },
    ],
    tasks: |_| vec![Task::new(TRUTH, Target::classes_of(2))],
    test_splits: &[TEST1],
    subsets: &[],
    averages: &[],
    credentialed: false,
    synthetic: false,
    choices: &CHOICES,
    explain: include_str!("explain.txt"),
    loader: &Published,
    build: None,
    fixture: Some(&Pairs),
};

/// The published files.
struct Published;

impl Loader for Published {
    fn identity(
        &self,
        root: &Path,
        preparation: &Preparation,
        cache: &StatCache,
    ) -> Result<Identity, DataError> {
        identity(root, preparation, cache)
    }

    fn load(&self, root: &Path, preparation: &Preparation) -> Result<Arc<dyn Prepared>, DataError> {
        Ok(Arc::new(Shared(Arc::new(load(root, preparation)?))))
    }
}
