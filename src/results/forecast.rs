//! What it takes to execute a plan: which runs are missing, how long they take, and how much memory.

use std::collections::BTreeMap;

use super::{Opened, Resolved, ResultsError, memory};
use crate::data::Split;
use crate::engine::estimate::{Estimate, estimate};
use crate::engine::plan::{Plan, Run};
use crate::engine::store::Depth;
use crate::engine::survey::{Status, survey, to_train};
use crate::engine::{Datasets, Manifest, Store};

/// What the missing runs of a plan take.
pub(crate) struct Forecast {
    /// Where each run stands.
    pub statuses: Vec<Status>,
    /// Runs that would be trained.
    pub missing: usize,
    /// Their time.
    pub time: Estimate,
    /// Memory that the largest of them keep at once, in bytes; 0 where all are small.
    pub bytes: u64,
}

impl Forecast {
    /// Of a plan that is executed with `jobs` runs side by side.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn of(resolved: &Resolved, plan: &Plan, jobs: usize) -> Result<Self, ResultsError> {
        let store = Store::open(&resolved.out);
        let statuses = survey(plan, &store);
        let train = to_train(plan, &statuses);
        let opened = Opened::new(resolved);
        let missing: Vec<&Run> =
            plan.runs.iter().zip(&train).filter(|(_, train)| **train).map(|(run, _)| run).collect();
        // A step count needs the size of the training split; nothing is opened when nothing is missing.
        let recipes: BTreeMap<_, _> =
            missing.iter().map(|run| (run.recipe.dataset.as_str(), &run.recipe)).collect();
        let rows: BTreeMap<&str, usize> = recipes
            .into_iter()
            .filter_map(|(dataset, recipe)| Some((dataset, opened.open(recipe).ok()?.len(Split::Train))))
            .collect();
        let stored: Vec<Manifest> = store
            .list(Depth::Manifest)?
            .into_iter()
            .filter_map(|(_, entry)| Some(entry.ok()?.manifest))
            .filter(|manifest| plan.runs.iter().all(|run| run.key != manifest.key))
            .collect();
        let time =
            estimate(plan, &statuses, &train, stored.iter(), |name: &str| rows.get(name).copied(), jobs);
        let bytes = memory::bytes_at_once(missing.iter().copied(), &opened, jobs);
        Ok(Forecast { missing: missing.len(), bytes, statuses, time })
    }

    /// Seconds that each run took or would take, by position in the plan.
    pub(crate) fn seconds(&self) -> Vec<Option<f64>> {
        let spent = |(status, estimated): (&Status, &Option<f64>)| match status {
            Status::Stored(entry) => Some(entry.manifest.spent.wall_seconds),
            Status::HalfTrained { .. } | Status::Missing | Status::Unusable(_) => *estimated,
        };
        self.statuses.iter().zip(&self.time.runs).map(spent).collect()
    }
}
