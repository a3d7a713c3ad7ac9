//! Typed hyper-parameters and choices, resolved from `paper/protocol/*.toml`.
//!
//! Invariant: a hyper-parameter stands in `paper/protocol/` and nowhere else; a [`Recipe`] is fully resolved, so
//! that its canonical JSON holds everything about the configuration that can change a number.

mod change;
mod deviations;
mod knee;
mod layers;
mod recipe;
mod settings;
mod validate;

pub use change::{Change, listed, words};
pub use deviations::{Deviation, deviations, deviations_of};
pub use knee::{ClassWeights, Finding, MagnitudeNorm, OperatingPoint, Score, Space, StudyLevel};
pub use layers::{ProtocolError, resolve, resolve_with};
pub use recipe::*;
pub use settings::*;
