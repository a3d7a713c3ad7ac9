//! Synthetic fastMRI: volumes in the true HDF5 format with lesions whose magnitude and phase carry known shares of four
//! findings.
//!
//! Invariant: slices are independent draws; of each finding the magnitude shows the state a alone and the phase b alone, in a
//! quadrant of its own. So the AUROC of the best possible model follows from a table of 3 x 3 x 2 numbers.

mod files;
mod references;
mod render;
mod settings;
#[cfg(test)]
mod tests;

pub use files::{generate, name, pinned};
pub use references::{KneeReferences, references, standard_error};
pub use settings::KneeSettings;
