//! The transformation of training images.
//!
//! Invariant: the crop is drawn first, then the mirror image, then RandAugment's operations, all from one stream.

use super::crop::Crop;
use super::policy::Policy;
use crate::data::images::{Rgb, bicubic, normalised};
use crate::random::Stream;

/// The transformation for training: a random part, resized to a square, perhaps mirrored and augmented.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// Columns and rows of the result.
    pub side: usize,
    /// What is applied to the square image.
    pub policy: Policy,
}

impl Training {
    /// The square image, before it is normalised.
    pub fn square(&self, image: &Rgb, stream: &mut Stream) -> Rgb {
        let part = Crop::draw(image.width(), image.height(), stream).of(image);
        let square = bicubic(&part, self.side, self.side);
        let square = if stream.chance(0.5) { square.mirrored() } else { square };
        self.policy.apply(square, stream)
    }

    /// The channels one after the other, each `side * side` numbers, row by row.
    pub fn apply(&self, image: &Rgb, stream: &mut Stream) -> Vec<f32> {
        normalised(&self.square(image, stream))
    }
}
