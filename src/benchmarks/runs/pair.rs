//! The five models of two modalities with one way to fuse them: what MIMIC-III and the generative model share.
//!
//! Invariant: experts stand in the order first, second, inter; a joint model starts from the runs of the same seed on the same
//! data.

use super::{How, alone, joint};
use crate::engine::plan::{Planner, RunIndex};
use crate::protocol::{Architecture, PairRuns, Population, RunSettings, Task};

/// A model of a pair of modalities.
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

/// What the models are made of, and what they learn from.
pub struct Pair<'p> {
    /// Names of the runs, before that of the model.
    pub prefix: String,
    /// What is predicted.
    pub task: Task,
    /// What is drawn, of the generative model.
    pub population: Option<Population>,
    /// Names of the modalities, and their networks.
    pub alone: [(&'static str, &'p Architecture); 2],
    /// The network on both.
    pub inter: &'p Architecture,
    /// How each kind of run is trained.
    pub runs: &'p PairRuns,
}

impl Pair<'_> {
    /// The run of a model with one seed, with every run it starts from. `None` when its data is not here.
    pub fn run(&self, planner: &mut Planner<'_>, model: Model, seed: u64) -> Option<RunIndex> {
        let how = How { population: self.population, ..How::of(self.settings(model), self.task) };
        let name = format!("{}/{}", self.prefix, self.name(model));
        let parts: &[Model] = match model {
            Model::First | Model::Second | Model::Inter => {
                return alone(planner, &name, self.task, &how, self.expert(model)?, seed);
            }
            Model::Intra => &[Model::First, Model::Second],
            Model::I2m2 => &[Model::First, Model::Second, Model::Inter],
        };
        let parts = (parts, |part| self.expert(part));
        joint(planner, &name, self.task, &how, parts, seed, |planner, part| self.run(planner, part, seed))
    }

    /// The expert of a model that has one alone.
    fn expert(&self, model: Model) -> Option<(&'static str, &Architecture)> {
        match model {
            Model::First => Some(self.alone[0]),
            Model::Second => Some(self.alone[1]),
            Model::Inter => Some(("inter", self.inter)),
            Model::Intra | Model::I2m2 => None,
        }
    }

    fn settings(&self, model: Model) -> &RunSettings {
        match model {
            Model::First | Model::Second => &self.runs.unimodal,
            Model::Intra => &self.runs.intra,
            Model::Inter => &self.runs.inter,
            Model::I2m2 => &self.runs.i2m2,
        }
    }

    fn name(&self, model: Model) -> &'static str {
        match model {
            Model::First => self.alone[0].0,
            Model::Second => self.alone[1].0,
            Model::Intra => "intra",
            Model::Inter => "inter",
            Model::I2m2 => "i2m2",
        }
    }
}
