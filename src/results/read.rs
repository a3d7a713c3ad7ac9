//! From a resolved selection and the store to reports. Trains nothing, writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::controls::Controls;
use super::references::{optima, references};
use super::{Observed, Opened, Report, Resolved, ResultsError};
use crate::benchmarks::Benchmark;
use crate::digest::Digest;
use crate::engine::plan::Plan;
use crate::engine::store::{Depth, Store};
use crate::gate::Verdict;
use crate::metric::Metrics;
use crate::study::{Tier, resolve};

/// One report per benchmark, for people: with negative controls, and the known optima of synthetic data.
///
/// # Errors
/// A store that cannot be read, settings of synthetic data that are wrong.
pub(crate) fn read(resolved: &Resolved) -> Result<Vec<Report>, ResultsError> {
    let (store, opened) = (Store::open(&resolved.out), Opened::new(resolved));
    let mut reports = assembled(resolved, &store)?;
    if resolved.selection.tier == Tier::Smoke {
        let optima = optima(resolved.selection.studies())?;
        for report in &mut reports {
            report.references = references(&resolved.plan_of(&[report.benchmark])?, &optima);
        }
    }
    for report in &mut reports {
        let controls = Controls::of(report, &store, &opened)?;
        controls.withhold(&mut report.cells);
        report.references.extend(controls.references());
    }
    Ok(reports)
}

/// One report per benchmark, for the gate: finding optima takes longer than everything else.
///
/// # Errors
/// A store that cannot be read.
pub(crate) fn values(resolved: &Resolved) -> Result<Vec<Report>, ResultsError> {
    let (store, opened) = (Store::open(&resolved.out), Opened::new(resolved));
    let mut reports = assembled(resolved, &store)?;
    // Only where something is called reproduced is anything read for that.
    for report in &mut reports {
        if report.cells.iter().any(|cell| cell.judgement.verdict == Verdict::Reproduced) {
            Controls::of(report, &store, &opened)?.withhold(&mut report.cells);
        }
    }
    Ok(reports)
}

/// Reports before any control was looked at.
fn assembled(resolved: &Resolved, store: &Store) -> Result<Vec<Report>, ResultsError> {
    // What is declared, whatever number of seeds was asked for.
    let declared = resolve(resolved.selection.protocol.name, resolved.selection.tier)?;
    let plans: Vec<(&'static Benchmark, Plan)> = resolved
        .selection
        .benchmarks
        .par_iter()
        .map(|&benchmark| Ok((benchmark, resolved.plan_of(&[benchmark])?)))
        .collect::<Result<_, ResultsError>>()?;
    // Tables share runs, and proving a manifest takes longer than anything else here.
    let runs: BTreeSet<Digest> = plans.iter().flat_map(|(_, plan)| &plan.runs).map(|run| run.key).collect();
    let metrics: BTreeMap<Digest, Metrics> = runs
        .into_par_iter()
        .filter_map(|key| {
            let found = store.find(key, Depth::Manifest).transpose()?;
            Some(found.map(|entry| (key, entry.manifest.metrics)))
        })
        .collect::<Result<_, _>>()?;
    let report = |(benchmark, plan): &(&'static Benchmark, Plan)| {
        let observed = Observed {
            value: &|key, metric| metrics.get(&key)?.value(metric),
            rebuilt: &resolved.sources.rebuilt,
            declared: &declared,
            determinism: resolved.numerics.determinism.to_string(),
        };
        Report::assemble(benchmark, plan, &observed)
    };
    plans.par_iter().map(report).collect()
}
