//! A stored run with what its metrics follow from: test logits and labels.
//!
//! Invariant: the store and the data are only read; a fault is put into copies.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cli::datasets::Opened;
use crate::cli::failure::Failure;
use crate::data::{Dataset, Split};
use crate::digest::Digest;
use crate::engine::store::{Depth, Store};
use crate::engine::{Datasets, Manifest};
use crate::experiment::faults::{Fault, Struck, metrics_with};
use crate::random::Seeds;

/// A run that is whole in the store.
pub struct StoredRun {
    /// What is known about it.
    pub manifest: Manifest,
    /// Of each expert.
    pub logits: Vec<Vec<f32>>,
    /// What it was trained on.
    pub data: Arc<dyn Dataset>,
}

impl StoredRun {
    /// The run of a key; `None` where it is not there, or came without weights and logits.
    pub fn read(key: Digest, store: &Store, opened: &Opened<'_>) -> Result<Option<Self>, Failure> {
        let Some(entry) = store.find(key, Depth::Manifest)?.filter(|entry| entry.complete) else {
            return Ok(None);
        };
        let logits = store.logits(&entry.manifest)?.into_iter().map(|expert| expert.logits).collect();
        let data = opened
            .open(&entry.manifest.recipe)
            .map_err(|error| Failure::internal(anyhow::anyhow!("{error}")))?;
        Ok(Some(StoredRun { manifest: entry.manifest, logits, data }))
    }

    /// Its test metrics with a fault in a share of the examples: those that follow from logits and labels alone.
    pub fn metrics_with(&self, fault: (Fault, f64), seeds: &Seeds) -> BTreeMap<String, f64> {
        let recipe = &self.manifest.recipe;
        let labels = self.data.labels(Split::Test);
        metrics_with(&self.logits, labels, (recipe.task, &recipe.evaluation), fault, seeds)
    }

    /// Draws of a fault in its test split; `None` for a metric that says more than logits, labels and stored thresholds do.
    pub fn struck(&self, fault: Fault, metric: &str) -> Option<Struck> {
        let Manifest { recipe, metrics, .. } = &self.manifest;
        let labels = self.data.labels(Split::Test);
        let how = (recipe.task, &recipe.evaluation);
        Struck::new(&self.logits, labels, how, fault, (metric, metrics))
    }
}
