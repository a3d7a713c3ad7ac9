//! A run that trains nothing: it combines what upstream runs left, for ensembles (Figure 3) and under noise (Figure B.7).
//!
//! Invariant: without noise no network is run: the logits that the upstream runs stored are what they would give.

use super::error::TrainError;
use super::feed::Feed;
use super::train::{experts_of, logits_of, start};
use super::{ExpertLogits, Job, Outcome, Tensors, measure};
use crate::data::{Dataset, Split};
use crate::protocol::{ExpertSpec, Init};
use crate::random::Seeds;

/// Evaluates a job of no epochs on the test split.
pub(super) fn appraise<D: Feed>(device: &D, job: &Job<'_>) -> Result<Outcome, TrainError> {
    let logits = match job.recipe.evaluation.noise {
        None => job.recipe.experts.iter().map(|spec| stored(job, spec)).collect::<Result<_, _>>()?,
        Some(percent) => {
            let seeds = Seeds::root(job.seed).child("noise");
            let noisy = job.data.noisy(percent, &seeds).ok_or(TrainError::Noise)?;
            under(device, job, &*noisy)?
        }
    };
    let metrics = measure::test(job, &logits, None);
    let names = job.recipe.experts.iter().map(|spec| spec.name.clone());
    let logits = names.zip(logits).map(|(name, logits)| ExpertLogits { name, logits }).collect();
    Ok(Outcome { weights: Tensors::default(), logits, metrics, epochs: Vec::new() })
}

/// Test logits of an expert, from the run that it comes from.
fn stored(job: &Job<'_>, spec: &ExpertSpec) -> Result<Vec<f32>, TrainError> {
    let missing = |run| TrainError::Upstream { expert: spec.name.clone(), run };
    let found = |run: usize| job.upstream.get(run).ok_or_else(|| missing(run));
    let (run, expert) = match spec.init {
        Init::Scratch => {
            return Err(TrainError::Recipe(format!("expert `{}` is evaluated untrained", spec.name)));
        }
        Init::Upstream { run } => (run, found(run)?.logits.iter().find(|expert| expert.name == spec.name)),
        Init::Member { run } => (run, only(&found(run)?.logits)),
    };
    let logits = &expert.ok_or_else(|| missing(run))?.logits;
    let expected = job.data.len(Split::Test) * job.recipe.task.logits();
    if logits.len() != expected {
        let found = logits.len();
        return Err(TrainError::Data(format!(
            "{found} stored logits of `{}`, expected {expected}",
            spec.name
        )));
    }
    Ok(logits.clone())
}

fn only(logits: &[ExpertLogits]) -> Option<&ExpertLogits> {
    match logits {
        [only] => Some(only),
        _ => None,
    }
}

/// Logits of every expert, with its upstream weights, on other test samples.
fn under<D: Feed>(device: &D, job: &Job<'_>, data: &dyn Dataset) -> Result<Vec<Vec<f32>>, TrainError> {
    let mut experts = experts_of(device, job)?;
    start(&mut experts, job)?;
    let mut held = device.hold(data, experts.modalities())?;
    logits_of(job, &mut experts, &mut held, (data, Split::Test))
}
