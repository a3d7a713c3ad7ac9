//! `i2m2 train-run`: one run of a plan that another process made.
//!
//! Invariant: nothing is stored under a key that this machine would not give: device, data and numerics are those of the plan.

use std::path::Path;

use crate::cli::args::{TrainRun, Workers};
use crate::cli::commands::reproduce::with_threads;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::progress::Bars;
use crate::cli::{device, output};
use crate::engine;
use crate::engine::document::PlanDocument;
use crate::engine::plan::Plan;
use crate::engine::planner::numerics_of;
use crate::results::{Purpose, Request, Resolved, Selection};

/// Trains the run, unless it is stored.
pub(crate) fn run(asked: &TrainRun, quiet: bool, out: &Path) -> Result<Exit, Failure> {
    let path = asked.plan.display();
    let text = std::fs::read_to_string(&asked.plan)
        .map_err(|error| Failure::usage(format!("cannot read `{path}`: {error}")))?;
    let plan = PlanDocument::parse(&text).and_then(PlanDocument::plan);
    let plan = plan.map_err(|error| Failure::usage(format!("`{path}`: {error}")))?;
    let resolved = resolve(&plan, asked, out)?;
    if let Some(run) = plan.runs.iter().find(|run| run.key == asked.key)
        && numerics_of(&resolved.numerics.digests, &run.name, &run.recipe)? != run.numerics
    {
        return Err(Failure::usage(format!(
            "`{}` was planned where its networks compute other bits than here; plan it on this machine",
            run.name
        )));
    }
    let workers = Workers { jobs: Some(1), threads: asked.threads };
    let summary = with_threads(&resolved, workers, |store, executor| {
        Ok(engine::execute_run(&plan, asked.key, store, executor, &Bars::new(quiet))?)
    })?;
    let done = if summary.stored > 0 { "was stored already" } else { "trained" };
    output::note(&format!("{}: {done}", asked.key));
    Ok(Exit::Success)
}

/// Data and numerics of the plan's benchmarks on this machine.
fn resolve(plan: &Plan, asked: &TrainRun, out: &Path) -> Result<Resolved, Failure> {
    let mut benchmarks: Vec<&str> = plan.cells.iter().map(|cell| cell.id.benchmark.as_str()).collect();
    benchmarks.dedup();
    let selection = Selection::new(&Request {
        id: if let [one] = benchmarks[..] { one } else { "all" },
        only: &[],
        tier: Some(plan.tier),
        protocol: plan.protocol,
        changes: &plan.changes,
        seeds: None,
        real: asked.data.is_some(),
    })?;
    let device = device::choose(asked.device, asked.precision)?;
    if device.class != plan.device_class {
        return Err(Failure::usage(format!(
            "the plan is for the device `{}`, this is `{}`: plan again with --device",
            plan.device_class, device.class
        )));
    }
    Ok(Resolved::new(selection, device, asked.data.as_deref(), out.to_owned(), Purpose::Train)?)
}
