//! Entries: storing, proving and reading them.
//!
//! Invariant: what is returned has been proved as deep as was asked for; a file's digest is taken of the very bytes that
//! are then used.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Store, StoreError, entries, logits, sealed};
use crate::digest::Digest;
use crate::engine::manifest::{FileRecord, Manifest};
use crate::experiment::{EpochReport, ExpertLogits, RunOutput, Tensors};
use crate::metric::Metrics;
use crate::study::{ProtocolName, Tier};

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const WEIGHTS: &str = "weights.safetensors";
pub(super) const LOGITS: &str = "logits.parquet";
pub(super) const EPOCHS: &str = "epochs.csv";
/// Marks an entry that was imported without weights and logits.
pub(super) const LEFT_OUT: &str = "left-out";

/// A stored run.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What is known about it.
    pub manifest: Manifest,
    /// Whether weights and logits are here; an import may have left them out.
    pub complete: bool,
}

/// An entry, or why it is not to be trusted.
pub type Proved = Result<Entry, StoreError>;

/// How deep an entry is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The manifest alone, and that the files are there with the right sizes.
    Manifest,
    /// Also the SHA-256 of every file.
    Files,
    /// Also the digests of the values in them.
    Values,
}

/// An entry in a list, for people and programs.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Identity of the run.
    pub key: Digest,
    /// For people.
    pub name: String,
    /// Smoke, reduced or paper.
    pub tier: Tier,
    /// Paper or released.
    pub protocol: ProtocolName,
    /// Root of the seed tree.
    pub seed: u64,
    /// The data.
    pub dataset: String,
    /// `cpu`, or the GPU model.
    pub device_class: String,
    /// Digest of the weights.
    pub weights: Digest,
    /// Digest of the test logits.
    pub logits: Digest,
    /// Scalars of the outcome.
    pub metrics: Metrics,
    /// When it was stored.
    pub created: String,
    /// Seconds it took.
    pub wall_seconds: f64,
    /// Size of its files.
    pub bytes: u64,
    /// Whether weights and logits are here.
    pub complete: bool,
}

impl From<&Entry> for Listed {
    fn from(entry: &Entry) -> Self {
        let manifest = entry.manifest.clone();
        Listed {
            key: manifest.key,
            name: manifest.name,
            tier: manifest.tier,
            protocol: manifest.protocol,
            seed: manifest.seed,
            dataset: manifest.dataset.name,
            device_class: manifest.device_class,
            weights: manifest.weights,
            logits: manifest.logits,
            metrics: manifest.metrics,
            created: manifest.created,
            wall_seconds: manifest.spent.wall_seconds,
            bytes: manifest.files.values().map(|file| file.bytes).sum(),
            complete: entry.complete,
        }
    }
}

impl Store {
    /// The folder of a run.
    pub fn entry_path(&self, key: Digest) -> PathBuf {
        let name = key.to_string();
        self.root().join("runs").join(&name[..2]).join(&name)
    }

