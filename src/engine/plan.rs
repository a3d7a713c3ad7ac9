//! The graph of runs and cells.
//!
//! Invariant: a plan is a value: runs stand after those that they start from, and a run that several cells need stands in it once.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::metric::Metric;
use crate::study::{Change, ProtocolName, Recipe, Tier};

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
    /// Digest of the networks' numerics.
    pub numerics: Digest,
    /// Root of the seed tree.
    pub seed: u64,
    /// Runs whose checkpoints this run starts from; they stand earlier in the plan.
    pub upstream: Vec<RunIndex>,
}

/// Address of one printed number: `table2:mortality:i2m2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

impl From<CellId> for String {
    fn from(id: CellId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for CellId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.split(':').collect::<Vec<_>>()[..] {
            [benchmark, column, row] if ![benchmark, column, row].contains(&"") => {
                Ok(CellId { benchmark: benchmark.to_owned(), column: column.to_owned(), row: row.to_owned() })
            }
            _ => {
                Err(format!("`{text}` is no cell; expected table:column:row, as in `table2:mortality:i2m2`"))
            }
        }
    }
}

/// One printed number and the runs it is the mean of.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// Its address.
    pub id: CellId,
    /// The run metric that it prints.
    pub metric: Metric,
    /// One run per seed; empty when the cell cannot be measured here.
    pub runs: Vec<RunIndex>,
    /// Why there are no runs.
    pub unmeasured: Option<String>,
    /// The value of a cell that is configuration, not measurement (Table B.6); it has no runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configured: Option<f64>,
}

/// A graph of runs and cells.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Smoke, reduced or paper.
    pub tier: Tier,
    /// Paper or released.
    pub protocol: ProtocolName,
    /// Values of the protocol that were changed on the command line.
    pub changes: Vec<Change>,
    /// `cpu`, or the GPU model.
    pub device_class: String,
    /// Upstream runs first.
    pub runs: Vec<Run>,
    /// In the order of the printed tables.
    pub cells: Vec<Cell>,
}

impl Plan {
    /// The seeds of what was trained for a run: its own, or those of the members of an ensemble.
    pub fn seeds_behind(&self, index: RunIndex) -> BTreeSet<u64> {
        let run = &self.runs[index.0];
        if run.recipe.trains() {
            return BTreeSet::from([run.seed]);
        }
        run.upstream.iter().flat_map(|&upstream| self.seeds_behind(upstream)).collect()
    }

    /// Keeps the cells that are wanted, and the runs that they need, with their upstream.
    pub fn retain_cells(&mut self, wanted: impl FnMut(&Cell) -> bool) {
        self.cells.retain(wanted);
        let mut needed = vec![false; self.runs.len()];
        self.cells.iter().flat_map(|cell| &cell.runs).for_each(|run| needed[run.0] = true);
        // Upstream runs stand earlier, so one pass from the end reaches all of them.
        for index in (0..self.runs.len()).rev() {
            if needed[index] {
                self.runs[index].upstream.iter().for_each(|run| needed[run.0] = true);
            }
        }
        let mut moved = Vec::with_capacity(needed.len());
        let mut next = 0;
        for &kept in &needed {
            moved.push(RunIndex(next));
            next += usize::from(kept);
        }
        let mut kept = needed.iter();
        self.runs.retain(|_| kept.next().copied().unwrap_or(false));
        let cells = self.cells.iter_mut().flat_map(|cell| &mut cell.runs);
        cells
            .chain(self.runs.iter_mut().flat_map(|run| &mut run.upstream))
            .for_each(|run| *run = moved[run.0]);
    }
}
