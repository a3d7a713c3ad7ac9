//! Photographs: from files to what a vision network takes in.
//!
//! Invariant: the same file and the same random stream give the same numbers on any machine. Decoding, resampling and
//! augmentation are integer or individually rounded arithmetic; where Pillow or OpenCV define a step, their bits are met, and
//! where they are not (JPEG), the difference is measured and bounded by a test.

mod augment;
mod broken;
mod decode;
mod folder;
mod jpeg;
mod limits;
mod photographs;
mod png;
mod resize;
mod rgb;
#[cfg(test)]
mod tests;
mod transform;

pub use augment::{Op, Policy, Training, Variant, applied};
pub use decode::decode;
pub use folder::{ImageFolder, Missing};
pub use limits::Limits;
pub(in crate::data) use photographs::{Augmentation, MissingImages, Photographs};
pub use resize::bicubic;
pub use rgb::Rgb;
pub use transform::{Evaluation, normalised};
