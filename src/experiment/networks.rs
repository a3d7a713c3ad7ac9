//! The networks of a job: built, given the weights they start from, and evaluated on a split.
//!
//! Invariant: training and evaluating again go through here, so both see the same networks.

use std::collections::BTreeMap;

use super::data_loader::TrainingDevice;
use super::error::TrainError;
use super::{ExpertLogits, Job, evaluate, weights};
use crate::data::{Dataset, Kind, Pretrained, Split};
use crate::models::fiber::Passes;
use crate::models::{BACKBONE, Experts, Scope, Shared};
use crate::random::Seeds;
use crate::study::{Init, Network, Recipe, SharedBackbone};

/// Logits of every test split and expert, with their names.
pub(super) fn named(job: &Job<'_>, tests: Vec<Vec<Vec<f32>>>) -> Vec<ExpertLogits> {
    let splits = job.data.test_splits().iter().zip(tests);
    let each = splits.flat_map(|(split, logits)| {
        job.recipe.experts.iter().zip(logits).map(|(spec, logits)| ExpertLogits {
            split: split.clone(),
            name: spec.name.clone(),
            logits,
        })
    });
    each.collect()
}

/// The experts of a job, as its seed draws them, on what they share.
pub(super) fn experts_of<D: TrainingDevice>(
    device: &D,
    job: &Job<'_>,
) -> Result<Experts<f32, D>, TrainError> {
    let scope = Scope::new(device.clone(), Seeds::root(job.seed).child("init"));
    let specs = job.recipe.experts.iter().map(|spec| (spec.name.as_str(), &spec.network));
    // Where features were computed before, the backbone has done its work.
    let shared = match &job.recipe.backbone {
        Some(backbone) if !are_features(backbone, job.data) => {
            Some(shared(&scope.within(BACKBONE), backbone, job, passes(job.recipe))?)
        }
        _ => None,
    };
    Ok(Experts::on(&scope, shared, specs, job.data.modalities(), job.recipe.task.logits())?)
}

/// Whether a dataset holds features of this backbone in place of what it reads.
pub(super) fn are_features(backbone: &SharedBackbone, data: &dyn Dataset) -> bool {
    backbone.is_fixed() && data.modalities().iter().all(|modality| modality.kind == Kind::Vector)
}

/// The passes that a recipe's heads read.
pub(super) fn passes(recipe: &Recipe) -> Passes {
    let heads = recipe.experts.iter().filter_map(|spec| match spec.network {
        Network::OnBackbone { on_backbone } => Some(on_backbone.features),
        Network::Encoders(_) | Network::Backbone { .. } => None,
    });
    heads.collect()
}

/// The backbone of a job, for some of its passes.
pub(super) fn shared<D: TrainingDevice>(
    scope: &Scope<D>,
    backbone: &SharedBackbone,
    job: &Job<'_>,
    passes: Passes,
) -> Result<Shared<f32, D>, TrainError> {
    if job.pretrained.is_none() && backbone.pretrained.is_some() {
        return Err(TrainError::Recipe("pretrained weights are named, and none are given".to_owned()));
    }
    let weights = job.pretrained.map(Pretrained::path);
    Ok(Shared::new(scope, backbone, weights, job.data.modalities(), passes)?)
}

/// Gives every expert that has an upstream the weights it starts from.
pub(super) fn load_upstream<D: TrainingDevice>(
    experts: &mut Experts<f32, D>,
    job: &Job<'_>,
) -> Result<(), TrainError> {
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
pub(super) fn logits_of<D: TrainingDevice>(
    job: &Job<'_>,
    experts: &mut Experts<f32, D>,
    loader: &mut D::DataLoader<'_>,
    (data, split): (&dyn Dataset, Split),
) -> Result<Vec<Vec<f32>>, TrainError> {
    let norm = job.recipe.evaluation.norm;
    // What was trained elsewhere has no batch of its own.
    let training_batch = job.recipe.training.as_ref().map_or(1, |training| training.batch_size);
    let batch = evaluate::batch_size::<D>(norm, training_batch, data, experts.modalities());
    let logits = evaluate::logits(experts, loader, split, norm, batch);
    readable(data)?;
    logits.map_err(|source| TrainError::evaluation(job, split, batch, source))
}

/// That every row could be read so far: what cannot is NaN, whose cause is worth more than its consequences.
pub(super) fn readable(data: &dyn Dataset) -> Result<(), TrainError> {
    data.fault().map_or(Ok(()), |fault| Err(TrainError::Unreadable(fault.to_owned())))
}
