//! `i2m2 plan`: the graph, what is stored, how long the rest will take.

use std::path::Path;

use serde::Serialize;

use crate::cli::args::Selection;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::resolve::to_read;
use crate::engine::document::PlanDocument;
use crate::engine::estimate::Basis;
use crate::engine::plan::{Cell, Run};
use crate::engine::survey::Status;
use crate::results::{Forecast, Power};
use crate::study;

#[derive(Serialize)]
struct Printed<'a> {
    tier: String,
    protocol: String,
    device_class: &'a str,
    stored: usize,
    missing: usize,
    estimated_seconds: f64,
    /// What the estimate stands on: steps measured here, or on another machine.
    estimate_basis: Option<Basis>,
    /// Memory that the largest missing runs keep at once, in bytes; 0 where all are small.
    estimated_bytes: u64,
    /// Missing runs that nothing is known about; not in the estimate.
    not_estimated: usize,
    runs: Vec<PrintedRun<'a>>,
    cells: &'a [Cell],
}

#[derive(Serialize)]
struct PrintedRun<'a> {
    #[serde(flatten)]
    run: &'a Run,
    status: String,
    estimated_seconds: Option<f64>,
}

fn status(status: &Status) -> String {
    match status {
        Status::Stored(_) => "stored".to_owned(),
        Status::HalfTrained { epochs } => format!("half-trained ({epochs} epochs)"),
        Status::Missing => "missing".to_owned(),
        Status::Unusable(error) => format!("damaged: {error}"),
    }
}

/// Prints the plan for another process.
pub(crate) fn document(selection: &Selection, out: &Path) -> Result<Exit, Failure> {
    let resolved = to_read(selection, out)?;
    let plan = resolved.plan()?;
    resolved.measurable(&plan)?;
    output::json(&PlanDocument::from(&plan))?;
    Ok(Exit::Success)
}

/// Prints the plan; trains nothing.
pub(crate) fn run(
    selection: &Selection,
    jobs: Option<usize>,
    power: bool,
    json: bool,
    out: &Path,
) -> Result<Exit, Failure> {
    let resolved = to_read(selection, out)?;
    let plan = resolved.plan()?;
    if plan.cells.is_empty() {
        resolved.measurable(&plan)?;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = jobs.unwrap_or(cores).max(1);
    let forecast = Forecast::of(&resolved, &plan, jobs)?;
    if power {
        let power = Power::of(&resolved, &plan, &forecast.seconds())?;
        output::shown(json, &power, || super::power::text(&power))?;
        return Ok(Exit::Success);
    }
    let Forecast { statuses, missing, time, bytes } = forecast;
    let runs = plan.runs.iter().zip(&statuses).zip(&time.runs);
    let runs = runs.map(|((run, state), &estimated_seconds)| PrintedRun {
        run,
        status: status(state),
        estimated_seconds,
    });
    let printed = Printed {
        tier: plan.tier.to_string(),
        protocol: study::words(plan.protocol, &plan.changes),
        device_class: &plan.device_class,
        stored: plan.runs.len() - missing,
        missing,
        estimated_seconds: time.seconds,
        estimate_basis: time.basis,
        estimated_bytes: bytes,
        not_estimated: time.unknown,
        runs: runs.collect(),
        cells: &plan.cells,
    };
    output::shown(json, &printed, || text(&printed, jobs))?;
    Ok(Exit::Success)
}

fn text(printed: &Printed<'_>, jobs: usize) -> String {
    let mut text =
        format!("{} tier, {} protocol, {}\n\n", printed.tier, printed.protocol, printed.device_class);
    text += "runs (upstream first)\n";
    for (index, printed) in printed.runs.iter().enumerate() {
        let upstream: Vec<String> = printed.run.upstream.iter().map(|run| format!("#{}", run.0)).collect();
        let from = if upstream.is_empty() { String::new() } else { format!(" <- {}", upstream.join(" ")) };
        text += &format!(
            "  #{index:<3} {}  {:<36} seed {:<3} {:<8} {:>9}{from}\n",
            printed.run.key.short(),
            printed.run.name,
            printed.run.seed,
            printed.status,
            printed.estimated_seconds.map_or_else(String::new, |seconds| format!("{seconds:.1} s"))
        );
    }
    text += "\ncells\n";
    for cell in printed.cells {
        let runs: Vec<String> = cell.runs.iter().map(|run| format!("#{}", run.0)).collect();
        let from = match (&cell.unmeasured, cell.configured) {
            (Some(why), _) => format!("not measured: {why}"),
            (None, Some(setting)) => format!("{setting:e}, a setting"),
            (None, None) => format!("{} of {}", cell.metric, runs.join(" ")),
        };
        text += &format!("  {:<34} {from}\n", cell.id.to_string());
    }
    text += &format!("\n{} runs stored, {} missing", printed.stored, printed.missing);
    let basis = match printed.estimate_basis {
        Some(Basis::Measured) => "by steps measured here",
        Some(Basis::Reference) => "by steps measured on another machine",
        None => "",
    };
    if !basis.is_empty() {
        text += &format!(": about {:.0} s with {jobs} side by side, {basis}", printed.estimated_seconds);
    }
    if printed.not_estimated > 0 {
        text += &format!("; nothing is known yet about the time of {}", printed.not_estimated);
    }
    if printed.estimated_bytes > 0 {
        text += &format!("; memory: about {:.1} GB at once", printed.estimated_bytes as f64 / 1e9);
    }
    text += "\n";
    text
}
