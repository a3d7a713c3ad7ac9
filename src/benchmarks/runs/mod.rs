//! The runs that benchmarks share: which experts a model has, and which runs it starts from.
//!
//! Invariant: a model's recipe is built in one place, so that two cells that need the same run ask for the same key.

pub(super) mod avmnist;
pub(super) mod knee;
pub(super) mod mimic;

use crate::engine::plan::{Planner, RunIndex};
use crate::protocol::{
    Architecture, Evaluation, ExpertSpec, Init, Recipe, RunSettings, Start, Task, Training,
};

/// How a model is trained and evaluated.
struct How {
    training: Training,
    evaluation: Evaluation,
    start: Start,
}

impl How {
    fn of(settings: &RunSettings, task: Task) -> Self {
        How { training: settings.training(task), evaluation: settings.evaluation(), start: settings.start }
    }
}

/// One expert of a joint model, and the run that trains it alone.
struct Part {
    expert: &'static str,
    architecture: Architecture,
    upstream: Option<RunIndex>,
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

/// The product of several experts, each from its own run where the settings say so.
fn joint(
    planner: &mut Planner<'_>,
    name: &str,
    task: Task,
    how: &How,
    parts: Vec<Part>,
    seed: u64,
) -> Option<RunIndex> {
    let mut upstream = Vec::new();
    let mut experts = Vec::new();
    for part in parts {
        let init = match part.upstream {
            Some(run) => {
                upstream.push(run);
                Init::Upstream { run: upstream.len() - 1 }
            }
            None => Init::Scratch,
        };
        experts.push(ExpertSpec { name: part.expert.to_owned(), architecture: part.architecture, init });
    }
    planner.run(name, recipe(task, experts, how), seed, upstream)
}

fn recipe(task: Task, experts: Vec<ExpertSpec>, how: &How) -> Recipe {
    Recipe { task, experts, training: how.training, evaluation: how.evaluation }
}

/// The run that an expert starts from: `Some(None)` where it starts fresh, `None` where its data is not here.
fn start(start: Start, run: impl FnOnce() -> Option<RunIndex>) -> Option<Option<RunIndex>> {
    match start {
        Start::Pretrained => run().map(Some),
        Start::Scratch => Some(None),
    }
}
