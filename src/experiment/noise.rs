//! A tiny dataset from the seed tree: one pattern per class and noise around it.
//!
//! Invariant: fixed by its dimensions and number of classes; it is part of every canary, so its numbers never change.

use crate::data::{Dataset, Split};
use crate::protocol::Modality;
use crate::random::Seeds;

const TRAIN: usize = 94;
const HELD_OUT: usize = 19;

/// Noise around one pattern per class.
pub(super) struct Noise {
    dims: [Vec<usize>; 2],
    classes: usize,
    labels: Vec<u8>,
    pub(super) samples: [Vec<f32>; 2],
}

impl Noise {
    pub(super) fn new(dims: [Vec<usize>; 2], classes: usize) -> Self {
        let seeds = Seeds::root(0).child("canary");
        let mut stream = seeds.child("labels").stream();
        let labels: Vec<u8> = (0..TRAIN + 2 * HELD_OUT).map(|_| stream.below(classes as u64) as u8).collect();
        let samples = [0, 1].map(|m| {
            let len: usize = dims[m].iter().product();
            let mut stream = seeds.child("samples").child(m).stream();
            let patterns: Vec<f64> = (0..classes * len).map(|_| stream.uniform()).collect();
            labels
                .iter()
                .flat_map(|&y| patterns[usize::from(y) * len..][..len].iter())
                .map(|pattern| (pattern + stream.uniform_in(-0.5, 0.5)) as f32)
                .collect()
        });
        Noise { dims, classes, labels, samples }
    }

    fn range(split: Split) -> std::ops::Range<usize> {
        match split {
            Split::Train => 0..TRAIN,
            Split::Valid => TRAIN..TRAIN + HELD_OUT,
            Split::Test => TRAIN + HELD_OUT..TRAIN + 2 * HELD_OUT,
        }
    }
}

impl Dataset for Noise {
    fn classes(&self) -> usize {
        self.classes
    }
    fn len(&self, split: Split) -> usize {
        Self::range(split).len()
    }
    fn labels(&self, split: Split) -> &[u8] {
        &self.labels[Self::range(split)]
    }
    fn dims(&self, modality: Modality) -> &[usize] {
        &self.dims[modality as usize]
    }
    fn gather(&self, split: Split, modality: Modality, rows: &[u32], out: &mut [f32]) {
        let len: usize = self.dims(modality).iter().product();
        let first = Self::range(split).start;
        for (i, &row) in rows.iter().enumerate() {
            let sample = &self.samples[modality as usize][(first + row as usize) * len..][..len];
            sample.iter().enumerate().for_each(|(feature, &value)| out[feature * rows.len() + i] = value);
        }
    }
}
