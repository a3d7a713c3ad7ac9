//! The generative model of Figure 1 by itself: one file of vectors for every selection strength of a sweep.
//!
//! Invariant: populations differ in the selection strength alone; each has streams of its own, so that no two share samples.

use std::io;

use super::files::draw;
use super::joint::Sample;
use super::settings::{Rendering, Settings};
use super::vector::VectorSettings;
use crate::data::formats::npz::{NpzBuilder, Packing};
use crate::random::Seeds;

/// The splits of a file, as its arrays name them.
pub const SPLITS: [&str; 3] = ["train", "valid", "test"];

/// The file of a selection strength.
pub fn file(strength: f64) -> String {
    format!("strength-{strength}.npz")
}

impl Settings {
    /// The selection strengths of a sweep; none where the layout is no sweep.
    pub fn strengths(&self) -> &[f64] {
        match &self.rendering {
            Rendering::Vectors { strengths, .. } => strengths,
            Rendering::Avmnist { .. } | Rendering::Mimic { .. } => &[],
        }
    }

    /// Rows of the training, validation and test split of each population of a sweep.
    pub fn split_rows(&self) -> [usize; 3] {
        match self.rendering {
            Rendering::Vectors { rows, .. } => rows,
            Rendering::Avmnist { .. } | Rendering::Mimic { .. } => [0; 3],
        }
    }
}

/// Path and bytes of every population of a sweep.
pub(super) fn render(settings: &Settings) -> io::Result<Vec<(String, Vec<u8>)>> {
    let Rendering::Vectors { strengths, first, second, .. } = &settings.rendering else {
        return Ok(Vec::new());
    };
    let one = |&strength: &f64| {
        let population = settings.clone().with_strength(strength);
        Ok((file(strength), archive(&population, strength, [first, second])?))
    };
    strengths.iter().map(one).collect()
}

/// The arrays `x_<split>`, `x'_<split>` (rows x features, f32) and `y_<split>` (u8) of every split.
fn archive(settings: &Settings, strength: f64, modalities: [&VectorSettings; 2]) -> io::Result<Vec<u8>> {
    let mut archive = NpzBuilder::new(Packing::Stored);
    for (split, rows) in SPLITS.into_iter().zip(settings.split_rows()) {
        let set = format!("{split} at {strength}");
        let samples = draw(settings, &set, rows);
        let tree = Seeds::root(settings.seed).child("fixture").child(&set);
        let states: [fn(&Sample) -> usize; 2] = [|sample| sample.first, |sample| sample.second];
        for ((name, modality), state) in ["x", "x'"].into_iter().zip(modalities).zip(states) {
            let (painter, mut stream) = (modality.painter(), tree.child(name).stream());
            let mut values = Vec::with_capacity(rows * modality.features);
            samples.iter().for_each(|sample| painter.paint(state(sample), &mut stream, &mut values));
            archive.add(&format!("{name}_{split}"), &[rows, modality.features], &values)?;
        }
        let labels: Vec<u8> = samples.iter().map(|sample| sample.labels[0] as u8).collect();
        archive.add(&format!("y_{split}"), &[rows], &labels)?;
    }
    archive.finish()
}
