//! Studies: a dataset, experts and models on it, and how they are trained, resolved from `paper/studies/*.toml`.
//!
//! Invariant: a hyper-parameter stands in `paper/studies/` and nowhere else; a [`Recipe`] is fully resolved, so that it holds
//! everything about the configuration that can change a number.

mod backbone;
mod change;
mod deviations;
mod error;
mod file;
mod layered;
mod network;
mod protocol;
mod recipe;
mod resolve;
#[expect(clippy::module_inception, reason = "a study is what this module is about")]
mod study;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tier;

pub use backbone::{FeatureHead, Fiber, Image, Pass, SharedBackbone, TextSizes};
pub use change::{Change, listed, words};
pub use deviations::{Deviation, deviations, deviations_of};
pub use error::StudyError;
pub use file::StudyFile;
pub use layered::{Fault, Location};
pub use network::{Activation, Backbone, Encoder, Encoders, Fusion, Head, LowRank, ModalityEncoder, Network};
pub use protocol::{Protocol, dataset_of, resolve, resolve_with};
pub use recipe::{
    ClassWeights, Combine, EvalNorm, Evaluation, ExpertSpec, Init, OperatingPoint, Optimizer, Ranking,
    Recipe, Score, SelectBy, Training,
};
pub use resolve::read;
pub use study::{Expert, Model, ModelRun, ModelTask, Study};
pub use tier::{ProtocolName, Tier};