    /// The stored run of a key, proved to a depth; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is not what was stored; [`StoreError::Version`] when another version wrote it.
    pub fn find(&self, key: Digest, depth: Depth) -> Result<Option<Entry>, StoreError> {
        let folder = self.entry_path(key);
        match fs::symlink_metadata(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Io { action: "look at", path: folder, source }),
            Ok(_) => read(&folder, key, depth).map(Some),
        }
    }

    /// The weights of a stored run, proved.
    ///
    /// # Errors
    /// As [`Store::find`], and [`StoreError::LeftOut`] when the entry came without weights.
    pub fn weights(&self, manifest: &Manifest) -> Result<Tensors, StoreError> {
        weights(&self.entry_path(manifest.key), manifest)
    }

    /// The test logits of a stored run, proved.
    ///
    /// # Errors
    /// As [`Store::weights`].
    pub fn logits(&self, manifest: &Manifest) -> Result<Vec<ExpertLogits>, StoreError> {
        test_logits(&self.entry_path(manifest.key), manifest)
    }

    /// Every entry, by key. A damaged one does not hide the others.
    ///
    /// # Errors
    /// When the folders cannot be listed.
    pub fn list(&self, depth: Depth) -> Result<Vec<(Digest, Proved)>, StoreError> {
        let mut found = Vec::new();
        // A stray file beside the folders is nobody's entry, and hides none.
        for folder in entries(&self.root().join("runs"))?.into_iter().filter(|path| path.is_dir()) {
            for path in entries(&folder)? {
                let Some(key) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else {
                    continue;
                };
                found.push((key, read(&path, key, depth)));
            }
        }
        Ok(found)
    }

    /// Stores an outcome: completes the manifest with metrics, digests and files, and writes all of it, or nothing. Hold
    /// the run's lock. An incomplete entry of the same key is replaced.
    ///
    /// # Errors
    /// [`StoreError::Output`] when a number is not finite or shapes do not fit; otherwise when the disk refuses.
    pub fn put(&self, mut manifest: Manifest, outcome: &RunOutput) -> Result<Manifest, StoreError> {
        let classes = manifest.recipe.task.logits();
        check(outcome, classes).map_err(StoreError::Output)?;
        let key = manifest.key;
        let encode = |file: &str, problem: String| StoreError::Encode { path: PathBuf::from(file), problem };
        let metadata = HashMap::from([("key".to_owned(), key.to_string())]);
        let files = [
            (WEIGHTS, outcome.weights.to_bytes(metadata).map_err(|e| encode(WEIGHTS, e.to_string()))?),
            (
                LOGITS,
                logits::to_parquet(&outcome.logits, classes).map_err(|e| encode(LOGITS, e.to_string()))?,
            ),
            (EPOCHS, epochs_csv(&outcome.epochs).map_err(|e| encode(EPOCHS, e.to_string()))?),
        ];
        manifest.metrics.clone_from(&outcome.metrics);
        manifest.weights = outcome.weights.digest();
        manifest.logits = logits::digest(&outcome.logits);
        manifest.files = files
            .iter()
            .map(|(name, bytes)| {
                let record = FileRecord { sha256: Digest::of(bytes), bytes: bytes.len() as u64 };
                ((*name).to_owned(), record)
            })
            .collect();
        let sealed = sealed::to_bytes(&manifest).map_err(|e| encode(MANIFEST, e.to_string()))?;
        let files: Vec<_> = files
            .iter()
            .map(|(name, bytes)| (*name, bytes.as_slice()))
            .chain([(MANIFEST, sealed.as_slice())])
            .collect();
        self.put_files(key, &files)?;
        Ok(manifest)
    }

    /// Writes the files of an entry aside and moves them into place together.
    pub(super) fn put_files(&self, key: Digest, files: &[(&str, &[u8])]) -> Result<(), StoreError> {
        let target = self.entry_path(key);
        let shelf = target.parent().unwrap_or(self.root());
        let aside = self.fresh("tmp", &key.short())?;
        let replaced = self.fresh("tmp", &format!("{}.replaced", key.short()))?;
        let disk = self.disk();
        let written = disk
            .create_folder(&aside)
            .and_then(|()| files.iter().try_for_each(|(name, bytes)| disk.write(&aside.join(name), &[bytes])))
            .and_then(|()| disk.sync_folder(&aside))
            .and_then(|()| disk.create_folder(shelf))
            .and_then(|()| disk.sync_folder(&self.root().join("runs")))
            .and_then(|()| disk.sync_folder(self.root()))
            .and_then(|()| if target.exists() { disk.rename(&target, &replaced) } else { Ok(()) })
            .and_then(|()| disk.rename(&aside, &target))
            .and_then(|()| disk.sync_folder(shelf));
        self.or_clean(written, "write", &target, &aside)?;
        disk.remove(&replaced).map_err(StoreError::io("remove", &replaced))
    }

    /// Moves an entry that is not to be trusted aside; says where to. Hold the run's lock.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn quarantine(&self, key: Digest) -> Result<PathBuf, StoreError> {
        let to = self.fresh("quarantine", &key.to_string())?;
        let from = self.entry_path(key);
        self.disk().rename(&from, &to).map_err(StoreError::io("move", &from))?;
        Ok(to)
    }
}

/// Reads and proves the entry in a folder.
pub(super) fn read(folder: &Path, key: Digest, depth: Depth) -> Result<Entry, StoreError> {
    let path = folder.join(MANIFEST);
    let bytes = bytes_of(&path, "a file")?;
    let manifest = sealed::from_bytes(&bytes, key, &path)?;
    let complete = !folder.join(LEFT_OUT).exists();
    for name in [WEIGHTS, LOGITS, EPOCHS] {
        if !complete && name != EPOCHS {
            continue;
        }
        if depth >= Depth::Files {
            proved(folder, &manifest, name)?;
        } else {
            sized(&folder.join(name), record(folder, &manifest, name)?)?;
        }
    }
    if complete && depth >= Depth::Values {
        weights(folder, &manifest)?;
        test_logits(folder, &manifest)?;
    }
    Ok(Entry { manifest, complete })
}

fn weights(folder: &Path, manifest: &Manifest) -> Result<Tensors, StoreError> {
    let bytes = proved(folder, manifest, WEIGHTS)?;
    let path = folder.join(WEIGHTS);
    let (tensors, _) = Tensors::from_bytes(&bytes)
        .map_err(|e| corrupt(&path, "weights in safetensors".to_owned(), e.to_string()))?;
    same(&path, manifest.weights, tensors.digest())?;
    Ok(tensors)
}

fn test_logits(folder: &Path, manifest: &Manifest) -> Result<Vec<ExpertLogits>, StoreError> {
    let bytes = proved(folder, manifest, LOGITS)?;
    let path = folder.join(LOGITS);
    let experts = logits::from_parquet(bytes)
        .map_err(|e| corrupt(&path, "logits in Parquet".to_owned(), e.to_string()))?;
    same(&path, manifest.logits, logits::digest(&experts))?;
    Ok(experts)
}

