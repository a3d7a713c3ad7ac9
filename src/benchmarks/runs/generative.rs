//! The models on the paper's generative model, for each selection strength and number of rows.
//!
//! Invariant: experts stand in the order first, second, inter; a joint model starts from the runs of the same seed on the same
//! draw.

use super::{How, alone, joint};
use crate::engine::plan::{Planner, RunIndex};
use crate::protocol::{Architecture, Population, Protocol, RunSettings, Task};

/// A model of Figure 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// q(y | x).
    First,
    /// q(y | x').
    Second,
    /// q(y | x) q(y | x').
    Intra,
    /// q(y | x, x').
    Inter,
    /// Intra times inter.
    I2m2,
}

/// The run of a model on a draw with one seed, with every run it starts from. `None` when the draw is not here.
pub fn run(
    planner: &mut Planner<'_>,
    protocol: &Protocol,
    population: Population,
    model: Model,
    seed: u64,
) -> Option<RunIndex> {
    let settings = settings(protocol, model);
    let how = How { population: Some(population), ..How::of(settings, Task::Generated) };
    let Population { strength, rows } = population;
    let name = format!("generative/strength-{strength}/{rows}-rows/{}", name(model));
    let parts: &[Model] = match model {
        Model::First | Model::Second | Model::Inter => {
            return alone(planner, &name, Task::Generated, &how, expert(protocol, model)?, seed);
        }
        Model::Intra => &[Model::First, Model::Second],
        Model::I2m2 => &[Model::First, Model::Second, Model::Inter],
    };
    let parts = (parts, |part| expert(protocol, part));
    joint(planner, &name, Task::Generated, &how, parts, seed, |planner, part| {
        run(planner, protocol, population, part, seed)
    })
}

/// The expert of a model that has one alone.
fn expert(protocol: &Protocol, model: Model) -> Option<(&'static str, &Architecture)> {
    let experts = &protocol.settings.generative.experts;
    match model {
        Model::First => Some(("first", &experts.first)),
        Model::Second => Some(("second", &experts.second)),
        Model::Inter => Some(("inter", &experts.inter)),
        Model::Intra | Model::I2m2 => None,
    }
}

fn settings(protocol: &Protocol, model: Model) -> &RunSettings {
    let runs = &protocol.settings.generative.runs;
    match model {
        Model::First | Model::Second => &runs.unimodal,
        Model::Intra => &runs.intra,
        Model::Inter => &runs.inter,
        Model::I2m2 => &runs.i2m2,
    }
}

fn name(model: Model) -> &'static str {
    match model {
        Model::First => "first",
        Model::Second => "second",
        Model::Intra => "intra",
        Model::Inter => "inter",
        Model::I2m2 => "i2m2",
    }
}
