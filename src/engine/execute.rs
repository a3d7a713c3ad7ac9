//! Executes a plan: skips what is stored, continues what is half-trained, trains the rest.
//!
//! Invariant: the store after an execution depends on the plan alone, whatever `jobs`, interruptions and other processes.
//! At the first failure nothing more is begun; what is at work finishes and is stored, and every failure is reported.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use super::error::RunError;
use super::estimate;
use super::manifest::Manifest;
use super::options::Options;
use super::plan::{Plan, RunIndex};
use super::progress::{Event, Progress};
use super::scheduler::{Next, Scheduler};
use super::store::{Store, StoreError};
use super::survey::{Status, survey, to_train};
use super::worker::{Datasets, Done, Trainer, Worker};

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
    datasets: &dyn Datasets,
    trainer: &dyn Trainer,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Summary, EngineError> {
    let statuses = survey(plan, store);
    let missing = to_train(plan, &statuses);
    let count = missing.iter().filter(|&&missing| missing).count();
    let mut summary = Summary { manifests: vec![None; plan.runs.len()], ..Summary::default() };
    let seconds = estimate::seconds(plan, &statuses);
    for (index, status) in statuses.into_iter().enumerate().filter(|(index, _)| !missing[*index]) {
        if let Status::Stored(entry) = status {
            summary.manifests[index] = Some(entry.manifest);
            summary.stored += 1;
        }
    }
    progress.event(Event::Planned { stored: plan.runs.len() - count, missing: count });
    if count == 0 {
        return Ok(summary);
    }
    let _in_use = store.share()?;
    let jobs = options.jobs.clamp(1, count);
    let threads = (options.threads / jobs).max(1);
    let stopped = AtomicBool::new(false);
    let worker = Worker { plan, store, datasets, trainer, options, progress, stopped: &stopped };
    let crew = Crew {
        scheduler: Mutex::new(Scheduler::new(plan, &missing, &seconds)),
        changed: Condvar::new(),
        finished: Mutex::new((summary, Vec::new())),
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| crew.work(&worker, threads));
        }
    });
    let (summary, failures) = crew.finished.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failures.is_empty() {
        Ok(summary)
    } else {
        Err(EngineError::Runs { failures, summary: Box::new(summary) })
    }
}

/// Threads that work through a scheduler together.
struct Crew {
    scheduler: Mutex<Scheduler>,
    changed: Condvar,
    finished: Mutex<(Summary, Vec<Failure>)>,
}

impl Crew {
    fn work(&self, worker: &Worker<'_>, share: usize) {
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let shared = pool(share);
        while let Some((index, alone)) = self.next() {
            let run = &worker.plan.runs[index.0];
            // Nothing else can begin before this run is done: it has the machine to itself.
            let own = (alone && share < worker.options.threads).then(|| pool(worker.options.threads));
            let result = match own.as_ref().unwrap_or(&shared) {
                Ok(pool) => worker.run(run, pool),
                Err(error) => Err(RunError::Threads(error.to_string())),
            };
            let mut scheduler = self.scheduler.lock().unwrap_or_else(PoisonError::into_inner);
            let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok((done, manifest)) => {
                    worker.progress.event(Event::Finished { run });
                    match done {
                        Done::Trained => finished.0.trained += 1,
                        Done::Resumed => finished.0.resumed += 1,
                        Done::Found => finished.0.stored += 1,
                    }
                    finished.0.manifests[index.0] = Some(manifest);
                    scheduler.done(index);
                }
                Err(error) => {
                    worker.stopped.store(true, Ordering::Relaxed);
                    scheduler.failed();
                    if !matches!(error, RunError::GivenUp) {
                        worker.progress.event(Event::Failed { run, error: &error });
                        finished.1.push(Failure { name: run.name.clone(), seed: run.seed, error });
                    }
                }
            }
            self.changed.notify_all();
        }
    }

    /// The next run, and whether it is at work alone until its end.
    fn next(&self) -> Option<(RunIndex, bool)> {
        let mut scheduler = self.scheduler.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match scheduler.next() {
                Next::Run(index) => return Some((index, scheduler.alone())),
                Next::End => return None,
                Next::Wait => {
                    scheduler = self.changed.wait(scheduler).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}
