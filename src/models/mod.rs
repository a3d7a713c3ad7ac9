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
mod shared;
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
pub use shared::{BACKBONE, PassFeatures, Shared};
pub use size::{is_large, step_bytes};
pub use tiny::{Tiny, tiny};

use crate::data::Modality;
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError};

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
    /// The shared backbone.
    #[error(transparent)]
    Fiber(#[from] fiber::FiberError),
    /// An op refused its operands, or the device failed.
    #[error(transparent)]
    Op(#[from] OpError),
}

/// Where a modality stands in the dataset's list.
fn position(name: &str, modalities: &[Modality]) -> Result<usize, ModelError> {
    let found = modalities.iter().position(|modality| modality.name == name);
    found.ok_or_else(|| ModelError::NoModality {
        name: name.to_owned(),
        known: modalities.iter().map(|modality| modality.name.clone()).collect(),
    })
}

impl ModelError {
    fn dims(modality: &Modality, expected: String) -> Self {
        ModelError::Dims { modality: modality.name.clone(), expected, found: modality.dims.clone() }
    }

    /// An input of another kind than the expert was built for.
    fn unfit<E: Real, D: Backend<E>>(index: usize, input: &Input<E, D>) -> Self {
        ModelError::Dims {
            expected: "what the expert was built for".to_owned(),
            modality: format!("number {index}"),
            found: input.dims(),
        }
    }
}
