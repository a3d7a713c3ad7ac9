//! The compact form of AV-MNIST on disk: each distinct spectrogram once, images as scores and bases.
//!
//! Invariant: a folder under its final name is a whole build. Everything is written into a folder aside, flushed, and
//! renamed; the manifest names the digest of every data file and holds neither times nor paths of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::data::DataError;
use crate::data::Identity;
use crate::data::formats::npy::{self, Element};
use crate::data::identity::StatCache;
use crate::digest::Digest;
use crate::files;

/// The manifest's name; a folder that holds one is a compact build.
pub(super) const MANIFEST: &str = "manifest.json";
/// `[distinct, side, side]` u8.
pub(super) const SPECTROGRAMS: &str = "spectrograms.npy";
/// `[rows]` u32, below the number of spectrograms.
pub(super) const SOUNDS: &str = "sounds.npy";
/// `[rows, components]` f32.
pub(super) const SCORES: &str = "scores.npy";
/// `[components, pixels]` f32.
pub(super) const BASES: &str = "bases.npy";
/// `[rows]` u8.
pub(super) const LABELS: &str = "labels.npy";
/// Data files of the form.
pub(super) const FILES: [&str; 9] = [
    SPECTROGRAMS,
    "train/sounds.npy",
    "train/scores.npy",
    "train/bases.npy",
    "train/labels.npy",
    "test/sounds.npy",
    "test/scores.npy",
    "test/bases.npy",
    "test/labels.npy",
];

/// Name of the form, in the manifest and in the digest.
const FORM: &str = "i2m2 avmnist compact v1";
const LICENCE: &str = "CC BY-SA 4.0";
const ATTRIBUTION: &str = "Spectrograms are adapted from the Free Spoken Digit Dataset (Zohar Jackson and \
    contributors, https://github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0); images from MNIST (Yann \
    LeCun, Corinna Cortes and Christopher J. C. Burges, commonly quoted as CC BY-SA 3.0); noise, where there is any, \
    from ESC-10 (Karol J. Piczak and the Freesound authors that its README names, CC BY 3.0). Cut to principal \
    components, drawn as spectrograms, paired and partly misaligned. Share alike.";

/// What a build was made of and what it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Name and version of the form.
    pub form: String,
    /// Over every data file's name and content; goes into the keys of the runs that read it.
    pub digest: Digest,
    /// The choices.
    pub settings: BuildSettings,
    /// The sources.
    pub sources: BTreeMap<String, Digest>,
    /// Distinct spectrograms.
    pub spectrograms: usize,
    /// Training and validation rows.
    pub train: Part,
    /// Test rows.
    pub test: Part,
    /// Digest of every data file.
    pub files: BTreeMap<String, Digest>,
    /// Licence of the built set.
    pub licence: String,
    /// Whose works it was made from.
    pub attribution: String,
}

/// The choices of a build (deviation A7).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BuildSettings {
    /// Share of the rows that keep their own label's recording.
    pub aligned_share: f64,
    /// Principal components kept.
    pub components: usize,
    /// Factor of the noise; 0 for none.
    pub noise_power: f64,
    /// FSDD's speakers.
    pub speakers: Vec<String>,
    /// Root of the random choices.
    pub seed: u64,
}

/// One of the two files of the published set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Rows.
    pub rows: usize,
    /// Share of the rows whose recording says their label.
    pub agreement: f64,
    /// Share of the variance that each kept component explains.
    pub explained: Vec<f64>,
}

/// What the data files do not say.
pub(super) struct Facts {
    pub settings: BuildSettings,
    pub sources: BTreeMap<String, Digest>,
    pub spectrograms: usize,
    pub train: Part,
    pub test: Part,
}

/// A build under way, aside; removed again unless it is finished.
pub(super) struct Draft {
    aside: TempDir,
    out: PathBuf,
}

impl Draft {
    /// Begins a build that is to be called `out`.
    ///
    /// # Errors
    /// When `out` is something else than an earlier build, and what the system refuses.
    pub(super) fn begin(out: &Path) -> Result<Self, DataError> {
        replaceable(out)?;
        let create = || {
            let aside = files::folder_beside(out)?;
            fs::create_dir(aside.path().join("train"))?;
            fs::create_dir(aside.path().join("test"))?;
            Ok(aside)
        };
        let aside = create().map_err(DataError::io(out, "create it"))?;
        Ok(Draft { aside, out: out.to_owned() })
    }

