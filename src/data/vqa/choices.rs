//! What is chosen between VQA-VS's files and what a network sees.
//!
//! Invariant: the number of answers follows from a word alone, so that networks are planned before any file is read.

use serde::{Deserialize, Serialize};

use super::score::Scoring;
use super::vocabulary::VocabularyCount;
use crate::data::images::{Augmentation, MissingImages};
use crate::data::{Choice, DataError, Preparation};

/// Answers of the synthetic files.
pub(super) const FIXTURE_ANSWERS: usize = 8;
/// Columns and rows of images of the synthetic files, and tokens of their questions.
pub(super) const FIXTURE_SIZES: [(&str, &str); 3] = [(VOCABULARY, "fixture"), (SIDE, "64"), (LENGTH, "16")];

const VOCABULARY: &str = "vocabulary";
const SCORE: &str = "score";
const SIDE: &str = "side";
const LENGTH: &str = "length";
const UNANSWERABLE: &str = "unanswerable";
const AUGMENTATION: &str = "augmentation";
const MISSING_IMAGES: &str = "missing_images";
/// Which synthetic files there are.
pub(super) const FIXTURE: &str = "fixture";

/// The choices, and their words.
pub(super) static CHOICES: [Choice; 8] = [
    // Deviation V13: FIBER's vocabulary, or that of VQA-VS's own baselines; or that of the synthetic files.
    Choice { key: VOCABULARY, words: &["3129", "2486", "fixture"], default: "3129" },
    // Deviation V14.
    Choice { key: SCORE, words: &["table", "official"], default: "table" },
    // Deviation V9.
    Choice { key: SIDE, words: &["576", "384", "64"], default: "576" },
    Choice { key: LENGTH, words: &["50", "16"], default: "50" },
    // Deviation V15: test questions that no answer of the vocabulary is right for.
    Choice { key: UNANSWERABLE, words: &["kept", "dropped"], default: "kept" },
    // Deviation V11.
    Choice { key: AUGMENTATION, words: &["as-released", "fixed", "none"], default: "as-released" },
    Choice { key: MISSING_IMAGES, words: &["stop", "skip"], default: "stop" },
    Choice { key: FIXTURE, words: &["additive", "interaction"], default: "additive" },
];

/// Whose answers a network chooses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Answers {
    #[serde(rename = "3129")]
    All,
    #[serde(rename = "2486")]
    Training,
    #[serde(rename = "fixture")]
    Fixture,
}

/// What becomes of test questions that no answer of the vocabulary is right for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Unanswerable {
    /// They count, and no answer has a score.
    Kept,
    /// They are left out, as in training.
    Dropped,
}

/// Which synthetic VQA-VS stands in for the real one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VqaFixture {
    /// Question and image speak for an answer almost independently of each other, and most pairs are seen once or never: experts
    /// of one modality help.
    #[default]
    Additive,
    /// Only question and image together tell, against shortcuts in each of them: experts of one modality mislead.
    Interaction,
}

/// A preparation, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choices {
    answers: Answers,
    /// From annotators to scores.
    pub(super) scoring: Scoring,
    /// Columns and rows of an image.
    pub(super) side: usize,
    /// Tokens of a question.
    pub(super) length: usize,
    /// Of test questions.
    pub(super) unanswerable: Unanswerable,
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
            answers: preparation.read(VOCABULARY)?,
            scoring: preparation.read(SCORE)?,
            side: preparation.number(SIDE)?,
            length: preparation.number(LENGTH)?,
            unanswerable: preparation.read(UNANSWERABLE)?,
            augmentation: preparation.read(AUGMENTATION)?,
            missing_images: preparation.read(MISSING_IMAGES)?,
        })
    }

    /// Which annotations are counted for the vocabulary.
    pub(super) fn count(&self) -> VocabularyCount {
        match self.answers {
            Answers::All => VocabularyCount::All,
            Answers::Training => VocabularyCount::Training,
            Answers::Fixture => VocabularyCount::Exactly(FIXTURE_ANSWERS),
        }
    }
}

/// Answers that a network chooses from.
pub(super) fn classes(preparation: &Preparation) -> usize {
    // The description has no other word.
    Choices::of(preparation).ok().and_then(|choices| choices.count().expected()).unwrap_or_default()
}
