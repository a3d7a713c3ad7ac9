//! `i2m2 effect`: what a deviation changes, measured.
//!
//! Invariant: both sides differ in the deviation's changes alone, and share the store; nothing is recorded unless asked.

use std::path::Path;

use crate::cli::args::Selection;
use crate::cli::commands::reproduce::{Execution, train};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::resolve::to_train;
use crate::data::{did_you_mean, nearest};
use crate::gate::effects::record;
use crate::provenance;
use crate::results::{self, Report, effect};
use crate::study::{Change, Deviation, deviations, listed};

/// What the numbers are.
const UNITS: &str = "switched less as it stands, each seed's mean over a row's columns, in the unit of the cells; 95 % intervals over \
                     the seeds\n";

/// Measures a deviation on every table that it touches and that is here. The selection's id is that of the deviation.
pub(crate) fn run(
    selection: &Selection,
    execution: &Execution,
    file: Option<&Path>,
    out: &Path,
) -> Result<Exit, Failure> {
    let (deviation, changes) = asked(selection)?;
    let mut effects = Vec::new();
    for benchmark in &deviation.benchmarks {
        let ours = Selection { id: benchmark.clone(), set: Vec::new(), ..selection.clone() };
        let switched = Selection { set: changes.clone(), ..ours.clone() };
        // The switch first: where it changes nothing, nothing is trained.
        let switched = measured(&switched, execution, out)?;
        let (Some(switched), Some(ours)) = (switched, measured(&ours, execution, out)?) else { continue };
        match effect(&deviation, &changes, (&ours, &switched), provenance::today_utc()) {
            Some(effect) => effects.push(effect),
            None => output::note(&format!(
                "{benchmark}: no run of a selected cell is another with {}",
                listed(&changes)
            )),
        }
    }
    if effects.is_empty() {
        return Err(Failure::not_measured(format!("nothing of `{}` could be measured here", deviation.id)));
    }
    output::shown(execution.json, &effects, || {
        let title = format!("{}  {}\n", deviation.id, deviation.title);
        let lines = effects.iter().map(|effect| format!("  {effect}\n"));
        [title, UNITS.to_owned()].into_iter().chain(lines).collect()
    })?;
    if let Some(file) = file {
        record(&effects, file).map_err(Failure::internal)?;
        output::note(&format!(
            "recorded in {}; the next build prints it beside the deviation",
            file.display()
        ));
    }
    Ok(Exit::Success)
}

/// The deviation, and what switches it.
fn asked(selection: &Selection) -> Result<(Deviation, Vec<Change>), Failure> {
    let id = &selection.id;
    let ledger = deviations()?;
    let Some(deviation) = ledger.iter().find(|deviation| deviation.id.eq_ignore_ascii_case(id)) else {
        let hint = did_you_mean(nearest(id, ledger.iter().map(|deviation| &*deviation.id)));
        return Err(Failure::usage(format!(
            "there is no deviation `{id}`{hint}; `i2m2 deviations` prints them all"
        )));
    };
    let changes = if selection.set.is_empty() { &deviation.changes } else { &selection.set };
    if changes.is_empty() {
        return Err(Failure::usage(format!(
            "`{}` is switched by no value of the protocol (its switch: {}); --set KEY=VALUE names one",
            deviation.id,
            if deviation.switch.is_empty() { "none" } else { &deviation.switch }
        )));
    }
    Ok((deviation.clone(), changes.clone()))
}

/// The report of a selection, with everything trained that it takes; `None` where none of its cells is selected or can be
/// measured here.
fn measured(selection: &Selection, execution: &Execution, out: &Path) -> Result<Option<Report>, Failure> {
    let resolved = to_train(selection, out)?;
    if !selection.set.is_empty() && resolved.selection.protocol.changes.is_empty() {
        return Err(Failure::usage(format!(
            "{} holds anyway in the {} tier of the {} protocol: nothing is switched; --set KEY=VALUE switches it otherwise",
            listed(&selection.set),
            resolved.selection.tier,
            resolved.selection.protocol.name
        )));
    }
    let plan = resolved.plan()?;
    if plan.runs.is_empty() {
        return Ok(None);
    }
    train(&resolved, &plan, execution)?;
    Ok(results::values(&resolved)?.into_iter().next())
}
