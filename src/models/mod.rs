//! The networks: encoders and heads, residual networks, experts built from them, and the experts of a run side by side.
//!
//! Invariant: everything a network learns or keeps is reached through one door ([`Module`]) under a stable dotted
//! name, so initialisation, optimiser, checkpoints and counting treat all networks alike.

mod expert;
mod experts;
pub mod fiber;
mod input;
mod lenet;
mod low_rank;
mod mlp;
mod module;
mod preact_resnet;
mod series;
mod size;
#[cfg(test)]
mod tests;
mod tiny;

pub use expert::Expert;
pub use experts::Experts;
pub use input::{Input, Inputs};
pub use lenet::Lenet;
pub use low_rank::LowRank;
pub use mlp::{Linear, Mlp};
pub use module::{Buffer, Initializer, Module, NamedTensors, Scope};
pub use preact_resnet::PreactResnet;
pub use series::Series;
pub use size::{is_large, step_bytes};
pub use tiny::{Tiny, tiny};

use crate::ops::OpError;

/// Why a network could not be built, filled or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The data does not fit the network.
    #[error(
        "the modality {modality} has samples of dimensions {found:?}, but the network expects {expected}"
    )]
    Dims {
        /// Which modality.
        modality: String,
        /// What the network can read.
        expected: String,
        /// What the data has.
        found: Vec<usize>,
    },
    /// A batch lacks a modality, or an expert looks at none.
    #[error("a batch without modality number {0} was given to an expert that looks at it")]
    Missing(usize),
    /// The data lacks a modality that an expert looks at.
    #[error("the data has no modality `{name}`; it has {}", known.join(", "))]
    NoModality {
        /// What the network looks at.
        name: String,
        /// What the data has.
        known: Vec<String>,
    },
    /// A fusion of two was given another number of modalities.
    #[error("low-rank fusion joins two modalities, found {found}")]
    Fusion {
        /// How many.
        found: usize,
    },
    /// The names of experts are not usable as the beginning of tensor names.
    #[error("experts must have different names of letters, digits, `-` and `_`; found {0:?}")]
    Names(Vec<String>),
    /// No expert, or an expert without an encoder.
    #[error("a run needs at least one expert, and an expert at least one modality")]
    Nothing,
    /// Weights do not fit.
    #[error("weights for `{name}`: expected {expected}, found {found}")]
    Weights {
        /// The tensor.
        name: String,
        /// What the network has.
        expected: String,
        /// What was given.
        found: String,
    },
    /// An op refused its operands, or the device failed.
    #[error(transparent)]
    Op(#[from] OpError),
}
