//! What the store knows about one run.
//!
//! Invariant: a manifest proves itself. Its key is recomputed from what it says it was trained from, and a seal (the
//! digest of all its values) shows whether anything was edited since. Schema version 1; a reader refuses other versions.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::plan::{KeyParts, Plan, Run};
use super::store::StoreError;
use crate::digest::{Digest, Hasher};
use crate::protocol::{Change, DatasetName, ProtocolName, Recipe, Tier};
use crate::provenance::Provenance;

/// Version of the format.
pub const SCHEMA_VERSION: u32 = 1;

/// The data a run was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// Its name.
    pub name: DatasetName,
    /// Digest of the prepared dataset, as in the key.
    pub digest: Digest,
    /// SHA-256 of each file, by its path below the dataset's root.
    pub files: BTreeMap<String, Digest>,
}

/// How far two runs with the same key agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Determinism {
    /// Bit for bit, on any machine of the device class.
    Bitwise,
    /// Bit for bit on one device.
    SameDevice,
    /// In distribution only.
    Statistical,
}

/// What training cost, over all interruptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Training steps.
    pub steps: u64,
    /// Seconds in training steps, without validation, test and storing.
    pub training_seconds: f64,
    /// Seconds from start to end.
    pub wall_seconds: f64,
}

/// A file of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its SHA-256.
    pub sha256: Digest,
    /// Its size.
    pub bytes: u64,
}

/// What the store knows about one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Identity of the run.
    pub key: Digest,
    /// For people; as in the plan that first trained it.
    pub name: String,
    /// The resolved configuration.
    pub recipe: Recipe,
    /// Smoke, reduced or paper.
    pub tier: Tier,
    /// The protocol of the plan that first trained it.
    pub protocol: ProtocolName,
    /// Values of that protocol that were changed on the command line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Root of the seed tree.
    pub seed: u64,
    /// The data.
    pub dataset: DatasetRecord,
    /// Keys of the upstream runs.
    pub upstream: Vec<Digest>,
    /// `cpu`, or the GPU model.
    pub device_class: String,
    /// How far a second run would agree, as measured for this device class.
    pub determinism: Determinism,
    /// Digest of the numerics.
    pub numerics: Digest,
    /// Scalars of the outcome, by name.
    pub metrics: BTreeMap<String, f64>,
    /// Digest of the weights: names, dimensions and values.
    pub weights: Digest,
    /// Digest of the test logits: names and values.
    pub logits: Digest,
    /// What training cost.
    pub spent: Spent,
    /// Whether the run was continued after an interruption.
    pub resumed: bool,
    /// Threads the run had.
    pub threads: usize,
    /// Largest resident memory of the process so far, all its runs together, in bytes; absent where the system does not say.
    pub peak_memory: Option<u64>,
    /// When it was stored: RFC 3339, UTC.
    pub created: String,
    /// The tool and the machine.
    pub provenance: Provenance,
    /// The files beside this manifest.
    pub files: BTreeMap<String, FileRecord>,
}

/// What a manifest is completed with when an outcome is stored.
pub(super) struct Circumstances {
    pub dataset: DatasetRecord,
    pub determinism: Determinism,
    pub spent: Spent,
    pub resumed: bool,
    pub threads: usize,
}

impl Manifest {
    /// A manifest before its outcome: metrics, digests and files are still empty.
    pub(super) fn draft(plan: &Plan, run: &Run, circumstances: Circumstances) -> Self {
        let Circumstances { dataset, determinism, spent, resumed, threads } = circumstances;
        let empty = Digest::of(&[]);
        Manifest {
            schema_version: SCHEMA_VERSION,
            key: run.key,
            name: run.name.clone(),
            recipe: run.recipe.clone(),
            tier: plan.tier,
            protocol: plan.protocol,
            changes: plan.changes.clone(),
            seed: run.seed,
            dataset,
            upstream: run.upstream.iter().map(|&i| plan.runs[i.0].key).collect(),
            device_class: plan.device_class.clone(),
            determinism,
            numerics: run.numerics,
            metrics: BTreeMap::new(),
            weights: empty,
            logits: empty,
            spent,
            resumed,
            threads,
            peak_memory: crate::provenance::peak_memory(),
            created: crate::provenance::now_utc(),
            provenance: Provenance::here(),
            files: BTreeMap::new(),
        }
    }

    /// The key that follows from what the manifest says.
    pub fn derived_key(&self) -> Digest {
        KeyParts {
            recipe: &self.recipe,
            tier: self.tier,
            data: self.dataset.digest,
            seed: self.seed,
            device_class: &self.device_class,
            numerics: self.numerics,
            upstream: &self.upstream,
        }
        .key()
    }

    /// Whether the weights and logits come from data that must not be passed on (design rule 9).
    pub fn credentialed(&self) -> bool {
        let credentialed = matches!(self.dataset.name, DatasetName::Mimic | DatasetName::Fastmri);
        self.tier != Tier::Smoke && credentialed
    }

