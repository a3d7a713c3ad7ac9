//! The runs that benchmarks share: which experts a model has, and which runs it starts from.
//!
//! Invariant: a model's recipe is built in one place, so that two cells that need the same run ask for the same key.

pub(super) mod avmnist;
pub(super) mod generative;
pub(super) mod knee;
pub(super) mod mimic;
pub(super) mod pair;

use crate::engine::plan::{Planner, RunIndex};
use crate::protocol::{
    Architecture, Evaluation, ExpertSpec, Init, Population, Recipe, RunSettings, Start, Task, Training,
};

/// How a model is trained and evaluated.
struct How {
    training: Training,
    evaluation: Evaluation,
    start: Start,
    population: Option<Population>,
}

impl How {
    fn of(settings: &RunSettings, task: Task) -> Self {
        How {
            training: settings.training(task),
            evaluation: settings.evaluation(),
            start: settings.start,
            population: None,
        }
    }
}

/// A single expert, from a fresh initialisation.
fn alone(
    planner: &mut Planner<'_>,
    name: &str,
    task: Task,
    how: &How,
    (expert, architecture): (&str, &Architecture),
    seed: u64,
) -> Option<RunIndex> {
    let experts =
        vec![ExpertSpec { name: expert.to_owned(), architecture: architecture.clone(), init: Init::Scratch }];
    planner.run(name, recipe(task, experts, how), seed, Vec::new())
}

/// The product of the experts of several models, each from its own run where the settings say so. `None` where a model has no
/// expert of its own, or its data is not here.
fn joint<'p, M: Copy>(
    planner: &mut Planner<'_>,
    name: &str,
    task: Task,
    how: &How,
    (parts, expert): (&[M], impl Fn(M) -> Option<(&'static str, &'p Architecture)>),
    seed: u64,
    mut run: impl FnMut(&mut Planner<'_>, M) -> Option<RunIndex>,
) -> Option<RunIndex> {
    let mut upstream = Vec::new();
    let mut experts = Vec::new();
    for &part in parts {
        let (name, architecture) = expert(part)?;
        let init = match how.start {
            Start::Pretrained => {
                upstream.push(run(planner, part)?);
                Init::Upstream { run: upstream.len() - 1 }
            }
            Start::Scratch => Init::Scratch,
        };
        experts.push(ExpertSpec { name: name.to_owned(), architecture: architecture.clone(), init });
    }
    planner.run(name, recipe(task, experts, how), seed, upstream)
}

fn recipe(task: Task, experts: Vec<ExpertSpec>, how: &How) -> Recipe {
    Recipe { task, experts, training: how.training, evaluation: how.evaluation, population: how.population }
}
