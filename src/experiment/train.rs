//! The training loop.
//!
//! Invariant: after every epoch the observer holds everything needed to go on from there, and going on from there
//! gives the bits of the run that was never interrupted.

use dfdx::prelude::Cpu;

use super::checkpoint::{TrainingState, identity};
use super::data_loader::{Epoch, StepFailed, TrainingDevice, shuffled};
use super::error::TrainError;
use super::heads::class_weights;
use super::learner::Learner;
use super::loss::Loss;
use super::networks::{experts_of, load_upstream, logits_of, named, readable};
use super::reevaluate::reevaluate;
use super::selection::Selection;
use super::{EpochReport, Job, Observer, RunOutput, Tensors, features, measure, weights};
use crate::data::{Split, Task};
use crate::device::Device;
use crate::digest::Digest;
use crate::metric::{ACCURACY, AUPRC, AUROC, BEST_EPOCH, Direction, LOSS, Metric, SCORE};
use crate::ops::optimizer::{StepError, StepStats};
use crate::random::Seeds;
use crate::study::{Init, SelectBy, Training};

/// Trains the job's experts, from `resume` if given (the last state that the observer was handed), and evaluates the
/// best epoch's weights once on the test split. On the CPU it uses the threads of the current rayon pool.
///
/// # Errors
/// [`TrainError`]: no outcome exists then.
pub fn train(
    device: Device,
    job: &Job<'_>,
    resume: Option<&[u8]>,
    observer: &mut dyn Observer,
) -> Result<RunOutput, TrainError> {
    match device {
        Device::Cpu => train_on(&Cpu::default(), job, resume, observer),
        #[cfg(feature = "cuda")]
        Device::Cuda { index, precision } => {
            let device = crate::ops::cuda::open(index, precision)
                .map_err(|error| TrainError::Device(error.to_string()))?;
            train_on(&device, job, resume, observer)
        }
        #[cfg(not(feature = "cuda"))]
        Device::Cuda { .. } => Err(TrainError::Device("this build computes on the CPU only".to_owned())),
    }
}

fn train_on<D: TrainingDevice>(
    device: &D,
    job: &Job<'_>,
    resume: Option<&[u8]>,
    observer: &mut dyn Observer,
) -> Result<RunOutput, TrainError> {
    check(job)?;
    let features = features::of(device, job)?;
    let job = &match &features {
        Some(features) => Job { data: &**features, ..*job },
        None => *job,
    };
    let Some(training) = &job.recipe.training else { return reevaluate(device, job) };
    let mut run = Run::new(device, job, training, resume)?;
    let steps = job.data.len(Split::Train).div_ceil(training.batch_size);
    observer.start(steps, training.epochs, run.reports.len() + 1);
    while run.reports.len() < training.epochs && !run.selection.exhausted(training.patience) {
        let report = run.epoch(observer)?;
        let state = run.save()?;
        observer.epoch(&report, &state).map_err(|source| TrainError::Save { epoch: report.epoch, source })?;
    }
    run.finish()
}

/// A run under way.
struct Run<'a, D: TrainingDevice> {
    job: &'a Job<'a>,
    training: &'a Training,
    identity: Digest,
    seeds: Seeds,
    learner: Learner<f32, D>,
    selection: Selection,
    reports: Vec<EpochReport>,
    /// Weights of the best epoch; empty before there is one.
    best: Tensors,
    loader: D::DataLoader<'a>,
}

impl<'a, D: TrainingDevice> Run<'a, D> {
    fn new(
        device: &D,
        job: &'a Job<'a>,
        training: &'a Training,
        resume: Option<&[u8]>,
    ) -> Result<Self, TrainError> {
        let identity = identity(job)?;
        let seeds = Seeds::root(job.seed);
        let mut experts = experts_of(device, job)?;
        let saved = resume.map(|bytes| TrainingState::from_bytes(bytes, identity)).transpose()?;
        match &saved {
            Some(state) => weights::import(&mut experts, |_| Some(&state.model))?,
            None => load_upstream(&mut experts, job)?,
        }
        let loader = device.data_loader(job.data, experts.modalities())?;
        let mut learner = Learner::new(device, experts, training)?;
        let task = &job.recipe.task;
        let weights = training.class_weights.map(|scheme| {
            class_weights(job.data.targets(Split::Train).labels(), task.questions().len(), scheme)
        });
        learner.minimise(Loss::new(device, task, weights.as_deref())?);
        if let Some(state) = &saved {
            learner.restore_optimizer(&state.optimizer)?;
        }
        let (selection, reports, best) =
            saved.map_or_else(Default::default, |state| (state.selection, state.reports, state.best));
        Ok(Run { job, training, identity, seeds, learner, selection, reports, best, loader })
    }

