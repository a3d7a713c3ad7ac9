//! The networks: encoders and heads, residual networks, experts built from them, and the experts of a run side by side.
//!
//! Invariant: everything a network learns or keeps is reached through one door ([`Module`]) under a stable dotted
//! name, so initialisation, optimiser, checkpoints and counting treat all networks alike.

mod blueprint;
mod expert;
mod experts;
mod input;
mod lenet;
mod low_rank;
mod mlp;
mod module;
mod preact_resnet;
mod series;
#[cfg(test)]
mod tests;

pub use expert::{Expert, is_large, modalities, step_bytes};
pub use experts::Experts;
pub use input::{Dims, Input, Inputs};
pub use lenet::Lenet;
pub use low_rank::LowRank;
pub use mlp::{Linear, Mlp};
pub use module::{Buffer, Draw, Module, Scope, Slots};
pub use preact_resnet::PreactResnet;
pub use series::Series;

use crate::ops::OpError;
use crate::protocol::Modality;

/// Why a network could not be built, filled or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The data does not fit the architecture.
    #[error(
        "the {modality:?} modality has samples of dimensions {found:?}, but the network expects {expected}"
    )]
    Dims {
        /// Which modality.
        modality: Modality,
        /// What the architecture can read.
        expected: String,
        /// What the data has.
        found: Vec<usize>,
    },
    /// A batch lacks a modality, or an expert looks at none.
    #[error("a batch without the {0:?} modality was given to an expert that looks at it")]
    Missing(Modality),
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
