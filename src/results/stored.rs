//! A stored run with what its metrics follow from: test logits and targets.
//!
//! Invariant: the store and the data are only read; a fault is put into copies.

use std::sync::Arc;

use super::{Opened, ResultsError};
use crate::data::{Dataset, Split};
use crate::digest::Digest;
use crate::engine::store::{Depth, Store};
use crate::engine::{Datasets, Manifest};
use crate::experiment::faults::{Fault, FaultInjection, metrics_with};
use crate::experiment::outcomes;
use crate::metric::{Metric, Metrics};
use crate::random::Seeds;

/// A run that is whole in the store.
pub(super) struct StoredRun {
    /// What is known about it.
    pub manifest: Manifest,
    /// Of each expert.
    pub logits: Vec<Vec<f32>>,
    /// What it was trained on.
    pub data: Arc<dyn Dataset>,
}

impl StoredRun {
    /// The run of a key; `None` where it is not there, or came without weights and logits.
    pub(super) fn read(
        key: Digest,
        store: &Store,
        opened: &Opened<'_>,
    ) -> Result<Option<Self>, ResultsError> {
        let Some(entry) = store.find(key, Depth::Manifest)?.filter(|entry| entry.complete) else {
            return Ok(None);
        };
        let data = opened.open(&entry.manifest.recipe).map_err(ResultsError::Dataset)?;
        let split = data.name_of(Split::TEST);
        let experts = store.logits(&entry.manifest)?.into_iter().filter(|expert| expert.split == split);
        let logits = experts.map(|expert| expert.logits).collect();
        Ok(Some(StoredRun { manifest: entry.manifest, logits, data }))
    }

    /// Its test metrics with a fault in a share of the examples: those that follow from logits and targets alone.
    pub(super) fn metrics_with(&self, fault: (Fault, f64), seeds: &Seeds) -> Metrics {
        let recipe = &self.manifest.recipe;
        let test = (self.data.name_of(Split::TEST), &self.logits[..]);
        let targets = self.data.targets(Split::TEST);
        metrics_with(test, targets, (&recipe.task, &recipe.evaluation), fault, seeds)
    }

    /// Draws of a fault in its test split; `None` for a metric that says more than logits, targets and stored thresholds do.
    pub(super) fn inject(&self, fault: Fault, metric: &Metric) -> Option<FaultInjection> {
        let Manifest { recipe, metrics, .. } = &self.manifest;
        let split = self.data.name_of(Split::TEST);
        if !outcomes(&recipe.task, [split]).contains(metric) {
            return None;
        }
        let (test, targets) = ((split, &self.logits[..]), self.data.targets(Split::TEST));
        let how = (&recipe.task, &recipe.evaluation);
        FaultInjection::new(test, targets, how, fault, (metric, metrics))
    }
}
