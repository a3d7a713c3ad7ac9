//! Building a plan: benchmarks ask for runs and cells, and every run gets its key.
//!
//! Invariant: building a plan does no I/O: (studies, benchmarks, tier, seeds, digests of data and numerics) -> plan.

use std::collections::BTreeMap;

use super::key::{KeyError, KeyParts};
use super::plan::{Cell, Plan, Run, RunIndex};
use crate::data::Population;
use crate::digest::{Digest, Hasher};
use crate::experiment::{Canary, canaries};
use crate::study::{Change, Combine, ExpertSpec, Init, ProtocolName, Recipe, Study, StudyError, Tier};

/// Everything a plan depends on besides the benchmarks.
#[derive(Clone, Debug)]
pub struct Context {
    /// Smoke, reduced or paper.
    pub tier: Tier,
    /// Paper or released.
    pub protocol: ProtocolName,
    /// Values of the protocol that were changed on the command line.
    pub changes: Vec<Change>,
    /// Root seeds, one per repetition.
    pub seeds: Vec<u64>,
    /// `cpu`, or the GPU model: part of every key, because bits differ between device classes.
    pub device_class: String,
    /// Digest of each prepared dataset that is here, by id.
    pub data: BTreeMap<String, Digest>,
    /// Digest of each canary that the recipes may need, by name ([`canaries`]).
    pub numerics: BTreeMap<String, Digest>,
}

/// The canaries that the runs of a study's models may need.
///
/// # Errors
/// A model that has an expert which the study lacks: it was not read from a file.
pub fn canaries_of(study: &Study) -> Result<Vec<Canary>, StudyError> {
    let mut found = Vec::new();
    for (name, model) in &study.models {
        for task in model.tasks.keys() {
            found.extend(Canary::of(&study.recipe(name, task, None)?.recipe));
        }
    }
    Ok(found)
}

/// Why a plan cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A study lacks what a benchmark asks it for.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// A run has no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The context lacks the digest of a canary.
    #[error(
        "the numerics of `{run}` were not measured: no digest of the canary `{canary}`; this is a bug, please report it"
    )]
    Canary {
        /// The run.
        run: String,
        /// The canary.
        canary: String,
    },
}

/// The digest of the numerics of a run's recipe, from those of the canaries; the same here and where it was planned, or its bits
/// would be others.
///
/// # Errors
/// [`PlanError::Canary`].
pub fn numerics_of(
    measured: &BTreeMap<String, Digest>,
    name: &str,
    recipe: &Recipe,
) -> Result<Digest, PlanError> {
    let mut hasher = Hasher::new("i2m2 numerics v2");
    for canary in canaries(recipe) {
        let digest = measured.get(&canary);
        let digest =
            digest.ok_or_else(|| PlanError::Canary { run: name.to_owned(), canary: canary.clone() })?;
        hasher.field(canary.as_bytes()).field(digest.bytes());
    }
    Ok(hasher.finish())
}

/// Builds a plan; benchmarks add runs and cells to it.
pub struct Planner<'a> {
    context: &'a Context,
    plan: Plan,
    by_key: BTreeMap<Digest, RunIndex>,
}

impl<'a> Planner<'a> {
    /// An empty plan in a context.
    pub fn new(context: &'a Context) -> Self {
        let plan = Plan {
            tier: context.tier,
            protocol: context.protocol,
            changes: context.changes.clone(),
            device_class: context.device_class.clone(),
            runs: Vec::new(),
            cells: Vec::new(),
        };
        Planner { context, plan, by_key: BTreeMap::new() }
    }

    /// The first root seeds, as many as are wanted.
    pub fn seeds(&self, wanted: usize) -> Vec<u64> {
        self.context.seeds.iter().copied().take(wanted).collect()
    }

