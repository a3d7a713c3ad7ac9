//! A plan as JSON, for another process: runs name those that they start from by their keys.
//!
//! Invariant: a plan that is read back is the one that was written: every key is computed again from what stands beside it, and a
//! run stands after all that it starts from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::key::{KEY_VERSION, KeyError, KeyParts};
use super::plan::{Cell, CellId, Plan, Run, RunIndex};
use crate::digest::Digest;
use crate::metric::Metric;
use crate::study::{Change, ProtocolName, Recipe, Tier};

/// Why a document is no plan.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is not of this form.
    #[error("the plan cannot be read: {0}; write it again with `i2m2 plan --document`")]
    Syntax(#[from] serde_json::Error),
    /// Another version of keys.
    #[error("the plan has keys of version {found}, expected {KEY_VERSION}; write it again with this program")]
    Version {
        /// What stands there.
        found: u32,
    },
    /// A run starts from one that does not stand before it, or a cell reads one that does not stand there.
    #[error("the plan has no run {key} before `{reader}`; write it again with `i2m2 plan --document`")]
    NoRun {
        /// The missing run.
        key: Digest,
        /// Who needs it.
        reader: String,
    },
    /// A key that does not follow from what stands beside it.
    #[error(
        "run `{name}` has the key {found}, expected {expected}: the plan was edited; write it again with `i2m2 plan --document`"
    )]
    Key {
        /// The run.
        name: String,
        /// What follows.
        expected: Digest,
        /// What stands there.
        found: Digest,
    },
    /// A recipe without a key.
    #[error(transparent)]
    Recipe(#[from] KeyError),
}

/// A plan, written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanDocument {
    key_version: u32,
    tier: Tier,
    protocol: ProtocolName,
    changes: Vec<Change>,
    device_class: String,
    runs: Vec<RunDocument>,
    cells: Vec<CellDocument>,
}

/// A run, written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunDocument {
    key: Digest,
    name: String,
    recipe: Recipe,
    data: Digest,
    numerics: Digest,
    seed: u64,
    upstream: Vec<Digest>,
}

/// A cell, written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CellDocument {
    id: CellId,
    metric: Metric,
    runs: Vec<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unmeasured: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    configured: Option<f64>,
}

impl From<&Plan> for PlanDocument {
    fn from(plan: &Plan) -> Self {
        let keys = |runs: &[RunIndex]| runs.iter().map(|index| plan.runs[index.0].key).collect();
        let runs = plan.runs.iter().map(|run| RunDocument {
            key: run.key,
            name: run.name.clone(),
            recipe: run.recipe.clone(),
            data: run.data,
            numerics: run.numerics,
            seed: run.seed,
            upstream: keys(&run.upstream),
        });
        let cells = plan.cells.iter().map(|cell| CellDocument {
            id: cell.id.clone(),
            metric: cell.metric.clone(),
            runs: keys(&cell.runs),
            unmeasured: cell.unmeasured.clone(),
            configured: cell.configured,
        });
        PlanDocument {
            key_version: KEY_VERSION,
            tier: plan.tier,
            protocol: plan.protocol,
            changes: plan.changes.clone(),
            device_class: plan.device_class.clone(),
            runs: runs.collect(),
            cells: cells.collect(),
        }
    }
}

impl PlanDocument {
    /// Reads a document.
    ///
    /// # Errors
    /// What is no plan.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        Ok(serde_json::from_str(text)?)
    }

    /// The plan, with every key computed again.
    ///
    /// # Errors
    /// Another version, a key that does not follow, a run that is missing.
    pub fn plan(self) -> Result<Plan, DocumentError> {
        if self.key_version != KEY_VERSION {
            return Err(DocumentError::Version { found: self.key_version });
        }
        let mut places: BTreeMap<Digest, RunIndex> = BTreeMap::new();
        let find = |places: &BTreeMap<Digest, RunIndex>, keys: &[Digest], reader: &str| {
            let found = keys.iter().map(|key| {
                let missing = || DocumentError::NoRun { key: *key, reader: reader.to_owned() };
                places.get(key).copied().ok_or_else(missing)
            });
            found.collect::<Result<Vec<RunIndex>, DocumentError>>()
        };
        let mut runs = Vec::with_capacity(self.runs.len());
        for run in self.runs {
            let upstream = find(&places, &run.upstream, &run.name)?;
            let parts = KeyParts {
                recipe: &run.recipe,
                tier: self.tier,
                data: run.data,
                seed: run.seed,
                device_class: &self.device_class,
                numerics: run.numerics,
                upstream: &run.upstream,
            };
            let expected = parts.key(&run.name)?;
            if expected != run.key {
                return Err(DocumentError::Key { name: run.name, expected, found: run.key });
            }
            places.insert(run.key, RunIndex(runs.len()));
            let RunDocument { key, name, recipe, data, numerics, seed, .. } = run;
            runs.push(Run { key, name, recipe, data, numerics, seed, upstream });
        }
        let cells = self.cells.into_iter().map(|cell| {
            let runs = find(&places, &cell.runs, &cell.id.to_string())?;
            let CellDocument { id, metric, unmeasured, configured, .. } = cell;
            Ok(Cell { id, metric, runs, unmeasured, configured })
        });
        Ok(Plan {
            cells: cells.collect::<Result<_, DocumentError>>()?,
            tier: self.tier,
            protocol: self.protocol,
            changes: self.changes,
            device_class: self.device_class,
            runs,
        })
    }
}
