//! Pretrained weights: an input of a run, like data.
//!
//! Invariant: they are told by the digest of their file, which is part of the key of every run that starts from them.

use std::path::{Path, PathBuf};

use super::identity::StatCache;
use super::{DataError, FileIdentity, Identity};
use crate::digest::{Digest, Hasher};

/// What is known of pretrained weights before their file is read.
#[derive(Debug)]
pub(crate) struct PretrainedSpec {
    /// Their name in studies and in folders.
    pub id: &'static str,
    /// Their name in text.
    pub title: &'static str,
    /// Their file, in the folder of this id.
    pub file: &'static str,
    /// Where they come from, how to get them and under which terms.
    pub explain: &'static str,
}

/// All pretrained weights that studies start from.
static REGISTRY: &[PretrainedSpec] = &[PretrainedSpec {
    id: "fiber",
    title: "FIBER",
    file: "fiber_pretrain.safetensors",
    explain: include_str!("fiber.txt"),
}];

/// All of them.
pub(crate) fn all() -> &'static [PretrainedSpec] {
    REGISTRY
}

/// The pretrained weights of this name, if there are any.
pub(crate) fn find(id: &str) -> Option<&'static PretrainedSpec> {
    REGISTRY.iter().find(|spec| spec.id == id)
}

impl PretrainedSpec {
    /// Where their file is, below a folder of data.
    pub(crate) fn path(&self, data: &Path) -> PathBuf {
        data.join(self.id).join(self.file)
    }

    /// What a file of them is.
    ///
    /// # Errors
    /// A file that is missing or cannot be read.
    pub(crate) fn identify(&self, path: &Path, cache: &StatCache) -> Result<Identity, DataError> {
        if !path.is_file() {
            return Err(DataError::Missing {
                path: path.to_owned(),
                expected: format!("the weights of {}", self.title),
                remedy: format!("`i2m2 data explain {}` says where they come from", self.id),
            });
        }
        let (digest, stat) = cache.digest(path)?;
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let mut hasher = Hasher::new("i2m2 pretrained v1");
        hasher.field(digest.bytes());
        let file = FileIdentity { name, path: path.to_owned(), digest, stat };
        Ok(Identity { digest: hasher.finish(), files: vec![file] })
    }
}

/// Pretrained weights that are here.
#[derive(Clone, Debug)]
pub struct Pretrained {
    /// What they are, as in the key of a run.
    pub digest: Digest,
    path: PathBuf,
}

impl Pretrained {
    /// Those of this identity, which has one file; `None` where it has none.
    pub fn of(identity: &Identity) -> Option<Self> {
        let path = identity.files.first()?.path.clone();
        Some(Pretrained { digest: identity.digest, path })
    }

    /// Their file, to be mapped by whoever builds a network of them.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
