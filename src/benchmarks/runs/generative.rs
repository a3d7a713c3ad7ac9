//! The models on the paper's generative model, for each selection strength and number of rows.
//!
//! Invariant: the models of a point read the same draw.

use super::pair::{Model, Pair};
use crate::engine::plan::{Planner, RunIndex};
use crate::protocol::{Population, Protocol, Task};

/// The run of a model on a draw with one seed, with every run it starts from. `None` when the draw is not here.
pub fn run(
    planner: &mut Planner<'_>,
    protocol: &Protocol,
    population: Population,
    model: Model,
    seed: u64,
) -> Option<RunIndex> {
    let generative = &protocol.settings.generative;
    let Population { strength, rows } = population;
    let pair = Pair {
        prefix: format!("generative/strength-{strength}/{rows}-rows"),
        task: Task::Generated,
        population: Some(population),
        alone: [("first", &generative.experts.first), ("second", &generative.experts.second)],
        inter: &generative.experts.inter,
        runs: &generative.runs,
    };
    pair.run(planner, model, seed)
}
