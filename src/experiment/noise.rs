//! A tiny dataset from the seed tree: one pattern per class and noise around it.
//!
//! Invariant: fixed by its dimensions and number of classes; it is part of every canary, so its numbers never change.

use std::sync::OnceLock;

use crate::data::{Dataset, Kind, Modality, Split, Target, Targets};
use crate::random::Seeds;

/// Training examples of a canary: not a multiple of its batch.
const TRAIN: usize = 94;
/// Examples of its validation and of its test split.
const HELD_OUT: usize = 19;

/// Noise around one pattern per class.
pub(super) struct Noise {
    modalities: Vec<Modality>,
    train: usize,
    held_out: usize,
    labels: Vec<u32>,
    classes: usize,
    /// Soft scores of the examples; empty of other targets.
    scores: Vec<f32>,
    /// Of each modality.
    pub(super) samples: Vec<Vec<f32>>,
    /// The row of the test split from which on nothing can be read.
    pub(super) lost: Option<u32>,
    fault: OnceLock<String>,
}

/// A token for a number in [-0.5, 1.5): none of those with a meaning of their own.
fn token(value: f32) -> f32 {
    2.0 + (8.0 * (value + 0.5)).floor().clamp(0.0, 8.0)
}

impl Noise {
    /// The data of a canary.
    pub(super) fn new(modalities: Vec<Modality>, target: &Target) -> Self {
        Noise::with_rows(modalities, target, TRAIN, HELD_OUT)
    }

    /// `train` training examples, and `held_out` each to validate and to test.
    pub(super) fn with_rows(
        modalities: Vec<Modality>,
        target: &Target,
        train: usize,
        held_out: usize,
    ) -> Self {
        let values = target.labels().unwrap_or(target.classes() as u64);
        let seeds = Seeds::root(0).child("canary");
        let mut stream = seeds.child("labels").stream();
        let labels: Vec<u32> = (0..train + 2 * held_out).map(|_| stream.below(values) as u32).collect();
        let samples = modalities.iter().enumerate().map(|(index, modality)| {
            let len = modality.features();
            let mut stream = seeds.child("samples").child(index).stream();
            let patterns: Vec<f64> = (0..values as usize * len).map(|_| stream.uniform()).collect();
            labels
                .iter()
                .flat_map(|&y| patterns[y as usize * len..][..len].iter())
                .map(|pattern| (pattern + stream.uniform_in(-0.5, 0.5)) as f32)
                .map(|value| if modality.kind == Kind::Tokens { token(value) } else { value })
                .collect()
        });
        let samples = samples.collect();
        let scores = match target {
            Target::Soft { classes } => {
                let of =
                    |&label: &u32| (0..*classes).map(move |k| if k == label as usize { 0.75 } else { 0.125 });
                labels.iter().flat_map(of).collect()
            }
            Target::Classes { .. } | Target::Binary { .. } => Vec::new(),
        };
        let classes = target.classes();
        Noise {
            classes,
            scores,
            modalities,
            train,
            held_out,
            labels,
            samples,
            lost: None,
            fault: OnceLock::new(),
        }
    }

    fn range(&self, split: Split) -> std::ops::Range<usize> {
        match split {
            Split::Train => 0..self.train,
            Split::Valid => self.train..self.train + self.held_out,
            Split::Test(_) => self.train + self.held_out..self.train + 2 * self.held_out,
        }
    }
}

impl Dataset for Noise {
    fn modalities(&self) -> &[Modality] {
        &self.modalities
    }
    fn len(&self, split: Split) -> usize {
        self.range(split).len()
    }
    fn targets(&self, split: Split) -> Targets<'_> {
        let rows = self.range(split);
        if self.scores.is_empty() {
            return Targets::Labels(&self.labels[rows]);
        }
        let scores = &self.scores[rows.start * self.classes..rows.end * self.classes];
        Targets::Soft { scores, classes: self.classes }
    }
    fn fault(&self) -> Option<&str> {
        self.fault.get().map(String::as_str)
    }
    fn gather(&self, split: Split, modality: usize, rows: &[u32], out: &mut [f32]) {
        let len = self.modalities[modality].features();
        let first = self.range(split).start;
        for (i, &row) in rows.iter().enumerate() {
            let sample = &self.samples[modality][(first + row as usize) * len..][..len];
            if split == Split::TEST && self.lost.is_some_and(|lost| row >= lost) {
                self.fault.get_or_init(|| format!("row {row} is gone"));
            }
            sample.iter().enumerate().for_each(|(feature, &value)| out[feature * rows.len() + i] = value);
        }
    }
}
