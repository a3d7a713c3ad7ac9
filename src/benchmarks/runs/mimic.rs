//! The five models of MIMIC-III, on each of its tasks.
//!
//! Invariant: experts stand in the order static, series, inter; a joint model starts from the same seed's runs.

use super::{How, alone, joint};
use crate::engine::plan::{Planner, RunIndex};
use crate::protocol::{Architecture, Protocol, RunSettings, Task};

/// A model of Table 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// q(y | x).
    Static,
    /// q(y | x').
    Series,
    /// q(y | x) q(y | x').
    Intra,
    /// q(y | x, x').
    Inter,
    /// Intra times inter.
    I2m2,
}

/// The run of a model on a task with one seed, with every run it starts from. `None` when MIMIC-III is not here.
pub fn run(
    planner: &mut Planner<'_>,
    protocol: &Protocol,
    task: Task,
    model: Model,
    seed: u64,
) -> Option<RunIndex> {
    let how = How::of(settings(protocol, model), task);
    let name = format!("mimic/{task}/{}", name(model));
    let parts: &[Model] = match model {
        Model::Static | Model::Series | Model::Inter => {
            return alone(planner, &name, task, &how, expert(protocol, model)?, seed);
        }
        Model::Intra => &[Model::Static, Model::Series],
        Model::I2m2 => &[Model::Static, Model::Series, Model::Inter],
    };
    let parts = (parts, |part| expert(protocol, part));
    joint(planner, &name, task, &how, parts, seed, |planner, part| run(planner, protocol, task, part, seed))
}

/// The expert of a model that has one alone.
fn expert(protocol: &Protocol, model: Model) -> Option<(&'static str, &Architecture)> {
    let experts = &protocol.settings.mimic.experts;
    match model {
        Model::Static => Some(("static", &experts.static_)),
        Model::Series => Some(("series", &experts.series)),
        Model::Inter => Some(("inter", &experts.inter)),
        Model::Intra | Model::I2m2 => None,
    }
}

fn settings(protocol: &Protocol, model: Model) -> &RunSettings {
    let runs = &protocol.settings.mimic.runs;
    match model {
        Model::Static | Model::Series => &runs.unimodal,
        Model::Intra => &runs.intra,
        Model::Inter => &runs.inter,
        Model::I2m2 => &runs.i2m2,
    }
}

fn name(model: Model) -> &'static str {
    match model {
        Model::Static => "static",
        Model::Series => "series",
        Model::Intra => "intra",
        Model::Inter => "inter",
        Model::I2m2 => "i2m2",
    }
}
