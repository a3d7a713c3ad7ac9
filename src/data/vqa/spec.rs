//! VQA-VS in one value: a photograph and a question, and how right each answer is.

use std::path::Path;
use std::sync::Arc;

use super::choices::{CHOICES, classes};
use super::dataset::Shared;
use super::files::identity;
use super::fixture::Photos;
use super::load::load;
use super::{ANSWER, ID, IID, OOD, OOD_POOLED, TITLE};
use crate::data::{
    DataError, DatasetSpec, Identity, Kind, Loader, ModalitySpec, Preparation, Prepared, StatCache, Target,
    Task,
};

/// VQA-VS.
pub static SPEC: DatasetSpec = DatasetSpec {
    id: ID,
    title: TITLE,
    modalities: &[
        ModalitySpec { name: "image", kind: Kind::Images, dims: &[1, 3, 576, 576] },
        ModalitySpec { name: "question", kind: Kind::Tokens, dims: &[50] },
    ],
    tasks: |preparation| vec![Task::new(ANSWER, Target::Soft { classes: classes(preparation) })],
    test_splits: &[IID],
    subsets: &["qt", "kw", "kwp", "qt-kw", "ko", "kop", "qt-ko", "kw-ko", "qt-kw-ko", OOD_POOLED],
    averages: &[OOD],
    credentialed: false,
    synthetic: false,
    choices: &CHOICES,
    explain: include_str!("explain.txt"),
    loader: &Published,
    build: None,
    fixture: Some(&Photos),
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
