//! AV-MNIST: images (x) and spoken digits (x').
//!
//! [`load`] reads the published arrays as they are, or the compact form that [`build`] makes from MNIST and FSDD.
//! Invariant: both forms of the same data give the same batches, bit for bit.

mod build;
mod clips;
mod compact;
mod components;
mod dataset;
mod eigen;
mod gather;
mod greys;
mod pairing;
mod samples;
mod spectrogram;

pub use build::{BuildOptions, BuildReport, NoiseOptions, Stage, build};
pub use compact::{Manifest, Part, Settings};
pub use dataset::{AvmnistDataset, identity, is_rebuilt, load};

/// How to get AV-MNIST or rebuild it, and under which licences.
pub fn explain() -> &'static str {
    include_str!("explain.txt")
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::shared as shared_data;
