//! A run that trains nothing: it combines what upstream runs left, for ensembles (Figure 3) and under noise (Figure B.7).
//!
//! Invariant: without noise no network is run: the logits that the upstream runs stored are what they would give.

use super::data_loader::TrainingDevice;
use super::error::TrainError;
use super::networks::{experts_of, load_upstream, logits_of, named};
use super::{ExpertLogits, Job, RunOutput, Tensors, measure};
use crate::data::{Dataset, Split};
use crate::random::Seeds;
use crate::study::{ExpertSpec, Init};

/// Evaluates a job that trains nothing on every test split.
pub(super) fn reevaluate<D: TrainingDevice>(device: &D, job: &Job<'_>) -> Result<RunOutput, TrainError> {
    let tests: Vec<Vec<Vec<f32>>> = match job.recipe.evaluation.noise {
        None => {
            let tests = 0..job.data.test_splits().len();
            tests.map(|test| stored(job, test)).collect::<Result<_, _>>()?
        }
        Some(percent) => {
            let seeds = Seeds::root(job.seed).child("noise");
            let noisy = job.data.noisy(percent, &seeds).ok_or(TrainError::Noise)?;
            under(device, job, &*noisy)?
        }
    };
    let metrics = measure::tests(job, &tests, None);
    let logits = named(job, tests);
    Ok(RunOutput { weights: Tensors::default(), logits, metrics, epochs: Vec::new() })
}

/// Logits of every expert on a test split, from the runs that they come from.
fn stored(job: &Job<'_>, test: usize) -> Result<Vec<Vec<f32>>, TrainError> {
    job.recipe.experts.iter().map(|spec| stored_of(job, test, spec)).collect()
}

/// Logits of an expert on a test split, from the run that it comes from.
fn stored_of(job: &Job<'_>, test: usize, spec: &ExpertSpec) -> Result<Vec<f32>, TrainError> {
    let missing = |run| TrainError::Upstream { expert: spec.name.clone(), run };
    let split = Split::Test(test);
    let found = |run: usize| {
        let logits = &job.upstream.get(run).ok_or_else(|| missing(run))?.logits;
        Ok::<_, TrainError>(logits.iter().filter(|expert| expert.split == job.data.name_of(split)))
    };
    let (run, expert) = match spec.init {
        Init::Scratch => {
            return Err(TrainError::Recipe(format!("expert `{}` is evaluated untrained", spec.name)));
        }
        Init::Upstream { run } => (run, found(run)?.find(|expert| expert.name == spec.name)),
        Init::Member { run } => (run, only(found(run)?)),
    };
    let logits = &expert.ok_or_else(|| missing(run))?.logits;
    let expected = job.data.len(split) * job.recipe.task.logits();
    if logits.len() != expected {
        let found = logits.len();
        return Err(TrainError::Data(format!(
            "{found} stored logits of `{}`, expected {expected}",
            spec.name
        )));
    }
    Ok(logits.clone())
}

fn only<'a>(mut logits: impl Iterator<Item = &'a ExpertLogits>) -> Option<&'a ExpertLogits> {
    let first = logits.next()?;
    logits.next().is_none().then_some(first)
}

/// Logits of every expert, with its upstream weights, on other samples of every test split.
fn under<D: TrainingDevice>(
    device: &D,
    job: &Job<'_>,
    data: &dyn Dataset,
) -> Result<Vec<Vec<Vec<f32>>>, TrainError> {
    let mut experts = experts_of(device, job)?;
    load_upstream(&mut experts, job)?;
    let mut loader = device.data_loader(data, experts.modalities())?;
    let tests = 0..data.test_splits().len();
    tests.map(|test| logits_of(job, &mut experts, &mut loader, (data, Split::Test(test)))).collect()
}