    /// As sealed, pretty JSON.
    pub(super) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut value = serde_json::to_value(self)?;
        let seal = seal(&value);
        if let Value::Object(fields) = &mut value {
            fields.insert("seal".to_owned(), Value::String(seal.to_string()));
        }
        let mut bytes = serde_json::to_vec_pretty(&value)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads and proves a manifest that must be that of `key`. `path` is for messages.
    ///
    /// # Errors
    /// [`StoreError::Version`] for another schema version, [`StoreError::Corrupt`] when anything does not fit.
    pub(super) fn from_bytes(bytes: &[u8], key: Digest, path: &Path) -> Result<Self, StoreError> {
        let corrupt =
            |expected: String, found: String| StoreError::Corrupt { path: path.to_owned(), expected, found };
        let invalid = |e: serde_json::Error| corrupt("a manifest in JSON".to_owned(), e.to_string());
        let mut value: Value = serde_json::from_slice(bytes).map_err(invalid)?;
        let version = value.get("schema_version").cloned().unwrap_or(Value::Null);
        if version.is_null() {
            return Err(corrupt("a manifest with a schema_version".to_owned(), "none".to_owned()));
        }
        if version != SCHEMA_VERSION {
            let found = version.to_string();
            return Err(StoreError::Version { path: path.to_owned(), expected: SCHEMA_VERSION, found });
        }
        let sealed = value.as_object_mut().and_then(|fields| fields.remove("seal"));
        let found = seal(&value).to_string();
        let sealed = sealed.as_ref().and_then(Value::as_str).unwrap_or("no seal").to_owned();
        if sealed != found {
            return Err(corrupt(format!("the seal {sealed}"), format!("values with the seal {found}")));
        }
        let manifest: Manifest = serde_json::from_value(value).map_err(invalid)?;
        for (expected, found) in [(key, manifest.key), (key, manifest.derived_key())] {
            if expected != found {
                return Err(corrupt(
                    format!("the manifest of run {expected}"),
                    format!("that of run {found}"),
                ));
            }
        }
        Ok(manifest)
    }
}

/// The digest of a JSON value, whatever the order of its fields and its spacing.
fn seal(value: &Value) -> Digest {
    let mut hasher = Hasher::new("i2m2 manifest seal v1");
    add(&mut hasher, value);
    return hasher.finish();

    fn add(hasher: &mut Hasher, value: &Value) {
        match value {
            Value::Object(fields) => {
                let sorted: BTreeMap<_, _> = fields.iter().collect();
                hasher.field(b"object").field(&(sorted.len() as u64).to_le_bytes());
                for (name, value) in sorted {
                    hasher.field(name.as_bytes());
                    add(hasher, value);
                }
            }
            Value::Array(items) => {
                hasher.field(b"array").field(&(items.len() as u64).to_le_bytes());
                items.iter().for_each(|item| add(hasher, item));
            }
            leaf => {
                hasher.field(leaf.to_string().as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::store::testing;

    #[test]
    fn reads_back_what_it_wrote_exactly() {
        let manifest = testing::manifest(3);
        let bytes = manifest.to_bytes().unwrap();
        assert_eq!(Manifest::from_bytes(&bytes, manifest.key, Path::new("m")).unwrap(), manifest);
    }

    #[test]
    fn any_edited_value_is_found() {
        let manifest = testing::manifest(3);
        let text = String::from_utf8(manifest.to_bytes().unwrap()).unwrap();
        let edits = [
            ("\"test_accuracy\": 75.25", "\"test_accuracy\": 76.25"),
            ("\"seed\": 3", "\"seed\": 4"),
            ("\"tier\": \"smoke\"", "\"tier\": \"paper\""),
            ("\"learning_rate\": 0.05", "\"learning_rate\": 0.06"),
        ];
        for (from, to) in edits {
            assert!(text.contains(from), "{from} in {text}");
            let edited = text.replace(from, to);
            let error =
                Manifest::from_bytes(edited.as_bytes(), manifest.key, Path::new("m.json")).unwrap_err();
            assert!(error.is_corrupt() && error.to_string().contains("m.json"), "{error}");
        }
        // An edit that is sealed again is still found where it moves the key.
        let mut forged = manifest.clone();
        forged.recipe.training.learning_rate = 0.06;
        let forged = forged.to_bytes().unwrap();
        assert!(Manifest::from_bytes(&forged, manifest.key, Path::new("m")).unwrap_err().is_corrupt());
        // Another spacing and order of fields is the same manifest.
        let value: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
        let compact = serde_json::to_vec(&value).unwrap();
        assert!(Manifest::from_bytes(&compact, manifest.key, Path::new("m")).is_ok());
    }

    #[test]
    fn another_schema_version_gets_a_hint_and_is_not_called_damaged() {
        let manifest = testing::manifest(3);
        let text = String::from_utf8(manifest.to_bytes().unwrap()).unwrap();
        let newer = text.replace("\"schema_version\": 1", "\"schema_version\": 2");
        let error = Manifest::from_bytes(newer.as_bytes(), manifest.key, Path::new("m")).unwrap_err();
        assert!(matches!(error, StoreError::Version { .. }), "{error}");
        assert!(error.to_string().contains("expected schema version 1, found 2"), "{error}");
        let none = text.replace("\"schema_version\": 1,", "");
        assert!(
            Manifest::from_bytes(none.as_bytes(), manifest.key, Path::new("m")).unwrap_err().is_corrupt()
        );
    }
}