fn record(folder: &Path, manifest: &Manifest, name: &str) -> Result<FileRecord, StoreError> {
    let missing = || corrupt(&folder.join(MANIFEST), format!("a record of {name}"), "none".to_owned());
    manifest.files.get(name).copied().ok_or_else(missing)
}

/// The bytes of a file, which are those that were stored.
fn proved(folder: &Path, manifest: &Manifest, name: &str) -> Result<Vec<u8>, StoreError> {
    let record = record(folder, manifest, name)?;
    let path = folder.join(name);
    if name != EPOCHS && folder.join(LEFT_OUT).exists() {
        return Err(StoreError::LeftOut { path });
    }
    sized(&path, record)?;
    let bytes = bytes_of(&path, "a file")?;
    same(&path, record.sha256, Digest::of(&bytes))?;
    Ok(bytes)
}

/// That a file is there, is a plain file and has its size.
fn sized(path: &Path, record: FileRecord) -> Result<(), StoreError> {
    let expected = || format!("a file of {} bytes", record.bytes);
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() == record.bytes => Ok(()),
        Ok(meta) if meta.is_file() => Err(corrupt(path, expected(), format!("{} bytes", meta.len()))),
        Ok(_) => Err(corrupt(path, expected(), "something else than a file".to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(corrupt(path, expected(), "nothing".to_owned()))
        }
        Err(source) => Err(StoreError::Io { action: "look at", path: path.to_owned(), source }),
    }
}

fn bytes_of(path: &Path, expected: &str) -> Result<Vec<u8>, StoreError> {
    fs::read(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => corrupt(path, expected.to_owned(), "nothing".to_owned()),
        _ => StoreError::Io { action: "read", path: path.to_owned(), source },
    })
}

fn corrupt(path: &Path, expected: String, found: String) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), expected, found }
}

fn same(path: &Path, expected: Digest, found: Digest) -> Result<(), StoreError> {
    if expected == found {
        return Ok(());
    }
    Err(corrupt(path, format!("content of digest {expected}"), format!("digest {found}")))
}

/// That every number is finite and every shape fits. A NaN never gets into the store.
fn check(outcome: &RunOutput, columns: usize) -> Result<(), String> {
    if let Some((name, value)) = outcome.metrics.iter().find(|(_, value)| !value.is_finite()) {
        return Err(format!("metric `{name}` is {value}"));
    }
    for report in &outcome.epochs {
        let numbers = std::iter::once(("train_loss", report.train_loss));
        let numbers = numbers.chain(report.valid.iter().map(|(name, &value)| (name.as_str(), value)));
        if let Some((name, value)) = numbers.into_iter().find(|(_, value)| !value.is_finite()) {
            return Err(format!("`{name}` of epoch {} is {value}", report.epoch));
        }
    }
    for (name, tensor) in &outcome.weights.0 {
        if tensor.values.iter().any(|value| !value.is_finite()) {
            return Err(format!("weights `{name}` hold a value that is not finite"));
        }
        if tensor.dims.iter().product::<usize>() != tensor.values.len() {
            return Err(format!(
                "weights `{name}` hold {} values for {:?}",
                tensor.values.len(),
                tensor.dims
            ));
        }
    }
    let names: BTreeSet<_> = outcome.logits.iter().map(|expert| (&expert.split, &expert.name)).collect();
    if names.len() != outcome.logits.len() {
        return Err("two experts have one name".to_owned());
    }
    for expert in &outcome.logits {
        if expert.logits.iter().any(|value| !value.is_finite()) {
            return Err(format!("logits of `{}` hold a value that is not finite", expert.name));
        }
        // Experts have logits for the same examples, split by split.
        let first = outcome.logits.iter().find(|first| first.split == expert.split).unwrap_or(expert);
        let fits = expert.logits.len().is_multiple_of(columns) && expert.logits.len() == first.logits.len();
        if !fits {
            return Err(format!(
                "`{}` has {} logits, not {columns} for each example",
                expert.name,
                expert.logits.len()
            ));
        }
    }
    Ok(())
}

/// Per-epoch metrics: `epoch`, `train_loss`, `improved`, then `valid_<name>` in the order of names; floats in their
/// shortest exact form.
fn epochs_csv(reports: &[EpochReport]) -> Result<Vec<u8>, csv::Error> {
    let names: BTreeSet<&String> = reports.iter().flat_map(|report| report.valid.keys()).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = ["epoch", "train_loss", "improved"].map(str::to_owned);
    writer.write_record(head.into_iter().chain(names.iter().map(|name| format!("valid_{name}"))))?;
    for report in reports {
        let row = [report.epoch.to_string(), format!("{:?}", report.train_loss), report.improved.to_string()];
        let valid =
            names.iter().map(|&name| report.valid.get(name).map_or_else(String::new, |v| format!("{v:?}")));
        writer.write_record(row.into_iter().chain(valid))?;
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}
