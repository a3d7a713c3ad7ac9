//! What is chosen between NLVR2's files and what a network sees.
//!
//! Invariant: every word is one that the description of the dataset has.

use crate::data::images::{Augmentation, MissingImages};
use crate::data::{Choice, DataError, Preparation};

const SIDE: &str = "side";
const LENGTH: &str = "length";
const AUGMENTATION: &str = "augmentation";
const MISSING_IMAGES: &str = "missing_images";

/// Columns and rows of the synthetic images, and tokens of their sentences.
pub(super) const FIXTURE_SIZES: [(&str, &str); 2] = [(SIDE, "64"), (LENGTH, "16")];

/// The choices, and their words.
pub(super) static CHOICES: [Choice; 4] = [
    // Deviation V9.
    Choice { key: SIDE, words: &["384", "576", "64"], default: "384" },
    Choice { key: LENGTH, words: &["50", "16"], default: "50" },
    // Deviations V11 and V12.
    Choice { key: AUGMENTATION, words: &["as-released", "fixed", "none"], default: "as-released" },
    Choice { key: MISSING_IMAGES, words: &["stop", "skip"], default: "stop" },
];

/// A preparation, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choices {
    /// Columns and rows of an image.
    pub(super) side: usize,
    /// Tokens of a sentence.
    pub(super) length: usize,
    /// Of training images.
    pub(super) augmentation: Augmentation,
    /// What is done where images are missing.
    pub(super) missing_images: MissingImages,
}

impl Choices {
    /// Reads the words.
    ///
    /// # Errors
    /// A description of the dataset that contradicts itself.
    pub(super) fn of(preparation: &Preparation) -> Result<Self, DataError> {
        Ok(Choices {
            side: preparation.number(SIDE)?,
            length: preparation.number(LENGTH)?,
            augmentation: preparation.read(AUGMENTATION)?,
            missing_images: preparation.read(MISSING_IMAGES)?,
        })
    }
}
