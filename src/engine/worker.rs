//! One run: from its upstream weights to an entry in the store.
//!
//! Invariant: while a run is trained its lock is held, so no two processes train one run. Its data is the planned data
//! before the first step, whenever a state is saved, and after the last: what was trained on anything else is never saved.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::error::{Cause, RunError, TrainFailure};
use super::manifest::{Circumstances, DatasetRecord, Manifest, Spent};
use super::options::Options;
use super::plan::{Plan, Run};
use super::progress::{Event, Progress};
use super::store::{Depth, PartialRun, Store, StoreError};
use crate::data::{Dataset, Identity, Pretrained};
use crate::digest::Digest;
use crate::experiment::{EpochReport, Job, Observer, RunOutput, Upstream};
use crate::study::Recipe;

/// The prepared datasets that a plan was made for.
pub trait Datasets: Sync {
    /// What a dataset was when the plan was made; `None` if it is not here.
    fn identity(&self, dataset: &str) -> Option<&Identity>;

    /// Whether its rows, and what is computed row by row, must not be passed on.
    fn credentialed(&self, dataset: &str) -> bool;

    /// Opens the data that a recipe reads. Called once per run: share what is loaded.
    ///
    /// # Errors
    /// When the files cannot be read.
    fn open(&self, recipe: &Recipe) -> Result<Arc<dyn Dataset>, Cause>;

    /// The pretrained weights that a recipe names, which belong to the identity of its dataset.
    ///
    /// # Errors
    /// When they are not here.
    fn pretrained(&self, _recipe: &Recipe) -> Result<Option<Pretrained>, Cause> {
        Ok(None)
    }

    /// That the files are still those of [`Datasets::identity`]. Called several times per run: must be cheap while
    /// nothing has changed.
    ///
    /// # Errors
    /// When a file has changed or is gone, with its name.
    fn unchanged(&self, dataset: &str) -> Result<(), Cause>;
}

/// Trains one run; what `experiment::train` does, and a mock in tests.
pub trait Trainer: Sync {
    /// Trains, from the beginning or from a state that it gave to the observer. The same job must give the same outcome,
    /// bit for bit, interrupted or not.
    ///
    /// # Errors
    /// [`TrainFailure::State`] when the state cannot be continued from; the run is then trained from its beginning.
    fn train(
        &self,
        job: &Job<'_>,
        resume: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<RunOutput, TrainFailure>;
}

/// How a run got into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Trained from its beginning.
    Trained,
    /// Continued from a state.
    Resumed,
    /// Another process stored it meanwhile.
    Found,
}

/// What every run of an execution shares.
pub(super) struct Worker<'a> {
    pub plan: &'a Plan,
    pub store: &'a Store,
    pub datasets: &'a dyn Datasets,
    pub trainer: &'a dyn Trainer,
    pub options: &'a Options,
    pub progress: &'a dyn Progress,
    pub stopped: &'a AtomicBool,
}