    /// Trains one epoch and validates.
    fn epoch(&mut self, observer: &mut dyn Observer) -> Result<EpochReport, TrainError> {
        let Job { data, .. } = self.job;
        let number = self.reports.len() + 1;
        let examples = data.len(Split::Train);
        let order = shuffled(&self.seeds, number, examples);
        let (mut steps, mut total) = (0, 0.0);
        let mut on_step = |stats: StepStats, examples: usize| {
            steps += 1;
            total += stats.loss * examples as f64;
            observer.step();
        };
        let batch_size = self.training.batch_size;
        let epoch = Epoch {
            order: &order,
            batch_size,
            micro_batch: self.training.micro_batch.unwrap_or(batch_size),
            augmentation: self.seeds.child("augmentation").child(number),
        };
        self.learner.begin_epoch(self.seeds.child("dropout").child(number));
        let trained = D::train(&mut self.loader, &mut self.learner, &epoch, &mut on_step)
            .map_err(|StepFailed { step, source }| TrainError::step(self.job, number, step, source));
        readable(*data)?;
        trained?;
        let valid = measure::valid(self.job, &self.evaluate(Split::Valid)?);
        if let Some(loss) = valid.value(&Metric::new(&LOSS)).filter(|loss| !loss.is_finite()) {
            return Err(TrainError::step(self.job, number, steps, StepError::Loss(loss).into()));
        }
        let chosen_by = match self.training.select_by {
            SelectBy::Accuracy => &ACCURACY,
            SelectBy::Auprc => &AUPRC,
            SelectBy::Auroc => &AUROC,
            SelectBy::Score => &SCORE,
            SelectBy::Loss => &LOSS,
        };
        let why = "every label of it is the same";
        let undefined = TrainError::Undefined { metric: chosen_by.id, why };
        let metric = valid.value(&Metric::new(chosen_by)).ok_or(undefined)?;
        let better = if chosen_by.direction == Direction::Lower { -metric } else { metric };
        let improved = self.selection.observe(number, better);
        if improved {
            self.best = weights::export(&mut self.learner.experts);
        }
        let report = EpochReport { epoch: number, train_loss: total / examples as f64, valid, improved };
        self.reports.push(report.clone());
        Ok(report)
    }

    /// The state after the last epoch, as bytes.
    fn save(&mut self) -> Result<Vec<u8>, TrainError> {
        let state = TrainingState {
            selection: self.selection,
            reports: self.reports.clone(),
            model: weights::export(&mut self.learner.experts),
            best: self.best.clone(),
            optimizer: self.learner.optimizer_state(),
        };
        Ok(state.to_bytes(self.identity)?)
    }

    /// Logits of every expert over a split.
    fn evaluate(&mut self, split: Split) -> Result<Vec<Vec<f32>>, TrainError> {
        logits_of(self.job, &mut self.learner.experts, &mut self.loader, (self.job.data, split))
    }

    /// Evaluates the best epoch's weights on every test split.
    fn finish(mut self) -> Result<RunOutput, TrainError> {
        if self.selection.epoch == 0 {
            return Err(TrainError::NeverImproved { epochs: self.reports.len() });
        }
        weights::import(&mut self.learner.experts, |_| Some(&self.best))?;
        let recipe = self.job.recipe;
        let tests: Vec<Vec<Vec<f32>>> = (0..self.job.data.test_splits().len())
            .map(|test| self.evaluate(Split::Test(test)))
            .collect::<Result<_, _>>()?;
        // Only questions have thresholds to choose.
        let valid =
            if recipe.task.questions().is_empty() { None } else { Some(self.evaluate(Split::Valid)?) };
        let best = self.reports.get(self.selection.epoch - 1);
        let mut metrics = measure::tests(self.job, &tests, valid.as_deref());
        metrics.insert(&Metric::new(&BEST_EPOCH), self.selection.epoch as f64);
        if let Some(accuracy) = best.and_then(|report| report.valid.value(&Metric::new(&ACCURACY))) {
            metrics.insert(&Metric::new(&ACCURACY).on("valid"), accuracy);
        }
        let logits = named(self.job, tests);
        Ok(RunOutput { weights: self.best, logits, metrics, epochs: self.reports })
    }
}

/// Refuses what could not be trained, before anything is computed.
fn check(job: &Job<'_>) -> Result<(), TrainError> {
    let task = &job.recipe.task;
    let experts = &job.recipe.experts;
    if let Some(spec) = experts.iter().find(|spec| matches!(spec.init, Init::Member { .. }))
        && !job.recipe.reads_logits()
    {
        let name = &spec.name;
        return Err(TrainError::Recipe(format!(
            "`{name}` is a member of an ensemble, which has logits alone"
        )));
    }
    if !job.recipe.trains() && experts.iter().any(|spec| spec.init == Init::Scratch) {
        return Err(TrainError::Recipe("nothing is trained, but an expert starts from nothing".to_owned()));
    }
    task.target.check().map_err(|error| TrainError::Recipe(format!("task `{}`: {error}", task.id)))?;
    job.recipe.training.as_ref().map_or(Ok(()), |training| trainable(task, training))?;
    job.data.check(&task.target).map_err(TrainError::Data)
}

/// Refuses what a task cannot be trained with.
fn trainable(task: &Task, training: &Training) -> Result<(), TrainError> {
    if training.batch_size == 0 || training.epochs == 0 {
        let Training { batch_size, epochs, .. } = training;
        return Err(TrainError::Recipe(format!(
            "batches of {batch_size}, {epochs} epochs: both must be at least 1"
        )));
    }
    let several = !task.questions().is_empty();
    if several != training.class_weights.is_some() {
        return Err(TrainError::Recipe("class weights belong to tasks that ask questions".to_owned()));
    }
    let (metric, needs) = match training.select_by {
        SelectBy::Loss => ("loss", "nothing"),
        SelectBy::Accuracy => ("accuracy", "a task of classes"),
        SelectBy::Auprc => ("AUPRC", "a task of two classes"),
        SelectBy::Auroc => ("AUROC", "a task that asks questions"),
        SelectBy::Score => ("score", "a task of soft scores"),
    };
    if training.select_by.fits(&task.target) { Ok(()) } else { Err(TrainError::Select { metric, needs }) }
}
