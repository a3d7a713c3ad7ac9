//! Questions with their photographs and scores, as a training loop sees them.
//!
//! Invariant: questions and scores are in memory; photographs are decoded and questions split into tokens when a row is asked for.

use std::sync::Arc;

use super::Vocabulary;
use crate::data::images::Photographs;
use crate::data::tokens::Texts;
use crate::data::{Average, Dataset, Loaded, Modality, Split, Subset, Targets, gather_made};
use crate::random::Seeds;

/// Place of the modality.
const IMAGE: usize = 0;

/// The questions of a split.
#[derive(Default)]
pub(super) struct Rows {
    /// Their texts.
    pub(super) questions: Vec<String>,
    /// The place of each one's photograph among all.
    pub(super) images: Vec<u32>,
    /// The first row with the same text.
    pub(super) texts: Vec<u32>,
    /// Rows of scores, one for each answer.
    pub(super) scores: Vec<f32>,
}

/// VQA-VS, prepared.
pub struct VqaDataset {
    /// Training, validation, test.
    pub(super) splits: [Rows; 3],
    /// Names of all photographs.
    pub(super) names: Vec<String>,
    pub(super) photographs: Photographs,
    pub(super) texts: Texts,
    pub(super) vocabulary: Vocabulary,
    pub(super) modalities: [Modality; 2],
    pub(super) tests: [String; 1],
    pub(super) subsets: Vec<Subset>,
    pub(super) averages: [Average; 1],
    /// What was left out, counted.
    pub(super) notes: Vec<String>,
    pub(super) loaded: Loaded,
}

impl VqaDataset {
    /// The answers in the order of the classes.
    pub fn answers(&self) -> &[String] {
        self.vocabulary.answers()
    }

    /// The text of a question.
    pub fn question(&self, split: Split, row: u32) -> &str {
        &self.rows(split).questions[row as usize]
    }

    fn rows(&self, split: Split) -> &Rows {
        &self.splits[match split {
            Split::Train => 0,
            Split::Valid => 1,
            Split::Test(_) => 2,
        }]
    }

    fn image(&self, split: Split, row: u32) -> &str {
        &self.names[self.rows(split).images[row as usize] as usize]
    }
}

impl Dataset for VqaDataset {
    fn modalities(&self) -> &[Modality] {
        &self.modalities
    }

    fn test_splits(&self) -> &[String] {
        &self.tests
    }

    fn len(&self, split: Split) -> usize {
        self.rows(split).questions.len()
    }

    fn targets(&self, split: Split) -> Targets<'_> {
        Targets::Soft { scores: &self.rows(split).scores, classes: self.answers().len() }
    }

    fn gather(&self, split: Split, modality: usize, rows: &[u32], out: &mut [f32]) {
        match modality {
            IMAGE => gather_made(self.photographs.width(), rows, out, |row, out| {
                self.photographs.write(self.image(split, row), out);
            }),
            _ => gather_made(self.texts.length(), rows, out, |row, out| {
                self.texts.write(self.question(split, row), out);
            }),
        }
    }

    fn augmented(&self, split: Split, modality: usize, row: u32, seeds: &Seeds, out: &mut [f32]) {
        match modality {
            IMAGE => self.photographs.write_augmented(self.image(split, row), &mut seeds.stream(), out),
            _ => self.gather(split, modality, &[row], out),
        }
    }

    fn augments(&self) -> bool {
        self.photographs.augments()
    }

    fn subsets(&self) -> &[Subset] {
        &self.subsets
    }

    fn averages(&self) -> &[Average] {
        &self.averages
    }

    fn sample(&self, split: Split, modality: usize, row: u32) -> u32 {
        let rows = self.rows(split);
        if modality == IMAGE { rows.images[row as usize] } else { rows.texts[row as usize] }
    }

    fn loaded(&self) -> Option<Loaded> {
        Some(self.loaded)
    }

    fn fault(&self) -> Option<&str> {
        self.photographs.fault().or_else(|| self.texts.fault())
    }
}

/// Shared by the runs that read it.
pub(super) struct Shared(pub(super) Arc<VqaDataset>);

impl crate::data::Prepared for Shared {
    fn view(&self, task: &str, _: Option<crate::data::Population>) -> Option<Arc<dyn Dataset>> {
        (task == super::ANSWER).then(|| self.0.clone() as Arc<dyn Dataset>)
    }

    fn read_all(&self) -> Result<(), crate::data::DataError> {
        self.0.photographs.read_all(&self.0.names)
    }

    fn notes(&self) -> &[String] {
        &self.0.notes
    }
}
