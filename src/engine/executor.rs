//! Who trains the missing runs of a plan.
//!
//! Invariant: a run is begun after all its upstream runs are stored, and none after a failure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use super::error::RunError;
use super::manifest::Manifest;
use super::options::Options;
use super::plan::{Plan, RunIndex};
use super::progress::Progress;
use super::scheduler::{Next, Scheduler};
use super::store::Store;
use super::worker::{Datasets, Done, Trainer, Worker};

/// What is left to do of a plan.
pub struct Work<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Where runs go.
    pub store: &'a Store,
    /// Whether each run must be trained.
    pub missing: &'a [bool],
    /// How long each may take, in seconds; 0 where nothing is known.
    pub seconds: &'a [f64],
    /// Who is told.
    pub progress: &'a dyn Progress,
}

/// How a run ended: in the store, or why not.
pub(crate) type Ended = Result<(Done, Manifest), RunError>;

/// Gets the missing runs of a plan into its store: on threads of this process ([`Threads`]), or by handing each key to a process of
/// its own (`i2m2 train-run`), on this machine or another that shares the store.
pub trait Executor {
    /// Trains what is missing; calls `ended` once for each run that was begun.
    fn execute(&self, work: &Work<'_>, ended: &(dyn Fn(RunIndex, Ended) + Sync));
}

/// Threads of this process, each with a share of the cores.
pub struct Threads<'a> {
    /// The data.
    pub datasets: &'a dyn Datasets,
    /// What trains a run.
    pub trainer: &'a dyn Trainer,
    /// How many at once.
    pub options: &'a Options,
}

impl Executor for Threads<'_> {
    fn execute(&self, work: &Work<'_>, ended: &(dyn Fn(RunIndex, Ended) + Sync)) {
        let Threads { datasets, trainer, options } = *self;
        let Work { plan, store, missing, seconds, progress } = *work;
        let count = missing.iter().filter(|&&missing| missing).count();
        let jobs = options.jobs.clamp(1, count.max(1));
        let threads = (options.threads / jobs).max(1);
        let stopped = AtomicBool::new(false);
        let worker = Worker { plan, store, datasets, trainer, options, progress, stopped: &stopped };
        let queue = Queue {
            scheduler: Mutex::new(Scheduler::new(plan, missing, seconds)),
            changed: Condvar::new(),
            ended,
        };
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| queue.work(&worker, threads));
            }
        });
    }
}

/// The runs that threads take from a scheduler.
struct Queue<'a> {
    scheduler: Mutex<Scheduler>,
    changed: Condvar,
    ended: &'a (dyn Fn(RunIndex, Ended) + Sync),
}

impl Queue<'_> {
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
            if result.is_ok() {
                scheduler.done(index);
            } else {
                worker.stopped.store(true, Ordering::Relaxed);
                scheduler.failed();
            }
            (self.ended)(index, result);
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
