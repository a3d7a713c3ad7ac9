//! How many seeds verdicts and claims of a selection take, and what those cost.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Resolved, ResultsError, values};
use crate::benchmarks;
use crate::engine::plan::{CellId, Plan, RunIndex};
use crate::gate::{CellPower, ClaimPower, cell_power, claim_power, claims, margins};
use crate::study::Tier;

/// The planner's answer.
#[derive(Debug, Serialize)]
pub(crate) struct Power {
    /// Smoke, reduced or paper.
    pub tier: String,
    /// Cells whose deviation the paper prints.
    pub cells: Vec<PlannedCell>,
    /// Comparisons of claims about the selected benchmarks.
    pub claims: Vec<ClaimPower>,
}

/// What the verdict on a cell takes.
#[derive(Debug, Serialize)]
pub(crate) struct PlannedCell {
    /// In seeds.
    #[serde(flatten)]
    pub power: CellPower,
    /// Runs that the paper reports.
    pub published_runs: Option<usize>,
    /// Seconds of one seed, with the runs that it starts from; absent where nothing is known or the tier is not the paper's.
    pub seconds_a_seed: Option<f64>,
}

impl Power {
    /// Of a selection; `seconds` holds what each run of its plan takes.
    ///
    /// # Errors
    /// A store, margins, claims or published values that cannot be read.
    pub(crate) fn of(
        resolved: &Resolved,
        plan: &Plan,
        seconds: &[Option<f64>],
    ) -> Result<Self, ResultsError> {
        let selection = &resolved.selection;
        // Our own deviations are those of the paper tier alone.
        let mut ours: BTreeMap<CellId, f64> = BTreeMap::new();
        if selection.tier == Tier::Paper {
            for cell in values(resolved)?.into_iter().flat_map(|report| report.cells) {
                ours.extend(cell.std().map(|std| (cell.id.clone(), std)));
            }
        }
        let std = |id: &CellId| ours.get(id).copied();
        let margins = margins()?;
        let mut cells = Vec::new();
        for benchmark in &selection.benchmarks {
            for (id, published) in benchmarks::published(benchmark)? {
                let cell = plan.cells.iter().find(|cell| cell.id == id);
                let margin = margins.iter().find(|margin| margin.holds(&id));
                let (Some(cell), Some(margin)) = (cell, margin) else { continue };
                let Some(power) = cell_power(&id, &published, margin.margin, std(&id)) else { continue };
                let known = selection.tier == Tier::Paper;
                let seconds_a_seed = if known { cost(plan, &cell.runs, seconds) } else { None };
                cells.push(PlannedCell { power, published_runs: published.n, seconds_a_seed });
            }
        }
        let about = |id: &CellId| selection.benchmarks.iter().any(|benchmark| benchmark.id == id.benchmark);
        let mut claims = claim_power(&claims()?, &std)?;
        claims.retain(|claim| about(&claim.above) || about(&claim.below));
        Ok(Power { tier: selection.tier.to_string(), cells, claims })
    }
}

/// Seconds of one seed of a cell: its runs and everything upstream, shared ones counted once, over the number of seeds.
fn cost(plan: &Plan, runs: &[RunIndex], seconds: &[Option<f64>]) -> Option<f64> {
    let mut needed: BTreeSet<usize> = BTreeSet::new();
    let mut pending: Vec<usize> = runs.iter().map(|run| run.0).collect();
    while let Some(run) = pending.pop() {
        if needed.insert(run) {
            pending.extend(plan.runs[run].upstream.iter().map(|run| run.0));
        }
    }
    let total: f64 = needed.iter().map(|&run| seconds[run]).sum::<Option<f64>>()?;
    (!runs.is_empty()).then(|| total / runs.len() as f64)
}
