//! Executes a plan: skips what is stored, continues what is half-trained, trains the rest.
//!
//! Invariant: the store after an execution depends on the plan alone, whatever `jobs`, interruptions and other processes.
//! At the first failure nothing more is begun; what is at work finishes and is stored, and every failure is reported.

use std::sync::{Mutex, PoisonError};

use super::error::RunError;
use super::estimate;
use super::executor::{Executor, Work};
use super::manifest::Manifest;
use super::plan::Plan;
use super::progress::{Event, Progress};
use super::store::{Depth, Store, StoreError};
use super::survey::{Status, survey, to_train};
use super::worker::Done;
use crate::digest::Digest;

/// What an execution did.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Runs trained from their beginning.
    pub trained: usize,
    /// Runs continued from a half-trained state.
    pub resumed: usize,
    /// Runs that were in the store already, or that another process put there meanwhile.
    pub stored: usize,
    /// The stored runs, by position in the plan; `None` for runs that nothing needed or that failed.
    pub manifests: Vec<Option<Manifest>>,
}

/// A run that failed.
#[derive(Debug)]
pub struct Failure {
    /// For people.
    pub name: String,
    /// Root of the seed tree.
    pub seed: u64,
    /// Why.
    pub error: RunError,
}

/// Why a plan is not executed to its end.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store could not be used at all.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The plan lacks the run that is asked for.
    #[error("the plan has no run {key}; `i2m2 plan` lists its runs")]
    NoRun {
        /// What was asked for.
        key: Digest,
    },
    /// A run starts from one that is not stored.
    #[error("`{run}` starts from run {key}, which is not in the store: train that one first")]
    Upstream {
        /// The run.
        run: String,
        /// What it starts from.
        key: Digest,
    },
    /// Runs failed.
    #[error("{}", describe(failures))]
    Runs {
        /// Those that failed.
        failures: Vec<Failure>,
        /// What was done nevertheless; it is in the store.
        summary: Box<Summary>,
    },
}

fn describe(failures: &[Failure]) -> String {
    let mut lines: Vec<String> =
        failures.iter().map(|f| format!("run `{}`, seed {}: {}", f.name, f.seed, f.error)).collect();
    lines.push("finished runs are in the store; the same command continues from there".to_owned());
    lines.join("\n")
}

/// Executes a plan.
///
/// # Errors
/// [`EngineError::Runs`] when runs failed: those that finished are stored, and the same call continues from there.
pub fn execute(
    plan: &Plan,
    store: &Store,
    executor: &dyn Executor,
    progress: &dyn Progress,
) -> Result<Summary, EngineError> {
    let statuses = survey(plan, store);
    let missing = to_train(plan, &statuses);
    let seconds = estimate::seconds(plan, &statuses);
    let mut summary = Summary { manifests: vec![None; plan.runs.len()], ..Summary::default() };
    for (index, status) in statuses.into_iter().enumerate().filter(|(index, _)| !missing[*index]) {
        if let Status::Stored(entry) = status {
            summary.manifests[index] = Some(entry.manifest);
            summary.stored += 1;
        }
    }
    let work = Work { plan, store, missing: &missing, seconds: &seconds, progress };
    finish(executor, &work, summary)
}

/// Trains one run of a plan, whose upstream runs are stored; nothing if it is stored itself.
///
/// # Errors
/// [`EngineError::NoRun`] and [`EngineError::Upstream`], and as [`execute`].
pub fn execute_run(
    plan: &Plan,
    key: Digest,
    store: &Store,
    executor: &dyn Executor,
    progress: &dyn Progress,
) -> Result<Summary, EngineError> {
    let index = plan.runs.iter().position(|run| run.key == key).ok_or(EngineError::NoRun { key })?;
    let mut missing = vec![false; plan.runs.len()];
    let mut summary = Summary { manifests: vec![None; plan.runs.len()], ..Summary::default() };
    match store.find(key, Depth::Files) {
        Ok(Some(entry)) if entry.complete => {
            summary.manifests[index] = Some(entry.manifest);
            summary.stored = 1;
        }
        _ => missing[index] = true,
    }
    for upstream in plan.runs[index].upstream.iter().filter(|_| missing[index]) {
        let from = &plan.runs[upstream.0];
        if !store.find(from.key, Depth::Files)?.is_some_and(|entry| entry.complete) {
            return Err(EngineError::Upstream { run: plan.runs[index].name.clone(), key: from.key });
        }
    }
    let seconds = vec![0.0; plan.runs.len()];
    let work = Work { plan, store, missing: &missing, seconds: &seconds, progress };
    finish(executor, &work, summary)
}

/// Has what is missing trained, and counts.
fn finish(executor: &dyn Executor, work: &Work<'_>, summary: Summary) -> Result<Summary, EngineError> {
    let missing = work.missing.iter().filter(|&&missing| missing).count();
    work.progress.event(Event::Planned { stored: work.plan.runs.len() - missing, missing });
    if missing == 0 {
        return Ok(summary);
    }
    let _in_use = work.store.share()?;
    let ended: Mutex<(Summary, Vec<Failure>)> = Mutex::new((summary, Vec::new()));
    executor.execute(work, &|index, result| {
        let run = &work.plan.runs[index.0];
        let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok((done, manifest)) => {
                work.progress.event(Event::Finished { run });
                match done {
                    Done::Trained => ended.0.trained += 1,
                    Done::Resumed => ended.0.resumed += 1,
                    Done::Found => ended.0.stored += 1,
                }
                ended.0.manifests[index.0] = Some(manifest);
            }
            Err(RunError::GivenUp) => {}
            Err(error) => {
                work.progress.event(Event::Failed { run, error: &error });
                ended.1.push(Failure { name: run.name.clone(), seed: run.seed, error });
            }
        }
    });
    let (summary, failures) = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failures.is_empty() {
        Ok(summary)
    } else {
        Err(EngineError::Runs { failures, summary: Box::new(summary) })
    }
}
