//! The training loop.
//!
//! Invariant: after every epoch the observer holds everything needed to go on from there, and going on from there
//! gives the bits of the run that was never interrupted.

use std::collections::BTreeMap;

use dfdx::prelude::Cpu;

use super::batches::{Batch, OnDevice, Source, for_each_batch, shuffled};
use super::checkpoint::{State, identity};
use super::error::TrainError;
use super::learner::{LearnError, Learner};
use super::selection::Selection;
use super::{EpochReport, ExpertLogits, Job, Observer, Outcome, Tensors, evaluate, metrics, weights};
use crate::data::{Dataset, Split};
use crate::digest::Digest;
use crate::models::{Experts, Scope};
use crate::ops::Backend;
use crate::ops::product_of_experts::evaluate::entropy;
use crate::protocol::{Combine, Init, Modality, SelectBy};
use crate::random::Seeds;

/// Trains the job's experts, from `resume` if given (the last state that the observer was handed), and evaluates the
/// best epoch's weights once on the test split. Uses the threads of the current rayon pool.
pub fn train(
    job: &Job<'_>,
    resume: Option<&[u8]>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let mut run = Run::new(Cpu::default(), job, resume)?;
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
struct Run<'a, D: Backend<f32>> {
    job: &'a Job<'a>,
    identity: Digest,
    seeds: Seeds,
    modalities: Vec<Modality>,
    learner: Learner<f32, D>,
    selection: Selection,
    reports: Vec<EpochReport>,
    /// Weights of the best epoch; empty before there is one.
    best: Tensors,
    device: OnDevice<D>,
    buffers: [Batch; 2],
}

impl<'a, D: Backend<f32>> Run<'a, D> {
    fn new(device: D, job: &'a Job<'a>, resume: Option<&[u8]>) -> Result<Self, TrainError> {
        check(job)?;
        let identity = identity(job)?;
        let seeds = Seeds::root(job.seed);
        let specs = || job.recipe.experts.iter();
        let mut experts = Experts::new(
            &Scope::new(device.clone(), seeds.child("init")),
            specs().map(|spec| (spec.name.as_str(), &spec.architecture)),
            [job.data.dims(Modality::First), job.data.dims(Modality::Second)],
            job.recipe.task.classes(),
        )?;
        let saved = resume.map(|bytes| State::from_bytes(bytes, identity)).transpose()?;
        match &saved {
            Some(state) => weights::import(&mut experts, |_| Some(&state.model))?,
            None => {
                let upstream = upstream_of(job)?;
                weights::import(&mut experts, |expert| upstream.get(expert).copied())?;
            }
        }
        let modalities = experts.modalities().to_vec();
        let mut learner = Learner::new(experts, &job.recipe.training)?;
        if let Some(state) = &saved {
            learner.restore_optimizer(&state.optimizer)?;
        }
        let (selection, reports, best) =
            saved.map_or_else(Default::default, |state| (state.selection, state.reports, state.best));
        let (device, buffers) = (OnDevice::new(device), Default::default());
        Ok(Run { job, identity, seeds, modalities, learner, selection, reports, best, device, buffers })
    }

