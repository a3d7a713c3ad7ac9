//! `i2m2 plan --power`: how many seeds verdicts and claims take, and what those cost.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::resolve::Resolved;
use crate::cli::results::Results;
use crate::engine::plan::{CellId, Plan, RunIndex};
use crate::gate::{CellPower, ClaimPower, cell_power, claim_power, claims, margins};
use crate::protocol::Tier;

#[derive(Serialize)]
struct Printed {
    tier: String,
    cells: Vec<Planned>,
    claims: Vec<ClaimPower>,
}

#[derive(Serialize)]
struct Planned {
    #[serde(flatten)]
    power: CellPower,
    /// Runs that the paper reports.
    published_runs: Option<usize>,
    /// Seconds of one seed, with the runs that it starts from; absent where nothing is known or the tier is not the paper's.
    seconds_a_seed: Option<f64>,
}

/// Prints the planner's answer; `seconds` holds what each run of the plan takes.
pub(super) fn print(
    resolved: &Resolved,
    plan: &Plan,
    seconds: &[Option<f64>],
    json: bool,
) -> Result<(), Failure> {
    // Our own deviations are those of the paper tier alone.
    let mut ours: BTreeMap<CellId, f64> = BTreeMap::new();
    if resolved.tier == Tier::Paper {
        for report in Results::values(resolved)?.reports {
            for cell in report.cells {
                ours.extend(cell.summary().and_then(|summary| summary.std).map(|std| (cell.id.clone(), std)));
            }
        }
    }
    let std = |id: &CellId| ours.get(id).copied();
    let margins = margins()?;
    let mut cells = Vec::new();
    for benchmark in &resolved.benchmarks {
        for (id, published) in crate::benchmarks::published(benchmark)? {
            let cell = plan.cells.iter().find(|cell| cell.id == id);
            let margin = margins.iter().find(|margin| margin.holds(&id));
            let (Some(cell), Some(margin)) = (cell, margin) else { continue };
            let Some(power) = cell_power(&id, &published, margin.margin, std(&id)) else { continue };
            let seconds_a_seed =
                if resolved.tier == Tier::Paper { cost(plan, &cell.runs, seconds) } else { None };
            cells.push(Planned { power, published_runs: published.n, seconds_a_seed });
        }
    }
    let about = |id: &CellId| resolved.benchmarks.iter().any(|benchmark| benchmark.id == id.benchmark);
    let mut claims = claim_power(&claims()?, &std)?;
    claims.retain(|claim| about(&claim.above) || about(&claim.below));
    let printed = Printed { tier: resolved.tier.to_string(), cells, claims };
    if json {
        output::json(&printed)?;
    } else {
        output::data(&text(&printed))?;
    }
    Ok(())
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

fn text(printed: &Printed) -> String {
    let mut text =
        "cells: seeds that show agreement within the margin with 80 % power, if there is\n".to_owned();
    for Planned { power, published_runs, seconds_a_seed } in &printed.cells {
        let CellPower { cell, margin, std, measured, seeds, detectable } = power;
        let whose = if *measured { "ours" } else { "the paper's" };
        let wanted = match seeds {
            Some(seeds) => {
                let time = seconds_a_seed.map(|each| format!(", about {:.0} s", each * *seeds as f64));
                format!("{seeds} seeds{}", time.unwrap_or_default())
            }
            None => "no number of seeds: the published mean is too uncertain".to_owned(),
        };
        let runs = published_runs.map_or(String::new(), |n| format!(" with {n} runs"));
        text += &format!(
            "  {:<34} margin {margin:<5} deviation {std:.3} ({whose}): {wanted}; {detectable:.2} apart would be seen{runs}\n",
            cell.to_string()
        );
    }
    if printed.cells.is_empty() {
        text += "  none: the paper prints no deviations here, or no margin is declared\n";
    }
    text += "\nclaims: seeds of each method that show the published difference with 80 % power, without pairing\n";
    for ClaimPower { claim, above, below, difference, seeds } in &printed.claims {
        let wanted = match seeds {
            Some(seeds) => format!("{seeds} seeds"),
            None if *difference <= 0.0 => "none: it points the other way".to_owned(),
            None => "more than 1000 seeds".to_owned(),
        };
        text += &format!("  {claim:<34} {above} over {below} by {difference:.2}: {wanted}\n");
    }
    if printed.claims.is_empty() {
        text += "  none of published cells\n";
    }
    if printed.tier != "paper" {
        text += "\nDeviations are the paper's: add --data DIR to plan with those of stored runs, and with their cost.\n";
    }
    text
}
