//! `i2m2 reproduce`: the main job.

use std::path::Path;

use serde::Serialize;

use crate::cli::args::{Selection, Workers};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::memory;
use crate::cli::output;
use crate::cli::progress::Bars;
use crate::cli::resolve::to_train;
use crate::engine::plan::Plan;
use crate::engine::store::Depth;
use crate::engine::{self, Local, Options, Store, Threads};
use crate::experiment;
use crate::report::Format;
use crate::results::{self, Opened, Reference, Report, Resolved};

/// How a plan is executed.
pub(crate) struct Execution {
    /// Runs and threads at once.
    pub workers: Workers,
    /// JSON instead of a table.
    pub json: bool,
    /// No progress.
    pub quiet: bool,
}

/// Trains what is missing, prints the tables, writes everything.
pub(crate) fn run(selection: &Selection, execution: &Execution, out: &Path) -> Result<Exit, Failure> {
    let resolved = to_train(selection, out)?;
    if let Some(note) = &resolved.device.note {
        output::note(note);
    }
    let plan = resolved.plan()?;
    resolved.measurable(&plan)?;
    for (name, why) in &resolved.sources.missing {
        output::note(&format!("warning: {name} is not here, its cells print as not measured: {why}"));
    }
    let summary = train(&resolved, &plan, execution)?;
    let reports = results::read(&resolved)?;
    let folders: Vec<_> = reports.iter().map(|report| files::write(report, out)).collect::<Result<_, _>>()?;
    if execution.json {
        output::json(&Printed {
            trained: summary.trained,
            resumed: summary.resumed,
            stored: summary.stored,
            benchmarks: reports.iter().map(Table::of).collect(),
        })?;
    } else {
        for report in &reports {
            output::data(&(Format::Text.export(report)? + "\n"))?;
        }
    }
    if !execution.quiet {
        for folder in folders {
            output::note(&format!("written: {}", folder.display()));
        }
    }
    Ok(Exit::Success)
}

/// Trains what the store lacks of a plan.
pub(crate) fn train(
    resolved: &Resolved,
    plan: &Plan,
    execution: &Execution,
) -> Result<engine::Summary, Failure> {
    with_threads(resolved, execution.workers, |store, executor| {
        let jobs = executor.options.jobs;
        // Only large runs are looked for: the others need no memory worth a warning.
        let large = plan.runs.iter().filter(|run| experiment::is_large(&run.recipe));
        let absent = large.filter(|run| !matches!(store.find(run.key, Depth::Manifest), Ok(Some(_))));
        memory::warn(results::bytes_at_once(absent, executor.datasets, jobs), jobs);
        // Only where something is to be trained is every manifest of the store looked at.
        if plan.runs.iter().any(|run| !store.entry_path(run.key).exists()) {
            super::store::note_outdated(&store.list(Depth::Manifest)?);
        }
        Ok(engine::execute(plan, store, executor, &Bars::new(execution.quiet))?)
    })
}

/// Trains with threads of this process, and keeps the digests of the data.
pub(super) fn with_threads(
    resolved: &Resolved,
    workers: Workers,
    train: impl FnOnce(&Store, &Threads<'_>) -> Result<engine::Summary, Failure>,
) -> Result<engine::Summary, Failure> {
    let defaults = Options::default();
    let threads = workers.threads.unwrap_or(defaults.threads).max(1);
    let jobs = workers.jobs.unwrap_or(threads).max(1);
    let options = Options { jobs, threads, determinism: resolved.numerics.determinism, ..defaults };
    let opened = Opened::new(resolved);
    let executor = Threads { datasets: &opened, trainer: &Local(resolved.device.device), options: &options };
    let summary = train(&Store::open(&resolved.out), &executor)?;
    if summary.trained + summary.resumed > 0 {
        resolved.keep_digests()?;
    }
    Ok(summary)
}

#[derive(Serialize)]
struct Printed<'a> {
    trained: usize,
    resumed: usize,
    stored: usize,
    benchmarks: Vec<Table<'a>>,
}

#[derive(Serialize)]
struct Table<'a> {
    benchmark: &'static str,
    tier: String,
    protocol: String,
    device_class: &'a str,
    determinism: &'a str,
    deviations: &'a [String],
    references: &'a [Reference],
    cells: Vec<PrintedCell<'a>>,
}

#[derive(Serialize)]
struct PrintedCell<'a> {
    id: String,
    unit: String,
    values: Vec<f64>,
    keys: Vec<String>,
    mean: Option<f64>,
    std: Option<f64>,
    published_mean: Option<f64>,
    published_std: Option<f64>,
    verdict: String,
    reason: &'a str,
    missing: Option<&'a str>,
}

impl<'a> Table<'a> {
    fn of(report: &'a Report) -> Self {
        let cells = report.cells.iter().map(|cell| PrintedCell {
            id: cell.id.to_string(),
            unit: cell.unit().to_string(),
            values: cell.numbers(),
            keys: cell.values.iter().map(|seed| seed.key.to_string()).collect(),
            mean: cell.mean(),
            std: cell.std(),
            published_mean: cell.published.as_ref().map(|published| published.mean),
            published_std: cell.published.as_ref().and_then(|published| published.std),
            verdict: cell.judgement.words(),
            reason: &cell.judgement.reason,
            missing: cell.missing.as_deref(),
        });
        Table {
            benchmark: report.benchmark.id,
            tier: report.tier.to_string(),
            protocol: report.protocol_words(),
            device_class: &report.device_class,
            determinism: &report.determinism,
            deviations: &report.deviations,
            references: &report.references,
            cells: cells.collect(),
        }
    }
}
