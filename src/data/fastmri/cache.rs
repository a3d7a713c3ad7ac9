//! What a build leaves: a folder with one array per volume and an index of them.
//!
//! `index.json` lists the volumes in the order of their ids; `volumes/<id>.npy` holds a volume's slices as `f32` (slices, 3,
//! side, side): real part, imaginary part, RSS.
//!
//! Invariant: the index is written last and whole, and sealed; a volume's file is the one whose digest the index names, or it
//! is refused.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Geometry;
use super::choices::Space;
use super::split::Part;
use crate::data::DataError;
use crate::data::names::is_plain;
use crate::digest::{Digest, Hasher};
use crate::files;

const INDEX: &str = "index.json";
const VERSION: u32 = 1;
const REMEDY: &str = "build it again with `i2m2 data build fastmri`";

/// Everything about a cache but the slices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    version: u32,
    /// Sizes.
    pub geometry: Geometry,
    /// Whose magnitude and phase the modalities are.
    pub space: Space,
    /// Digest of the annotations.
    pub annotations: Digest,
    /// The volumes, by id.
    pub volumes: Vec<Listed>,
    /// Volumes that are wider than the geometry, with their columns (deviation F16).
    pub dropped: Vec<(String, usize)>,
    seal: Digest,
}

/// A volume in the index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Train, valid or test.
    pub split: Part,
    /// Label of each slice: bit h says whether it has finding h.
    pub labels: Vec<u32>,
    /// The same without annotations of the whole study.
    pub labels_of_slices: Vec<u32>,
    /// What was read from the volume.
    pub record: Record,
}

/// What was read from a volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its id: the file's name without its ending.
    pub id: String,
    /// Digest of the raw file.
    pub source: Digest,
    /// Sizes that it was cut to.
    pub geometry: Geometry,
    /// What was kept.
    pub space: Space,
    /// Columns of k-space.
    pub columns: usize,
    /// Largest magnitude of each whole slice.
    pub peaks: Vec<f32>,
    /// Digest of the file of slices.
    pub slices: Digest,
}

/// Name of a volume's file of slices, below the cache.
pub(super) fn slices_name(id: &str) -> String {
    format!("volumes/{id}.npy")
}

/// A volume's record, kept beside its slices until the index holds it.
pub(super) fn record_path(cache: &Path, id: &str) -> PathBuf {
    cache.join("volumes").join(format!("{id}.json"))
}

impl Index {
    /// A sealed index.
    pub fn new(
        geometry: Geometry,
        space: Space,
        annotations: Digest,
        volumes: Vec<Listed>,
        dropped: Vec<(String, usize)>,
    ) -> Self {
        let seal = Digest::of(&[]);
        let mut index = Index { version: VERSION, geometry, space, annotations, volumes, dropped, seal };
        index.seal = index.sealed();
        index
    }

    fn sealed(&self) -> Digest {
        let mut hasher = Hasher::new("i2m2 fastmri index v1");
        let parts = (&self.geometry, &self.space, &self.annotations, &self.volumes, &self.dropped);
        // Plain structs and numbers: there is nothing in them that JSON cannot hold.
        hasher.field(&serde_json::to_vec(&parts).unwrap_or_default());
        hasher.finish()
    }

    /// Writes the index of a cache, unless it is there already.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, cache: &Path) -> Result<(), DataError> {
        let path = cache.join(INDEX);
        let bytes =
            serde_json::to_vec(self).map_err(|error| DataError::io(&path, "write it")(error.into()))?;
        if std::fs::read(&path).is_ok_and(|here| here == bytes) {
            return Ok(());
        }
        Ok(files::write(&path, &bytes)?)
    }

    /// Reads the index of a cache.
    ///
    /// # Errors
    /// When there is none, when it is damaged or of another version, and when it names a volume twice or a file elsewhere.
    pub fn read(cache: &Path) -> Result<Self, DataError> {
        let path = cache.join(INDEX);
        let file = path.display().to_string();
        let text = fs::read(&path).map_err(DataError::open(
            &path,
            "the index of a fastMRI cache",
            "`i2m2 data explain fastmri` says how to build one",
        ))?;
        let broken = |found: String| DataError::Malformed {
            file: file.clone(),
            expected: format!("the index of a fastMRI cache, version {VERSION}; {REMEDY}"),
            found,
        };
        let index: Index = serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
        if index.version != VERSION {
            return Err(broken(format!("version {}", index.version)));
        }
        if index.sealed() != index.seal {
            return Err(broken("one that was changed after it was written".to_owned()));
        }
        let Geometry { rows, columns, side } = index.geometry;
        if side == 0 || side > rows || side > columns {
            return Err(broken(format!("a crop of {side} from {rows} x {columns}")));
        }
        for listed in &index.volumes {
            let Record { id, geometry, space, peaks, .. } = &listed.record;
            let slices = peaks.len();
            let fits = is_plain(id)
                && (*geometry, *space) == (index.geometry, index.space)
                && (listed.labels.len(), listed.labels_of_slices.len()) == (slices, slices)
                && listed.labels.iter().chain(&listed.labels_of_slices).all(|&label| label < 16);
            if !fits {
                return Err(broken(format!("a volume `{id}` that does not fit")));
            }
        }
        if index.volumes.windows(2).any(|pair| pair[0].record.id >= pair[1].record.id) {
            return Err(broken("volumes out of order".to_owned()));
        }
        Ok(index)
    }

    /// Names of the cache's files, below it.
    pub fn files(&self) -> Vec<String> {
        let volumes = self.volumes.iter().map(|listed| slices_name(&listed.record.id));
        std::iter::once(INDEX.to_owned()).chain(volumes).collect()
    }
}
