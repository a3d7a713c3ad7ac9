//! The training loop.
//!
//! Invariant: after every epoch the observer holds everything needed to go on from there, and going on from there
//! gives the bits of the run that was never interrupted.

use std::collections::BTreeMap;

use dfdx::prelude::Cpu;

use super::appraisal::appraise;
use super::checkpoint::{State, identity};
use super::error::TrainError;
use super::feed::{Feed, StepFailed, shuffled};
use super::heads::class_weights;
use super::learner::Learner;
use super::selection::Selection;
use super::{
    EpochReport, ExpertLogits, Job, Observer, Outcome, Tensors, evaluate, measure, reads_logits, weights,
};
use crate::data::{Dataset, Split};
use crate::device::Place;
use crate::digest::Digest;
use crate::models::{Experts, Scope};
use crate::ops::optimizer::{Met, StepError};
use crate::ops::product_of_experts::Heads;
use crate::protocol::{Combine, Init, SelectBy};
use crate::random::Seeds;

/// Trains the job's experts, from `resume` if given (the last state that the observer was handed), and evaluates the
/// best epoch's weights once on the test split. On the CPU it uses the threads of the current rayon pool.
///
/// # Errors
/// [`TrainError`]: no outcome exists then.
pub fn train(
    place: Place,
    job: &Job<'_>,
    resume: Option<&[u8]>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    match place {
        Place::Cpu => train_on(&Cpu::default(), job, resume, observer),
        #[cfg(feature = "cuda")]
        Place::Cuda { index, precision } => {
            let device = crate::ops::cuda::open(index, precision)
                .map_err(|error| TrainError::Device(error.to_string()))?;
            train_on(&device, job, resume, observer)
        }
        #[cfg(not(feature = "cuda"))]
        Place::Cuda { .. } => Err(TrainError::Device("this build computes on the CPU only".to_owned())),
    }
}

fn train_on<D: Feed>(
    device: &D,
    job: &Job<'_>,
    resume: Option<&[u8]>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    check(job)?;
    if !job.recipe.trains() {
        return appraise(device, job);
    }
    let mut run = Run::new(device, job, resume)?;
    let training = &job.recipe.training;
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
struct Run<'a, D: Feed> {
    job: &'a Job<'a>,
    identity: Digest,
    seeds: Seeds,
    learner: Learner<f32, D>,
    selection: Selection,
    reports: Vec<EpochReport>,
    /// Weights of the best epoch; empty before there is one.
    best: Tensors,
    held: D::Held<'a>,
}

impl<'a, D: Feed> Run<'a, D> {
    fn new(device: &D, job: &'a Job<'a>, resume: Option<&[u8]>) -> Result<Self, TrainError> {
        let identity = identity(job)?;
        let seeds = Seeds::root(job.seed);
        let mut experts = experts_of(device, job)?;
        let saved = resume.map(|bytes| State::from_bytes(bytes, identity)).transpose()?;
        match &saved {
            Some(state) => weights::import(&mut experts, |_| Some(&state.model))?,
            None => start(&mut experts, job)?,
        }
        let held = device.hold(job.data, experts.modalities())?;
        let mut learner = Learner::new(device, experts, &job.recipe.training)?;
        if let Some(scheme) = job.recipe.training.class_weights {
            let (heads, labels) = (job.recipe.task.heads().len(), job.data.labels(Split::Train));
            let weights = class_weights(labels, heads, scheme);
            learner.ask(Heads::new(device, heads, job.recipe.task.classes(), &weights)?);
        }
        if let Some(state) = &saved {
            learner.restore_optimizer(&state.optimizer)?;
        }
        let (selection, reports, best) =
            saved.map_or_else(Default::default, |state| (state.selection, state.reports, state.best));
        Ok(Run { job, identity, seeds, learner, selection, reports, best, held })
    }

    /// Trains one epoch and validates.
    fn epoch(&mut self, observer: &mut dyn Observer) -> Result<EpochReport, TrainError> {
        let Job { recipe, data, .. } = self.job;
        let epoch = self.reports.len() + 1;
        let examples = data.len(Split::Train);
        let order = shuffled(&self.seeds, epoch, examples);
        let (mut steps, mut total) = (0, 0.0);
        let mut told = |met: Met, examples: usize| {
            steps += 1;
            total += met.loss * examples as f64;
            observer.step();
        };
        let batch_size = recipe.training.batch_size;
        let trained = D::train(&mut self.held, &mut self.learner, &order, batch_size, &mut told)
            .map_err(|StepFailed { step, source }| TrainError::step(self.job, epoch, step, source));
        readable(*data)?;
        trained?;
        let valid = measure::split(self.job, Split::Valid, Combine::Product, &self.evaluate(Split::Valid)?);
        if let Some(loss) = valid.get("loss").copied().filter(|loss| !loss.is_finite()) {
            return Err(TrainError::step(self.job, epoch, steps, StepError::Loss(loss).into()));
        }
        let chosen_by = match recipe.training.select_by {
            SelectBy::Accuracy => "accuracy",
            SelectBy::Auprc => "auprc",
            SelectBy::Auroc => "auroc",
        };
        let why = "every label of it is the same";
        let metric = *valid.get(chosen_by).ok_or(TrainError::Undefined { metric: chosen_by, why })?;
        let improved = self.selection.observe(epoch, metric);
        if improved {
            self.best = weights::export(&mut self.learner.experts);
        }
        let report = EpochReport { epoch, train_loss: total / examples as f64, valid, improved };
        self.reports.push(report.clone());
        Ok(report)
    }

