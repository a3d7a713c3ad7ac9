//! A tiny dataset from the seed tree: one pattern per class and noise around it.
//!
//! Invariant: fixed by its dimensions and number of classes; it is part of every canary, so its numbers never change.

use std::sync::OnceLock;

use crate::data::{Dataset, Split};
use crate::protocol::Modality;
use crate::random::Seeds;

/// Training examples of a canary: not a multiple of its batch.
const TRAIN: usize = 94;
/// Examples of its validation and of its test split.
const HELD_OUT: usize = 19;

/// Noise around one pattern per class.
pub(super) struct Noise {
    dims: [Vec<usize>; 3],
    classes: usize,
    train: usize,
    held_out: usize,
    labels: Vec<u8>,
    pub(super) samples: [Vec<f32>; 3],
    /// The row of the test split from which on nothing can be read.
    pub(super) lost: Option<u32>,
    fault: OnceLock<String>,
}

impl Noise {
    /// The data of a canary.
    pub(super) fn new(dims: [Vec<usize>; 3], classes: usize) -> Self {
        Noise::with_rows(dims, classes, TRAIN, HELD_OUT)
    }

    /// `train` training examples, and `held_out` each to validate and to test.
    pub(super) fn with_rows(dims: [Vec<usize>; 3], classes: usize, train: usize, held_out: usize) -> Self {
        let seeds = Seeds::root(0).child("canary");
        let mut stream = seeds.child("labels").stream();
        let labels: Vec<u8> = (0..train + 2 * held_out).map(|_| stream.below(classes as u64) as u8).collect();
        let samples = [0, 1, 2].map(|m| {
            if dims[m].is_empty() {
                return Vec::new();
            }
            let len: usize = dims[m].iter().product();
            let mut stream = seeds.child("samples").child(m).stream();
            let patterns: Vec<f64> = (0..classes * len).map(|_| stream.uniform()).collect();
            labels
                .iter()
                .flat_map(|&y| patterns[usize::from(y) * len..][..len].iter())
                .map(|pattern| (pattern + stream.uniform_in(-0.5, 0.5)) as f32)
                .collect()
        });
        Noise { dims, classes, train, held_out, labels, samples, lost: None, fault: OnceLock::new() }
    }

    fn range(&self, split: Split) -> std::ops::Range<usize> {
        match split {
            Split::Train => 0..self.train,
            Split::Valid => self.train..self.train + self.held_out,
            Split::Test => self.train + self.held_out..self.train + 2 * self.held_out,
        }
    }
}

impl Dataset for Noise {
    fn classes(&self) -> usize {
        self.classes
    }
    fn len(&self, split: Split) -> usize {
        self.range(split).len()
    }
    fn labels(&self, split: Split) -> &[u8] {
        &self.labels[self.range(split)]
    }
    fn dims(&self, modality: Modality) -> &[usize] {
        &self.dims[modality as usize]
    }
    fn fault(&self) -> Option<&str> {
        self.fault.get().map(String::as_str)
    }
    fn gather(&self, split: Split, modality: Modality, rows: &[u32], out: &mut [f32]) {
        let len: usize = self.dims(modality).iter().product();
        let first = self.range(split).start;
        for (i, &row) in rows.iter().enumerate() {
            let sample = &self.samples[modality as usize][(first + row as usize) * len..][..len];
            if split == Split::Test && self.lost.is_some_and(|lost| row >= lost) {
                self.fault.get_or_init(|| format!("row {row} is gone"));
            }
            sample.iter().enumerate().for_each(|(feature, &value)| out[feature * rows.len() + i] = value);
        }
    }
}
