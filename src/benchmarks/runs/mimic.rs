//! The five models of MIMIC-III, on each of its tasks.
//!
//! Invariant: x is static, x' the series; each task has runs of its own.

use super::pair::{Model, Pair};
use crate::engine::plan::{Planner, RunIndex};
use crate::protocol::{Protocol, Task};

/// The run of a model on a task with one seed, with every run it starts from. `None` when MIMIC-III is not here.
pub fn run(
    planner: &mut Planner<'_>,
    protocol: &Protocol,
    task: Task,
    model: Model,
    seed: u64,
) -> Option<RunIndex> {
    let mimic = &protocol.settings.mimic;
    let pair = Pair {
        prefix: format!("mimic/{task}"),
        task,
        population: None,
        alone: [("static", &mimic.experts.static_), ("series", &mimic.experts.series)],
        inter: &mimic.experts.inter,
        runs: &mimic.runs,
    };
    pair.run(planner, model, seed)
}
