//! The graph of runs and cells.
//!
//! Invariant: building a plan does no I/O, and a run that several cells need stands in it once.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::digest::{Digest, Hasher};
use crate::protocol::{DatasetName, ProtocolName, Recipe, Tier};

/// Everything a plan depends on besides the benchmarks.
#[derive(Clone, Debug)]
pub struct Context {
    /// Smoke, reduced or paper.
    pub tier: Tier,
    /// Paper or released.
    pub protocol: ProtocolName,
    /// Root seeds, one per repetition.
    pub seeds: Vec<u64>,
    /// `cpu`, or the GPU model: part of every key, because bits differ between device classes.
    pub device_class: String,
    /// Digest of each prepared dataset that is here.
    pub data: BTreeMap<DatasetName, Digest>,
    /// Digest of the numerics of a recipe's experts (their canaries), by [`Recipe`] network names.
    pub numerics: Digest,
}

/// Index of a run in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RunIndex(pub usize);

/// Training one expert or one joint model with one seed.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// Identity; the run's name in the store.
    pub key: Digest,
    /// For people: `avmnist/i2m2-lf`. Not part of the key.
    pub name: String,
    /// The resolved configuration.
    pub recipe: Recipe,
    /// Digest of the prepared data.
    pub data: Digest,
    /// Root of the seed tree.
    pub seed: u64,
    /// Runs whose checkpoints this run starts from; they stand earlier in the plan.
    pub upstream: Vec<RunIndex>,
}

/// Address of one printed number: `table2:mortality:i2m2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct CellId {
    /// The benchmark.
    pub benchmark: String,
    /// The column's id.
    pub column: String,
    /// The row's id.
    pub row: String,
}

impl std::fmt::Display for CellId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.benchmark, self.column, self.row)
    }
}

/// One printed number and the runs it is the mean of.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// Its address.
    pub id: CellId,
    /// Name of the run metric it prints, as in `Outcome::metrics`.
    pub metric: String,
    /// One run per seed; empty when the cell cannot be measured here.
    pub runs: Vec<RunIndex>,
    /// Why there are no runs.
    pub unmeasured: Option<String>,
}

/// A graph of runs and cells.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Smoke, reduced or paper.
    pub tier: Tier,
    /// Paper or released.
    pub protocol: ProtocolName,
    /// `cpu`, or the GPU model.
    pub device_class: String,
    /// Upstream runs first.
    pub runs: Vec<Run>,
    /// In the order of the printed tables.
    pub cells: Vec<Cell>,
}

/// Builds a plan; benchmarks add runs and cells to it.
pub struct Planner<'a> {
    context: &'a Context,
    plan: Plan,
    by_key: BTreeMap<Digest, RunIndex>,
}

impl<'a> Planner<'a> {
    /// An empty plan in a context.
    pub fn new(context: &'a Context) -> Self {
        let plan = Plan {
            tier: context.tier,
            protocol: context.protocol,
            device_class: context.device_class.clone(),
            runs: Vec::new(),
            cells: Vec::new(),
        };
        Planner { context, plan, by_key: BTreeMap::new() }
    }

    /// What the plan depends on.
    pub fn context(&self) -> &Context {
        self.context
    }

    /// Adds a run, or finds it if it is there already. `None` when its data is not here.
    pub fn run(
        &mut self,
        name: &str,
        recipe: Recipe,
        seed: u64,
        upstream: Vec<RunIndex>,
    ) -> Option<RunIndex> {
        let data = *self.context.data.get(&recipe.task.dataset())?;
        let key = key(self.context, &recipe, data, seed, upstream.iter().map(|&i| self.plan.runs[i.0].key));
        let next = RunIndex(self.plan.runs.len());
        let index = *self.by_key.entry(key).or_insert(next);
        if index == next {
            self.plan.runs.push(Run { key, name: name.to_owned(), recipe, data, seed, upstream });
        }
        Some(index)
    }

    /// Adds a cell.
    pub fn cell(&mut self, cell: Cell) {
        self.plan.cells.push(cell);
    }

    /// The plan.
    pub fn finish(self) -> Plan {
        self.plan
    }
}

/// SHA-256 over everything that can change a run's numbers.
fn key(
    context: &Context,
    recipe: &Recipe,
    data: Digest,
    seed: u64,
    upstream: impl Iterator<Item = Digest>,
) -> Digest {
    // serde_json writes struct fields in declaration order and floats in their shortest exact form.
    let recipe = serde_json::to_vec(recipe).unwrap_or_default();
    let mut hasher = Hasher::new("i2m2 run v1");
    hasher
        .field(&recipe)
        .field(data.bytes())
        .field(&seed.to_le_bytes())
        .field(context.device_class.as_bytes())
        .field(context.numerics.bytes());
    upstream.for_each(|key| {
        hasher.field(key.bytes());
    });
    hasher.finish()
}
