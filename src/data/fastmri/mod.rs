//! fastMRI knee: from raw single-coil volumes and the fastMRI+ annotations to slices with four findings each.
//!
//! Invariant: what is read at training is a cache that [`build`] wrote whole; it holds no choice that the protocol can still
//! make (how magnitudes are scaled, what annotations of whole studies count for, noise).

mod build;
mod cache;
mod choices;
mod container;
mod dataset;
pub mod fixture;
mod labels;
mod options;
mod spec;
mod split;
#[cfg(test)]
mod tests;
mod transform;
mod volume;

pub use build::{BuildOptions, Built, NoProgress, Progress, build};
pub use cache::{Index, Record};
pub use choices::{Choices, MagnitudeNorm, Space, StudyLevel};
pub use dataset::{KneeDataset, identity, load};
pub use labels::{Annotations, FINDINGS, Labels};
pub use spec::SPEC;
pub use split::{Part, split};
pub use volume::Volume;

/// The task's id.
const KNEE: &str = "knee";
/// The choice of a fixture.
const FIXTURE: &str = "fixture";

use serde::{Deserialize, Serialize};

/// Sizes of k-space and of what is kept of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Geometry {
    /// Rows of every volume's k-space.
    pub rows: usize,
    /// Columns that narrower volumes are padded to; wider ones are dropped (deviation F16).
    pub columns: usize,
    /// Rows and columns of the image's centre.
    pub side: usize,
}

impl Geometry {
    /// That of fastMRI's knees.
    pub const FASTMRI: Geometry = Geometry { rows: 640, columns: 400, side: 320 };
}
