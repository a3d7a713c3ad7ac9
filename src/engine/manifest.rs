//! What the store knows about one run.
//!
//! Invariant: a manifest proves itself: its key is recomputed from what it says it was trained from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::key::{KEY_VERSION, KeyError, KeyParts};
use super::plan::{Plan, Run};
use crate::digest::Digest;
use crate::metric::Metrics;
use crate::provenance::Provenance;
use crate::study::{Change, ProtocolName, Recipe, Tier};

/// Version of the format: that of the keys, from which a manifest proves itself.
pub(crate) const SCHEMA_VERSION: u32 = KEY_VERSION;

/// The data a run was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// Its id.
    pub name: String,
    /// Whether its rows, and what is computed row by row, must not be passed on.
    pub credentialed: bool,
    /// Digest of the prepared dataset, as in the key.
    pub digest: Digest,
    /// SHA-256 of each file, by its path below the dataset's root.
    pub files: BTreeMap<String, Digest>,
}

/// How far two runs with the same key agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
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
    pub metrics: Metrics,
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
            metrics: Metrics::default(),
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
    ///
    /// # Errors
    /// A recipe that cannot be written down.
    pub fn derived_key(&self) -> Result<Digest, KeyError> {
        KeyParts {
            recipe: &self.recipe,
            tier: self.tier,
            data: self.dataset.digest,
            seed: self.seed,
            device_class: &self.device_class,
            numerics: self.numerics,
            upstream: &self.upstream,
        }
        .key(&self.name)
    }

    /// Whether the weights and logits come from data that must not be passed on.
    pub fn credentialed(&self) -> bool {
        self.tier != Tier::Smoke && self.dataset.credentialed
    }
}