impl Worker<'_> {
    /// Gets a run into the store.
    pub(super) fn run(&self, run: &Run, pool: &rayon::ThreadPool) -> Result<(Done, Manifest), RunError> {
        let _lock = self.lock(run)?;
        match self.store.find(run.key, Depth::Files) {
            Ok(Some(entry)) if entry.complete => return Ok((Done::Found, entry.manifest)),
            Ok(_) => {}
            Err(error) if error.is_corrupt() => {
                let to = self.store.quarantine(run.key)?;
                self.progress.event(Event::Quarantined { run, reason: &error.to_string(), to: &to });
            }
            Err(error) => return Err(error.into()),
        }
        let (record, data) = self.data(run)?;
        let pretrained = self.datasets.pretrained(&run.recipe).map_err(RunError::Data)?;
        let upstream = self.upstream(run)?;
        let job = Job {
            recipe: &run.recipe,
            data: &*data,
            seed: run.seed,
            upstream: &upstream,
            pretrained: pretrained.as_ref(),
        };
        let mut state = self.state(run)?;
        let (outcome, spent) = loop {
            match self.train(run, &job, state.as_ref(), pool) {
                Err(RunError::Train(failure @ TrainFailure::State(_))) if state.is_some() => {
                    state = None;
                    let to = self.store.quarantine_state(run.key)?;
                    self.progress.event(Event::Quarantined { run, reason: &failure.to_string(), to: &to });
                }
                result => break result?,
            }
        };
        self.datasets.unchanged(&run.recipe.dataset).map_err(RunError::Changed)?;
        let circumstances = Circumstances {
            dataset: record,
            determinism: self.options.determinism,
            spent,
            resumed: state.is_some(),
            threads: pool.current_num_threads(),
        };
        let manifest = self.store.put(Manifest::draft(self.plan, run, circumstances), &outcome)?;
        self.store.remove_state(run.key)?;
        Ok((if state.is_some() { Done::Resumed } else { Done::Trained }, manifest))
    }

    /// The run's lock; waits while another process has it.
    fn lock(&self, run: &Run) -> Result<super::store::Lock, RunError> {
        let mut told = false;
        loop {
            if let Some(lock) = self.store.try_lock_run(run.key)? {
                return Ok(lock);
            }
            if self.stopped.load(Ordering::Relaxed) {
                return Err(RunError::GivenUp);
            }
            if !std::mem::replace(&mut told, true) {
                self.progress.event(Event::Waiting { run });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The data of a run, which is the planned data.
    fn data(&self, run: &Run) -> Result<(DatasetRecord, Arc<dyn Dataset>), RunError> {
        let name = run.recipe.dataset.as_str();
        let identity = self.datasets.identity(name).filter(|identity| identity.digest == run.data);
        let identity = identity.ok_or_else(|| {
            RunError::Changed(format!("expected a dataset of digest {}", run.data.short()).into())
        })?;
        self.datasets.unchanged(name).map_err(RunError::Changed)?;
        let files = identity.files.iter().map(|file| (file.name.clone(), file.digest)).collect();
        let credentialed = self.datasets.credentialed(name);
        let record = DatasetRecord { name: name.to_owned(), credentialed, digest: identity.digest, files };
        Ok((record, self.datasets.open(&run.recipe).map_err(RunError::Data)?))
    }

    fn upstream(&self, run: &Run) -> Result<Vec<Upstream>, RunError> {
        let read = |key: Digest| -> Result<Upstream, StoreError> {
            let entry = self.store.find(key, Depth::Manifest)?;
            let lost = || StoreError::Corrupt {
                path: self.store.entry_path(key),
                expected: "a stored upstream run".to_owned(),
                found: "nothing".to_owned(),
            };
            let manifest = entry.ok_or_else(lost)?.manifest;
            Ok(if run.recipe.reads_logits() {
                Upstream { logits: self.store.logits(&manifest)?, ..Upstream::default() }
            } else {
                Upstream { weights: self.store.weights(&manifest)?, ..Upstream::default() }
            })
        };
        Ok(run.upstream.iter().map(|&i| read(self.plan.runs[i.0].key)).collect::<Result<_, _>>()?)
    }

    /// The state to continue from, if there is a usable one.
    fn state(&self, run: &Run) -> Result<Option<PartialRun>, RunError> {
        match self.store.state(run.key) {
            Err(error @ StoreError::State { .. }) => {
                let to = self.store.quarantine_state(run.key)?;
                self.progress.event(Event::Quarantined { run, reason: &error.to_string(), to: &to });
                Ok(None)
            }
            state => Ok(state?),
        }
    }

    fn train(
        &self,
        run: &Run,
        job: &Job<'_>,
        state: Option<&PartialRun>,
        pool: &rayon::ThreadPool,
    ) -> Result<(RunOutput, Spent), RunError> {
        let mut observer = RunObserver::new(self, run, state.map(|state| state.spent).unwrap_or_default());
        let resume = state.map(|state| state.payload.as_slice());
        let trained = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.install(|| self.trainer.train(job, resume, &mut observer))
        }));
        let saved = observer.saved();
        let trained = trained.map_err(|panic| RunError::Panic(message(&*panic)))?;
        // What stopped the observer says more than what the trainer made of it.
        if let Some(error) = observer.error.take() {
            return Err(error);
        }
        let outcome = trained.map_err(RunError::Train)?;
        saved?;
        Ok((outcome, observer.spent()))
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// Observes a run: counts, measures, saves states, passes on. A state is hashed and written while the next epoch trains; a
/// save that failed ends the run one epoch later.
struct RunObserver<'a> {
    worker: &'a Worker<'a>,
    run: &'a Run,
    /// Before this process went on with the run.
    before: Spent,
    begun: Instant,
    steps: u64,
    training: Duration,
    /// When the current epoch began.
    epoch_begun: Instant,
    last_step: Option<Instant>,
    last_save: Instant,
    /// How long the last save took.
    save_took: Duration,
    /// The save under way, and what it took when it is done.
    saving: Option<JoinHandle<Result<Duration, StoreError>>>,
    error: Option<RunError>,
}