    /// Writes an array.
    ///
    /// # Errors
    /// What the system refuses.
    pub(super) fn array<T: Element>(
        &self,
        name: &str,
        dims: &[usize],
        values: &[T],
    ) -> Result<(), DataError> {
        let path = self.aside.path().join(name);
        files::write_in_place(&path, |out| npy::write(out, dims, values))
            .map_err(DataError::io(&path, "write it"))
    }

    /// Writes an array of bytes piece by piece; each piece is written as `pieces` yields it.
    ///
    /// # Errors
    /// What `pieces` yields, and what the system refuses.
    pub(super) fn bytes(
        &self,
        name: &str,
        dims: &[usize],
        pieces: impl Iterator<Item = Result<Vec<u8>, DataError>>,
    ) -> Result<(), DataError> {
        let path = self.aside.path().join(name);
        // The first piece that cannot be had ends the file, which then goes with the whole build.
        let mut failed = None;
        let written = files::write_in_place(&path, |out| {
            npy::write_header::<u8>(out, dims)?;
            let mut had = pieces.map_while(|piece| piece.map_err(|error| failed = Some(error)).ok());
            had.try_for_each(|piece| out.write_all(&piece))
        });
        failed.map_or(written.map_err(DataError::io(&path, "write it")), Err)
    }

    /// Writes the manifest and gives the build its name; returns the manifest and the bytes of all files.
    ///
    /// # Errors
    /// What the system refuses; an earlier build is then still there.
    pub(super) fn finish(self, facts: Facts) -> Result<(Manifest, u64), DataError> {
        let identity = identity_of(self.aside.path(), &StatCache::in_memory())?;
        let manifest = Manifest {
            form: FORM.into(),
            digest: identity.digest,
            settings: facts.settings,
            sources: facts.sources,
            spectrograms: facts.spectrograms,
            train: facts.train,
            test: facts.test,
            files: identity.files.iter().map(|file| (file.name.clone(), file.digest)).collect(),
            licence: LICENCE.into(),
            attribution: ATTRIBUTION.into(),
        };
        let path = self.aside.path().join(MANIFEST);
        let write = || {
            let mut text = serde_json::to_vec_pretty(&manifest)?;
            text.push(b'\n');
            files::write_in_place(&path, |out| out.write_all(&text))?;
            Ok(text.len() as u64)
        };
        let size = write().map_err(DataError::io(&path, "write it"))?;
        self.publish().map_err(DataError::io(&self.out, "give the finished build this name"))?;
        Ok((manifest, size + identity.files.iter().map(|file| file.stat.size).sum::<u64>()))
    }

    fn publish(&self) -> io::Result<()> {
        let aside = self.aside.path();
        for folder in ["train", "test", ""] {
            files::sync_folder(&aside.join(folder))?;
        }
        // A folder cannot replace a full one, so an earlier build steps aside first, and comes back on failure.
        let earlier = aside.with_extension("earlier");
        let replaces = self.out.exists();
        if replaces {
            fs::rename(&self.out, &earlier)?;
        }
        if let Err(error) = fs::rename(aside, &self.out) {
            if replaces {
                fs::rename(&earlier, &self.out)?;
            }
            return Err(error);
        }
        if replaces {
            fs::remove_dir_all(&earlier)?;
        }
        files::sync_folder(files::parent(&self.out))
    }
}

/// Whether a build may take this name.
fn replaceable(out: &Path) -> Result<(), DataError> {
    if !out.exists() {
        return Ok(());
    }
    let empty = || fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    if out.join(MANIFEST).is_file() {
        return manifest(out).map(|_| ());
    }
    if empty() {
        return Ok(());
    }
    Err(DataError::Malformed {
        file: out.display().to_string(),
        expected: "a new or empty folder, or an earlier build, to write to".into(),
        found: "something else, which is left as it is; name another folder with --out".into(),
    })
}

/// Reads a build's manifest.
///
/// # Errors
/// A missing, unreadable or foreign manifest.
pub(super) fn manifest(root: &Path) -> Result<Manifest, DataError> {
    let path = root.join(MANIFEST);
    let remedy = "build it again with `i2m2 data build avmnist`";
    let text = fs::read(&path).map_err(DataError::open(&path, "a build's manifest", remedy))?;
    let malformed = |found: String| DataError::Malformed {
        file: path.display().to_string(),
        expected: format!("the manifest of a build of form `{FORM}`"),
        found,
    };
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
    if manifest.form != FORM {
        return Err(malformed(format!("form `{}`", manifest.form)));
    }
    Ok(manifest)
}

/// The identity of a build's data files.
pub(super) fn identity_of(root: &Path, cache: &StatCache) -> Result<Identity, DataError> {
    Identity::of(root, &FILES, FORM, "", cache)
}
