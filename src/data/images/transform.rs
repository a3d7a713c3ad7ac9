//! What a network takes in: a square image of normalised channels.
//!
//! Invariant: the numbers are those of PyTorch's tensors in single precision, step by step: divided by 255, less the mean,
//! divided by the deviation.

use super::{Rgb, bicubic};

/// Means of red, green and blue over ImageNet.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Their standard deviations.
const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// The transformation for evaluation: the whole image, resized to a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// Columns and rows of the result.
    pub side: usize,
}

impl Evaluation {
    /// The channels one after the other, each `side * side` numbers, row by row.
    pub fn apply(&self, image: &Rgb) -> Vec<f32> {
        normalised(&bicubic(image, self.side, self.side))
    }
}

/// Normalised channels one after the other, each row by row.
pub fn normalised(image: &Rgb) -> Vec<f32> {
    let channel = |channel: usize| {
        let value = move |byte: &u8| (f32::from(*byte) / 255.0 - MEAN[channel]) / STD[channel];
        image.bytes()[channel..].iter().step_by(3).map(value)
    };
    (0..3).flat_map(channel).collect()
}