/// A first guess of what saving a state takes.
const A_SAVE: Duration = Duration::from_millis(5);

impl<'a> RunObserver<'a> {
    fn new(worker: &'a Worker<'a>, run: &'a Run, before: Spent) -> Self {
        let now = Instant::now();
        RunObserver {
            worker,
            run,
            before,
            begun: now,
            steps: 0,
            training: Duration::ZERO,
            epoch_begun: now,
            last_step: None,
            last_save: now,
            save_took: A_SAVE,
            saving: None,
            error: None,
        }
    }

    /// With the steps of an epoch that has not ended.
    fn spent(&self) -> Spent {
        let unfinished = self.last_step.map_or(Duration::ZERO, |last| last - self.epoch_begun);
        Spent {
            steps: self.before.steps + self.steps,
            training_seconds: self.before.training_seconds + (self.training + unfinished).as_secs_f64(),
            wall_seconds: self.before.wall_seconds + self.begun.elapsed().as_secs_f64(),
        }
    }

    fn save(&mut self, epochs: usize, state: &[u8]) -> Result<(), RunError> {
        if self.last_save.elapsed().as_secs_f64()
            < self.save_took.as_secs_f64() / self.worker.options.save_share
        {
            return Ok(());
        }
        self.saved()?;
        self.worker.datasets.unchanged(&self.run.recipe.dataset).map_err(RunError::Changed)?;
        let (store, key, spent, state) =
            (self.worker.store.clone(), self.run.key, self.spent(), state.to_vec());
        self.last_save = Instant::now();
        self.saving = Some(std::thread::spawn(move || {
            let begun = Instant::now();
            store.put_state(key, epochs, spent, &state)?;
            Ok(begun.elapsed())
        }));
        Ok(())
    }

    /// Waits for the save under way, if there is one: a run's lock is never given back before its last write has ended.
    fn saved(&mut self) -> Result<(), RunError> {
        let Some(saving) = self.saving.take() else { return Ok(()) };
        self.save_took = saving.join().map_err(|panic| RunError::Panic(message(&*panic)))??;
        Ok(())
    }
}

impl Drop for RunObserver<'_> {
    fn drop(&mut self) {
        // Only an error or a panic leaves one under way, and either says more than the save would.
        let _ = self.saved();
    }
}

impl Observer for RunObserver<'_> {
    fn start(&mut self, steps_per_epoch: usize, epochs: usize, next_epoch: usize) {
        self.epoch_begun = Instant::now();
        self.worker.progress.event(Event::Started { run: self.run, steps_per_epoch, epochs, next_epoch });
    }

    fn step(&mut self) {
        self.steps += 1;
        self.last_step = Some(Instant::now());
        self.worker.progress.event(Event::Step { run: self.run });
    }

    fn epoch(&mut self, report: &EpochReport, state: &[u8]) -> Result<(), std::io::Error> {
        if let Some(last) = self.last_step.take() {
            self.training += last - self.epoch_begun;
        }
        self.worker.progress.event(Event::Epoch { run: self.run, report });
        let saved = self.save(report.epoch, state);
        self.epoch_begun = Instant::now();
        saved.map_err(|error| {
            let told = std::io::Error::other(error.to_string());
            self.error = Some(error);
            told
        })
    }
}
