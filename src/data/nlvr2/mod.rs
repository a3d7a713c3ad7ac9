//! NLVR2: a sentence about two photographs, true or false.
//!
//! Invariant: an example's identifier names its split, its set of images, its pair of them and its sentence, and is there once; image
//! names follow from it alone.

mod choices;
mod consistency;
mod dataset;
mod examples;
mod files;
pub mod fixture;
mod identifier;
mod spec;

pub use consistency::{consistency, groups};
pub use dataset::Nlvr2Dataset;
pub use examples::{Example, Examples};
pub use identifier::Identifier;
pub use spec::SPEC;

/// Its id.
const ID: &str = "nlvr2";
/// Its name in text.
const TITLE: &str = "NLVR2";
/// The task's id.
const TRUTH: &str = "truth";
/// The public test split.
const TEST1: &str = "test1";

#[cfg(test)]
mod dataset_tests;
#[cfg(test)]
mod tests;
