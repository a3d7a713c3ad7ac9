//! FIBER: Swin and RoBERTa with gated cross-attention in their last layers (Dou et al., "Coarse-to-Fine Vision-Language
//! Pre-training with Fusion in the Backbone"), and the heads that I2M2 puts on it (Sections 4.4 and 4.5).
//!
//! One backbone is run in three ways: on the image alone, on the text alone, and on both with fusion. Experts are small heads
//! on these features.
//!
//! Invariant: a network is a plan (names, sizes and initial values of all tensors, and parts that refer to them by number) and
//! the tensors; so every published name stands once, and several networks may share one backbone. The parts are the same for any
//! size and number type.

mod backbone;
mod config;
mod error;
mod file;
mod heads;
mod inputs;
mod layers;
mod position;
mod reached;
mod roberta;
mod run;
mod source;
mod swin;
#[cfg(test)]
mod tests;
mod weights;
mod windows;

pub use crate::study::{Image, TextSizes};
pub use backbone::Backbone;
pub use config::Config;
pub use error::FiberError;
pub use file::WeightsFile;
pub use heads::{Composition, Features, Heads, Task};
pub use inputs::{Images, Text};
pub use position::resize;
pub use reached::Passes;
pub use run::{ForwardHook, ForwardPass, Noise};
pub use source::{TensorSource, ignored, load};
pub use weights::{Plan, Spec, Weights};
