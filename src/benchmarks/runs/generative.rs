//! The models on the paper's generative model, for each selection strength and number of rows.
//!
//! Invariant: with the same seed the models of a point train on the same rows, so they can be compared in pairs; every seed
//! draws its own, so the spread over seeds is that of data and initialisation.

use super::pair::{Model, Pair};
use crate::engine::plan::{Planner, RunIndex};
use crate::protocol::{Population, Protocol, Task};

/// The run of a model with one seed at a point of the sweep, with every run it starts from. `None` when its data is not here.
pub fn run(
    planner: &mut Planner<'_>,
    protocol: &Protocol,
    (strength, rows): (f64, usize),
    model: Model,
    seed: u64,
) -> Option<RunIndex> {
    let generative = &protocol.settings.generative;
    let pair = Pair {
        prefix: format!("generative/strength-{strength}/{rows}-rows"),
        task: Task::Generated,
        population: Some(Population { strength, rows, draw: seed }),
        alone: [("first", &generative.experts.first), ("second", &generative.experts.second)],
        inter: &generative.experts.inter,
        runs: &generative.runs,
    };
    pair.run(planner, model, seed)
}
