//! Augmentation of training images: a random crop, a mirror image, and RandAugment, in that order.
//!
//! Invariant: what is drawn depends on the stream alone, never on the pixels; the order of draws is part of every result.

mod colour;
mod crop;
mod ops;
mod policy;
mod sharpness;
mod training;
mod variant;
mod warp;

pub use ops::{Op, applied};
pub use policy::Policy;
pub use training::Training;
pub use variant::Variant;