    /// Trains one epoch and validates.
    fn epoch(&mut self, observer: &mut dyn Observer) -> Result<EpochReport, TrainError> {
        let Job { recipe, data, .. } = self.job;
        let epoch = self.reports.len() + 1;
        let examples = data.len(Split::Train);
        let order = shuffled(&self.seeds, epoch, examples);
        let source = Source { data: *data, split: Split::Train, modalities: &self.modalities };
        let (mut step, mut total) = (0, 0.0);
        let (learner, device) = (&mut self.learner, &mut self.device);
        let trained =
            for_each_batch(source, &order, recipe.training.batch_size, &mut self.buffers, |batch| {
                step += 1;
                let loss = device
                    .load(source, batch)
                    .map_err(LearnError::from)
                    .and_then(|inputs| learner.step(inputs, batch.labels()));
                total += loss.map_err(|source| TrainError::step(self.job, epoch, step, source))?
                    * batch.labels().len() as f64;
                observer.step();
                Ok::<_, TrainError>(())
            });
        readable(*data)?;
        trained?;
        let valid = self.evaluate(Split::Valid, Combine::Product)?.1;
        if let Some(loss) = valid.get("loss").copied().filter(|loss| !loss.is_finite()) {
            return Err(TrainError::step(self.job, epoch, step, LearnError::Loss(loss)));
        }
        let chosen_by = match recipe.training.select_by {
            SelectBy::Accuracy => "accuracy",
            SelectBy::Auprc => "auprc",
        };
        let metric = *valid.get(chosen_by).ok_or(TrainError::Auprc { classes: recipe.task.classes() })?;
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

    /// Logits of every expert over a split, and the metrics of their combination.
    fn evaluate(&mut self, split: Split, combine: Combine) -> Result<Evaluated, TrainError> {
        let Job { recipe, data, .. } = self.job;
        let source = Source { data: *data, split, modalities: &self.modalities };
        let batch_size = recipe.training.batch_size;
        let experts = &mut self.learner.experts;
        let norm = recipe.evaluation.norm;
        let logits = evaluate::logits(experts, source, norm, batch_size, &mut self.device, &mut self.buffers);
        readable(*data)?;
        let logits = logits?;
        let metrics = evaluate::summarise(&logits, recipe.task.classes(), data.labels(split), combine);
        Ok((logits, metrics))
    }

    /// Evaluates the best epoch's weights on the test split.
    fn finish(mut self) -> Result<Outcome, TrainError> {
        let Job { recipe, data, .. } = self.job;
        if self.selection.epoch == 0 {
            return Err(TrainError::NeverImproved { epochs: self.reports.len() });
        }
        weights::import(&mut self.learner.experts, |_| Some(&self.best))?;
        let (logits, found) = self.evaluate(Split::Test, recipe.evaluation.combine)?;
        let (labels, classes) = (data.labels(Split::Test), recipe.task.classes());
        let best = self.reports.get(self.selection.epoch - 1);
        let mut metrics = BTreeMap::from([
            ("best_epoch".to_owned(), self.selection.epoch as f64),
            ("label_entropy".to_owned(), metrics::label_entropy(labels, classes)),
        ]);
        metrics.extend(found.into_iter().map(|(name, value)| (format!("test_{name}"), value)));
        if let Some(accuracy) = best.and_then(|report| report.valid.get("accuracy")) {
            metrics.insert("valid_accuracy".to_owned(), *accuracy);
        }
        let names = recipe.experts.iter().map(|spec| spec.name.clone());
        let logits: Vec<ExpertLogits> =
            names.zip(logits).map(|(name, logits)| ExpertLogits { name, logits }).collect();
        for expert in &logits {
            let mean = entropy(&expert.logits, classes).iter().sum::<f64>() / labels.len() as f64;
            metrics.insert(format!("entropy.{}", expert.name), mean);
        }
        Ok(Outcome { weights: self.best, logits, metrics, epochs: self.reports })
    }
}

/// Logits of each expert, and metrics by name.
type Evaluated = (Vec<Vec<f32>>, BTreeMap<String, f64>);

/// The tensors that each expert with an upstream starts from, by its name.
fn upstream_of<'j>(job: &'j Job<'_>) -> Result<BTreeMap<&'j str, &'j Tensors>, TrainError> {
    let mut found = BTreeMap::new();
    for spec in &job.recipe.experts {
        if let Init::Upstream { run } = spec.init {
            let missing = || TrainError::Upstream { expert: spec.name.clone(), run };
            found.insert(spec.name.as_str(), job.upstream.get(run).ok_or_else(missing)?);
        }
    }
    Ok(found)
}

/// That every row could be read so far: what cannot is NaN, whose cause is worth more than its consequences.
fn readable(data: &dyn Dataset) -> Result<(), TrainError> {
    data.fault().map_or(Ok(()), |fault| Err(TrainError::Unreadable(fault.to_owned())))
}

/// Refuses what could not be trained, before anything is computed.
fn check(job: &Job<'_>) -> Result<(), TrainError> {
    let (training, classes) = (&job.recipe.training, job.recipe.task.classes());
    if training.batch_size == 0 || training.epochs == 0 {
        return Err(TrainError::Recipe(format!(
            "batch size {} and {} epochs: both must be at least 1",
            training.batch_size, training.epochs
        )));
    }
    if job.data.classes() != classes {
        return Err(TrainError::Data(format!(
            "labels of {} classes, but the task has {classes}",
            job.data.classes()
        )));
    }
    if training.select_by == SelectBy::Auprc && classes != 2 {
        return Err(TrainError::Auprc { classes });
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