    /// The state after the last epoch, as bytes.
    fn save(&mut self) -> Result<Vec<u8>, TrainError> {
        let state = State {
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
        logits_of(self.job, &mut self.learner.experts, &mut self.held, (self.job.data, split))
    }

    /// Evaluates the best epoch's weights on the test split.
    fn finish(mut self) -> Result<Outcome, TrainError> {
        if self.selection.epoch == 0 {
            return Err(TrainError::NeverImproved { epochs: self.reports.len() });
        }
        weights::import(&mut self.learner.experts, |_| Some(&self.best))?;
        let recipe = self.job.recipe;
        let logits = self.evaluate(Split::Test)?;
        // Only several heads have thresholds to choose.
        let valid = if recipe.task.heads().is_empty() { None } else { Some(self.evaluate(Split::Valid)?) };
        let best = self.reports.get(self.selection.epoch - 1);
        let mut metrics = measure::test(self.job, &logits, valid.as_deref());
        metrics.insert("best_epoch".to_owned(), self.selection.epoch as f64);
        if let Some(accuracy) = best.and_then(|report| report.valid.get("accuracy")) {
            metrics.insert("valid_accuracy".to_owned(), *accuracy);
        }
        let names = recipe.experts.iter().map(|spec| spec.name.clone());
        let logits = names.zip(logits).map(|(name, logits)| ExpertLogits { name, logits }).collect();
        Ok(Outcome { weights: self.best, logits, metrics, epochs: self.reports })
    }
}

/// The experts of a job, as its seed draws them.
pub(super) fn experts_of<D: Feed>(device: &D, job: &Job<'_>) -> Result<Experts<f32, D>, TrainError> {
    let scope = Scope::new(device.clone(), Seeds::root(job.seed).child("init"));
    let specs = job.recipe.experts.iter().map(|spec| (spec.name.as_str(), &spec.architecture));
    Ok(Experts::new(&scope, specs, job.data.all_dims(), job.recipe.task.logits())?)
}

/// Gives every expert that has an upstream the weights it starts from.
pub(super) fn start<D: Feed>(experts: &mut Experts<f32, D>, job: &Job<'_>) -> Result<(), TrainError> {
    let mut found = BTreeMap::new();
    for spec in &job.recipe.experts {
        if let Init::Upstream { run } = spec.init {
            let missing = || TrainError::Upstream { expert: spec.name.clone(), run };
            found.insert(spec.name.as_str(), &job.upstream.get(run).ok_or_else(missing)?.weights);
        }
    }
    Ok(weights::import(experts, |expert| found.get(expert).copied())?)
}

/// Logits of every expert over a split of `data`, which is the job's, or a noisy form of it.
pub(super) fn logits_of<D: Feed>(
    job: &Job<'_>,
    experts: &mut Experts<f32, D>,
    held: &mut D::Held<'_>,
    (data, split): (&dyn Dataset, Split),
) -> Result<Vec<Vec<f32>>, TrainError> {
    let (norm, training_batch) = (job.recipe.evaluation.norm, job.recipe.training.batch_size);
    let batch = evaluate::batch_size::<D>(norm, training_batch, data, experts.modalities());
    let logits = evaluate::logits(experts, held, split, norm, batch);
    readable(data)?;
    logits.map_err(|source| TrainError::evaluation(job, split, batch, source))
}

/// That every row could be read so far: what cannot is NaN, whose cause is worth more than its consequences.
fn readable(data: &dyn Dataset) -> Result<(), TrainError> {
    data.fault().map_or(Ok(()), |fault| Err(TrainError::Unreadable(fault.to_owned())))
}

/// Refuses what could not be trained, before anything is computed.
fn check(job: &Job<'_>) -> Result<(), TrainError> {
    let (task, training, classes) = (job.recipe.task, &job.recipe.training, job.recipe.task.labels());
    if training.batch_size == 0 {
        return Err(TrainError::Recipe("batch size 0: it must be at least 1".to_owned()));
    }
    let experts = &job.recipe.experts;
    if let Some(spec) = experts.iter().find(|spec| matches!(spec.init, Init::Member { .. }))
        && !reads_logits(job.recipe)
    {
        let name = &spec.name;
        return Err(TrainError::Recipe(format!(
            "`{name}` is a member of an ensemble, which has logits alone"
        )));
    }
    if !job.recipe.trains() && experts.iter().any(|spec| spec.init == Init::Scratch) {
        return Err(TrainError::Recipe("0 epochs, but an expert that starts from nothing".to_owned()));
    }
    let several = !task.heads().is_empty();
    if job.recipe.trains() && several != training.class_weights.is_some() {
        return Err(TrainError::Recipe("class weights belong to tasks with several heads".to_owned()));
    }
    if job.data.classes() != classes {
        return Err(TrainError::Data(format!(
            "labels of {} values, but the task's have {classes}",
            job.data.classes()
        )));
    }
    let (metric, possible, needs) = match training.select_by {
        _ if !job.recipe.trains() => ("nothing", true, "nothing"),
        SelectBy::Accuracy => ("accuracy", !several, "a task of one head"),
        SelectBy::Auprc => ("AUPRC", !several && task.classes() == 2, "a task of one head with two classes"),
        SelectBy::Auroc => ("AUROC", several, "a task of several heads"),
    };
    if !possible {
        return Err(TrainError::Select { metric, needs });
    }
    for split in [Split::Train, Split::Valid, Split::Test] {
        let labels = job.data.labels(split);
        if labels.is_empty() || labels.len() != job.data.len(split) {
            return Err(TrainError::Data(format!(
                "{} examples and {} labels in the {split:?} split, expected at least one and as many of both",
                job.data.len(split),
                labels.len()
            )));
        }
        if let Some(label) = labels.iter().find(|&&label| usize::from(label) >= classes) {
            return Err(TrainError::Data(format!(
                "label {label} in the {split:?} split, expected below {classes}"
            )));
        }
    }
    Ok(())
}
