//! Sentences with their two photographs, as a training loop sees them.
//!
//! Invariant: sentences and labels are in memory; photographs are decoded and sentences split into tokens when a row is asked for. The
//! left image comes first.

use std::sync::Arc;

use crate::data::images::Photographs;
use crate::data::tokens::Texts;
use crate::data::{DataError, Dataset, Loaded, Modality, Population, Prepared, Split, Targets, gather_made};
use crate::random::Seeds;

/// Place of the modality.
const IMAGES: usize = 0;

/// The examples of a split.
#[derive(Default)]
pub(super) struct Rows {
    /// Their sentences.
    pub(super) sentences: Vec<String>,
    /// The place of each one's pair of photographs among all of the split.
    pub(super) pairs: Vec<u32>,
    /// The first row with the same sentence.
    pub(super) texts: Vec<u32>,
    /// 1 where the sentence is true.
    pub(super) labels: Vec<u32>,
    /// Names of the left and the right photograph of each pair.
    pub(super) names: Vec<[String; 2]>,
}

/// NLVR2, prepared.
pub struct Nlvr2Dataset {
    /// Training, validation, test.
    pub(super) splits: [Rows; 3],
    pub(super) photographs: Photographs,
    pub(super) texts: Texts,
    pub(super) modalities: [Modality; 2],
    pub(super) tests: [String; 1],
    /// What was left out, counted.
    pub(super) notes: Vec<String>,
    pub(super) loaded: Loaded,
}

impl Nlvr2Dataset {
    /// The text of a sentence.
    pub fn sentence(&self, split: Split, row: u32) -> &str {
        &self.rows(split).sentences[row as usize]
    }

    fn rows(&self, split: Split) -> &Rows {
        &self.splits[match split {
            Split::Train => 0,
            Split::Valid => 1,
            Split::Test(_) => 2,
        }]
    }

    /// Writes both photographs of a row, each with its place.
    fn write(&self, split: Split, row: u32, out: &mut [f32], write: impl Fn(usize, &str, &mut [f32])) {
        let rows = self.rows(split);
        let names = &rows.names[rows.pairs[row as usize] as usize];
        for (place, (name, out)) in
            names.iter().zip(out.chunks_exact_mut(self.photographs.width())).enumerate()
        {
            write(place, name, out);
        }
    }
}

impl Dataset for Nlvr2Dataset {
    fn modalities(&self) -> &[Modality] {
        &self.modalities
    }

    fn test_splits(&self) -> &[String] {
        &self.tests
    }

    fn len(&self, split: Split) -> usize {
        self.rows(split).labels.len()
    }

    fn targets(&self, split: Split) -> Targets<'_> {
        Targets::Labels(&self.rows(split).labels)
    }

    fn gather(&self, split: Split, modality: usize, rows: &[u32], out: &mut [f32]) {
        match modality {
            IMAGES => gather_made(2 * self.photographs.width(), rows, out, |row, out| {
                self.write(split, row, out, |_, name, out| self.photographs.write(name, out));
            }),
            _ => gather_made(self.texts.length(), rows, out, |row, out| {
                self.texts.write(self.sentence(split, row), out);
            }),
        }
    }

    /// Each image is augmented on its own, as released.
    fn augmented(&self, split: Split, modality: usize, row: u32, seeds: &Seeds, out: &mut [f32]) {
        match modality {
            IMAGES => self.write(split, row, out, |place, name, out| {
                self.photographs.write_augmented(name, &mut seeds.child(place).stream(), out);
            }),
            _ => self.gather(split, modality, &[row], out),
        }
    }

    fn augments(&self) -> bool {
        self.photographs.augments()
    }

    fn sample(&self, split: Split, modality: usize, row: u32) -> u32 {
        let rows = self.rows(split);
        if modality == IMAGES { rows.pairs[row as usize] } else { rows.texts[row as usize] }
    }

    fn loaded(&self) -> Option<Loaded> {
        Some(self.loaded)
    }

    fn fault(&self) -> Option<&str> {
        self.photographs.fault().or_else(|| self.texts.fault())
    }
}

/// Shared by the runs that read it.
pub(super) struct Shared(pub(super) Arc<Nlvr2Dataset>);

impl Prepared for Shared {
    fn view(&self, task: &str, _: Option<Population>) -> Option<Arc<dyn Dataset>> {
        (task == super::TRUTH).then(|| self.0.clone() as Arc<dyn Dataset>)
    }

    fn read_all(&self) -> Result<(), DataError> {
        let pairs = self.0.splits.iter().flat_map(|rows| rows.names.iter().flatten());
        self.0.photographs.read_all(&pairs.cloned().collect::<Vec<_>>())
    }

    fn notes(&self) -> &[String] {
        &self.0.notes
    }
}
