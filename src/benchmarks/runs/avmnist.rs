//! The seven models of AV-MNIST.
//!
//! Invariant: experts stand in the order image, audio, inter; a joint model starts from the same seed's runs.

use super::{How, alone, joint};
use crate::engine::plan::{Planner, RunIndex};
use crate::protocol::{Architecture, Protocol, RunSettings, Task};

/// A model of Table 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// q(y | x).
    Image,
    /// q(y | x').
    Audio,
    /// q(y | x) q(y | x').
    Intra,
    /// q(y | x, x') by late fusion.
    InterLf,
    /// q(y | x, x') by low-rank tensor fusion.
    InterLrtf,
    /// Intra times inter by late fusion.
    I2m2Lf,
    /// Intra times inter by low-rank tensor fusion.
    I2m2Lrtf,
}

/// The run of a model with one seed, with every run it starts from. `None` when AV-MNIST is not here.
pub fn run(planner: &mut Planner<'_>, protocol: &Protocol, model: Model, seed: u64) -> Option<RunIndex> {
    let how = How::of(settings(protocol, model), Task::Digits);
    let name = format!("avmnist/{}", name(model));
    let parts: &[Model] = match model {
        Model::Image | Model::Audio | Model::InterLf | Model::InterLrtf => {
            return alone(planner, &name, Task::Digits, &how, expert(protocol, model)?, seed);
        }
        Model::Intra => &[Model::Image, Model::Audio],
        Model::I2m2Lf => &[Model::Image, Model::Audio, Model::InterLf],
        Model::I2m2Lrtf => &[Model::Image, Model::Audio, Model::InterLrtf],
    };
    let parts = (parts, |part| expert(protocol, part));
    joint(planner, &name, Task::Digits, &how, parts, seed, |planner, part| run(planner, protocol, part, seed))
}

/// The expert of a model that has one alone.
fn expert(protocol: &Protocol, model: Model) -> Option<(&'static str, &Architecture)> {
    let experts = &protocol.settings.avmnist.experts;
    match model {
        Model::Image => Some(("image", &experts.image)),
        Model::Audio => Some(("audio", &experts.audio)),
        Model::InterLf => Some(("inter", &experts.late_fusion)),
        Model::InterLrtf => Some(("inter", &experts.low_rank)),
        Model::Intra | Model::I2m2Lf | Model::I2m2Lrtf => None,
    }
}

fn settings(protocol: &Protocol, model: Model) -> &RunSettings {
    let runs = &protocol.settings.avmnist.runs;
    match model {
        Model::Image | Model::Audio => &runs.unimodal,
        Model::Intra => &runs.intra,
        Model::InterLf => &runs.inter_lf,
        Model::InterLrtf => &runs.inter_lrtf,
        Model::I2m2Lf => &runs.i2m2_lf,
        Model::I2m2Lrtf => &runs.i2m2_lrtf,
    }
}

fn name(model: Model) -> &'static str {
    match model {
        Model::Image => "image",
        Model::Audio => "audio",
        Model::Intra => "intra",
        Model::InterLf => "inter-lf",
        Model::InterLrtf => "inter-lrtf",
        Model::I2m2Lf => "i2m2-lf",
        Model::I2m2Lrtf => "i2m2-lrtf",
    }
}