    /// Adds a run, or finds it if it is there already. `None` when its data is not here.
    ///
    /// # Errors
    /// A recipe without a key, or with networks whose canaries the context lacks.
    pub fn run(
        &mut self,
        name: &str,
        recipe: Recipe,
        seed: u64,
        upstream: Vec<RunIndex>,
    ) -> Result<Option<RunIndex>, PlanError> {
        let Some(&data) = self.context.data.get(&recipe.dataset) else { return Ok(None) };
        let numerics = numerics_of(&self.context.numerics, name, &recipe)?;
        let upstream_keys: Vec<Digest> = upstream.iter().map(|&i| self.plan.runs[i.0].key).collect();
        let key = KeyParts {
            recipe: &recipe,
            tier: self.context.tier,
            data,
            seed,
            device_class: &self.context.device_class,
            numerics,
            upstream: &upstream_keys,
        }
        .key(name)?;
        let next = RunIndex(self.plan.runs.len());
        let index = *self.by_key.entry(key).or_insert(next);
        if index == next {
            self.plan.runs.push(Run { key, name: name.to_owned(), recipe, data, numerics, seed, upstream });
        }
        Ok(Some(index))
    }

    /// The run of a study's model for a task with one seed, with every run that it starts from. `None` when its data is not here.
    ///
    /// # Errors
    /// No such model or task, and as [`Planner::run`].
    pub fn model(
        &mut self,
        study: &Study,
        (model, task): (&str, &str),
        population: Option<Population>,
        seed: u64,
    ) -> Result<Option<RunIndex>, PlanError> {
        let run = study.recipe(model, task, population)?;
        let mut upstream = Vec::with_capacity(run.upstream.len());
        for from in &run.upstream {
            match self.model(study, (from, task), population, seed)? {
                Some(index) => upstream.push(index),
                None => return Ok(None),
            }
        }
        self.run(&run.name, run.recipe, seed, upstream)
    }

    /// Separately trained models, each with a seed of its own, as one: nothing is trained, their test logits are combined.
    /// `number` tells the ensembles of a name apart. `None` when the data is not here.
    ///
    /// # Errors
    /// As [`Planner::model`].
    pub fn ensemble(
        &mut self,
        study: &Study,
        name: &str,
        task: &str,
        members: &[(&str, u64)],
        number: u64,
    ) -> Result<Option<RunIndex>, PlanError> {
        let (mut experts, mut upstream) = (Vec::new(), Vec::new());
        for (index, &(model, seed)) in members.iter().enumerate() {
            let Some(run) = self.model(study, (model, task), None, seed)? else { return Ok(None) };
            upstream.push(run);
            let own = study.recipe(model, task, None)?.recipe.experts.into_iter();
            experts.extend(own.map(|expert| ExpertSpec {
                name: format!("{}-{index}", expert.name),
                network: expert.network,
                init: Init::Member { run: index },
            }));
        }
        let Some(&(first, _)) = members.first() else { return Ok(None) };
        let mut recipe = study.recipe(first, task, None)?.recipe;
        recipe.experts = experts;
        recipe.training = None;
        recipe.evaluation.combine = study.ensemble.unwrap_or(Combine::Product);
        self.run(&study.run_name(name, task, None), recipe, number, upstream)
    }

    /// A trained model on test samples with noise of `percent` of each one's peak; without noise, the model itself.
    ///
    /// # Errors
    /// As [`Planner::model`].
    pub fn under_noise(
        &mut self,
        study: &Study,
        (model, task): (&str, &str),
        percent: f64,
        seed: u64,
    ) -> Result<Option<RunIndex>, PlanError> {
        let Some(trained) = self.model(study, (model, task), None, seed)? else { return Ok(None) };
        if percent == 0.0 {
            return Ok(Some(trained));
        }
        let mut recipe = study.recipe(model, task, None)?.recipe;
        recipe.experts.iter_mut().for_each(|expert| expert.init = Init::Upstream { run: 0 });
        recipe.training = None;
        recipe.evaluation.noise = Some(percent);
        self.run(&study.run_name(&format!("{model}@{percent}"), task, None), recipe, seed, vec![trained])
    }

    /// Adds a cell.
    pub fn cell(&mut self, cell: Cell) {
        self.plan.cells.push(cell);
    }

    /// The plan.
    pub fn finish(self) -> Plan {
        self.plan
    }
}
