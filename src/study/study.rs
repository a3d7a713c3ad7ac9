//! A study: a dataset, the experts on it, the models made of them, and how each is trained.
//!
//! Invariant: a model's run is planned in one place ([`Study::recipe`]), for all studies alike, so that two cells that need the
//! same run ask for the same key.

use std::collections::BTreeMap;

use super::network::Network;
use super::recipe::{Combine, Evaluation, ExpertSpec, Init, Recipe, Training};
use super::{SharedBackbone, StudyError};
use crate::data::{DatasetSpec, Population, Preparation, Task};

/// A dataset with its modalities and tasks, the experts and the models on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// What it is called: `avmnist`.
    pub id: String,
    /// Its dataset.
    pub dataset: &'static DatasetSpec,
    /// Repetitions of each of its benchmarks: root seeds 0, 1, ... (deviation A5).
    pub seeds: usize,
    /// What is chosen between the dataset's files and what a network sees.
    pub preparation: Preparation,
    /// What is predicted.
    pub tasks: Vec<Task>,
    /// What its experts share; absent where each is a network of its own.
    pub backbone: Option<SharedBackbone>,
    /// Its networks, by name in the file.
    pub experts: BTreeMap<String, Expert>,
    /// What is trained, by name.
    pub models: BTreeMap<String, Model>,
    /// How ensembles are combined; absent where there are none.
    pub ensemble: Option<Combine>,
}

/// A network and its name within a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Expert {
    /// Its name within a run.
    pub name: String,
    /// What it is made of.
    pub network: Network,
}

/// Experts that are trained as one: their product.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Names of the experts in the file.
    pub experts: Vec<String>,
    /// The model that each of them starts from; absent for a fresh initialisation.
    pub start: Vec<Option<String>>,
    /// How it is trained and evaluated, by task.
    pub tasks: BTreeMap<String, ModelTask>,
}

/// How a model is trained and evaluated for a task.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelTask {
    /// What is predicted.
    pub task: Task,
    /// How it is trained.
    pub training: Training,
    /// How it is evaluated.
    pub evaluation: Evaluation,
}

/// A model's run, before it has a key: its recipe, and the models whose runs it starts from, in the order that
/// [`Init::Upstream`] counts.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRun {
    /// For people: `avmnist/i2m2-lf`.
    pub name: String,
    /// The resolved configuration.
    pub recipe: Recipe,
    /// Names of models, with the same task, seed and population.
    pub upstream: Vec<String>,
}

impl Study {
    /// A model by name.
    ///
    /// # Errors
    /// When there is none, with the nearest name.
    pub fn model(&self, name: &str) -> Result<&Model, StudyError> {
        self.models.get(name).ok_or_else(|| StudyError::unknown(&self.id, "model", name, self.models.keys()))
    }

    /// How a model is trained and evaluated for a task.
    ///
    /// # Errors
    /// When there is no such model or task.
    pub fn model_task(&self, model: &str, task: &str) -> Result<&ModelTask, StudyError> {
        let tasks = &self.model(model)?.tasks;
        tasks.get(task).ok_or_else(|| StudyError::unknown(&self.id, "task", task, tasks.keys()))
    }

    /// The run of a model for a task; of `population`, where the dataset is one to draw from.
    ///
    /// # Errors
    /// When there is no such model or task.
    pub fn recipe(
        &self,
        model: &str,
        task: &str,
        population: Option<Population>,
    ) -> Result<ModelRun, StudyError> {
        let ModelTask { task, training, evaluation } = self.model_task(model, task)?.clone();
        let name = self.run_name(model, &task.id, population);
        let Model { experts, start, .. } = self.model(model)?;
        let mut upstream: Vec<String> = Vec::new();
        let experts = experts.iter().zip(start).map(|(expert, start)| {
            let init = match start {
                None => Init::Scratch,
                Some(from) => {
                    let known = upstream.iter().position(|model| model == from);
                    let run = known.unwrap_or_else(|| {
                        upstream.push(from.clone());
                        upstream.len() - 1
                    });
                    Init::Upstream { run }
                }
            };
            let known = self.experts.get(expert);
            let unknown = || StudyError::unknown(&self.id, "expert", expert, self.experts.keys());
            let Expert { name, network } = known.ok_or_else(unknown)?;
            Ok(ExpertSpec { name: name.clone(), network: network.clone(), init })
        });
        let experts = experts.collect::<Result<_, StudyError>>()?;
        let dataset = self.dataset.id.to_owned();
        let backbone = self.backbone.clone();
        let training = Some(training);
        let recipe = Recipe { dataset, task, backbone, experts, training, evaluation, population };
        Ok(ModelRun { name, recipe, upstream })
    }

    /// What a run is called; the task is named where there are several.
    pub fn run_name(&self, model: &str, task: &str, population: Option<Population>) -> String {
        let mut name = self.id.clone();
        if self.tasks.len() > 1 {
            name += &format!("/{task}");
        }
        if let Some(Population { strength, rows, .. }) = population {
            name += &format!("/strength-{strength}/{rows}-rows");
        }
        format!("{name}/{model}")
    }
}
