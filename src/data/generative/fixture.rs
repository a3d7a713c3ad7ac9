//! The generative model of Figure 1 by itself: one file of vectors for every selection strength of a sweep.
//!
//! Invariant: populations differ in the selection strength alone; each has streams of its own, so that no two share samples.

use std::io;

use serde::Deserialize;

use super::vector::VectorSettings;
use super::{ID, tasks};
use crate::data::Task;
use crate::data::formats::npz::{NpzBuilder, Packing};
use crate::data::synthetic::joint::{draw, seeds};
use crate::data::synthetic::{Embedded, FixtureSettings, Layout, Sample, SettingsError, require};

/// The splits of a file, as its arrays name them.
pub(super) const SPLITS: [&str; 3] = ["train", "valid", "test"];

/// The fixture, which is the data itself.
pub(super) static FIXTURE: Embedded<Vectors> = Embedded::new();

/// How latent states become vectors, for a sweep over the selection strength.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vectors {
    /// The selection strengths of the sweep.
    pub strengths: Vec<f64>,
    /// Rows of the training, validation and test split of each.
    pub rows: [usize; 3],
    /// x.
    pub first: VectorSettings,
    /// x'.
    pub second: VectorSettings,
}

/// The file of a selection strength.
pub(super) fn file(strength: f64) -> String {
    format!("strength-{strength}.npz")
}

impl Layout for Vectors {
    const FOLDER: &'static str = ID;
    const SETTINGS: &'static str = include_str!("../../../fixtures/generative.toml");

    fn tasks() -> Vec<Task> {
        tasks()
    }

    fn states(&self) -> [usize; 2] {
        [self.first.patterns.len(), self.second.patterns.len()]
    }

    fn check(&self) -> Result<(), SettingsError> {
        let Vectors { strengths, rows, first, second } = self;
        first.check("rendering.first")?;
        second.check("rendering.second")?;
        require(rows.iter().all(|&rows| rows > 0), "rendering.rows", "a row in every split", rows)?;
        let valid = !strengths.is_empty()
            && strengths.iter().all(|strength| *strength >= 0.0 && strength.is_finite());
        require(valid, "rendering.strengths", "numbers from 0", strengths)
    }

    fn strengths(&self) -> &[f64] {
        &self.strengths
    }

    fn render(settings: &FixtureSettings<Self>) -> io::Result<Vec<(String, Vec<u8>)>> {
        let one = |&strength: &f64| {
            Ok((file(strength), archive(&settings.clone().with_strength(strength), strength)?))
        };
        settings.rendering.strengths.iter().map(one).collect()
    }
}

/// The arrays `x_<split>`, `x'_<split>` (rows x features, f32) and `y_<split>` (u8) of every split.
fn archive(settings: &FixtureSettings<Vectors>, strength: f64) -> io::Result<Vec<u8>> {
    let Vectors { rows, first, second, .. } = &settings.rendering;
    let mut archive = NpzBuilder::new(Packing::Stored);
    for (split, rows) in SPLITS.into_iter().zip(*rows) {
        let set = format!("{split} at {strength}");
        let samples = draw(settings, &set, rows);
        let tree = seeds(settings, &set);
        let states: [fn(&Sample) -> usize; 2] = [|sample| sample.first, |sample| sample.second];
        for ((name, modality), state) in ["x", "x'"].into_iter().zip([first, second]).zip(states) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::formats::npy::Dim;
    use crate::data::formats::npz::Npz;
    use crate::data::synthetic::{References, generate_from, references};

    #[test]
    fn written_vectors_show_the_drawn_states() {
        let mut settings = FixtureSettings::<Vectors>::embedded().unwrap();
        settings.rendering.rows = [300; 3];
        let folder = tempfile::tempdir().unwrap();
        generate_from(&settings, folder.path()).unwrap();
        let Vectors { strengths, first, second, .. } = &settings.rendering;
        let mut sets = Vec::new();
        for &strength in strengths {
            let mut npz = Npz::open(&folder.path().join(file(strength))).unwrap();
            for split in SPLITS {
                let samples =
                    draw(&settings.clone().with_strength(strength), &format!("{split} at {strength}"), 300);
                let labels = npz.array(&format!("y_{split}"), &[Dim::Is(300)]).unwrap().to_labels(4).unwrap();
                for (name, modality) in [("x", first), ("x'", second)] {
                    let dims = [Dim::Is(300), Dim::Is(modality.features)];
                    let vectors = npz.array(&format!("{name}_{split}"), &dims).unwrap().to_f32();
                    for (vector, sample) in vectors.chunks_exact(modality.features).zip(&samples) {
                        let state = if name == "x" { sample.first } else { sample.second };
                        assert_eq!(modality.painter().decode(vector), state, "{strength} {split} {name}");
                    }
                }
                assert!(
                    labels.iter().zip(&samples).all(|(&label, sample)| label as usize == sample.labels[0])
                );
                sets.push(samples);
            }
        }
        let every = sets.len();
        sets.dedup();
        assert_eq!(sets.len(), every, "splits and strengths are draws of their own");
    }

    /// What Figure 1 sweeps: neither modality alone ever gains, the additive bound falls behind, and the optimum rises.
    #[test]
    fn selection_speaks_for_both_modalities_together_alone() {
        let settings = FixtureSettings::<Vectors>::embedded().unwrap();
        let found: Vec<References> = (settings.rendering.strengths.iter())
            .map(|&strength| {
                references(&settings.clone().with_strength(strength), super::super::GENERATED).unwrap()
            })
            .collect();
        for pair in found.windows(2) {
            assert!(pair[0].bayes < pair[1].bayes, "{pair:?}");
            assert!((pair[0].first_only - pair[1].first_only).abs() < 1e-9, "{pair:?}");
            assert!(
                pair[1].bayes - pair[1].log_additive > pair[0].bayes - pair[0].log_additive - 1e-9,
                "{pair:?}"
            );
        }
        let last = found.last().unwrap();
        assert!(last.bayes - last.log_additive > 8.0, "{last:?}");
    }

    #[test]
    fn settings_that_would_lie_are_refused() {
        let refused = |from: &str, to: &str| {
            assert!(Vectors::SETTINGS.contains(from), "{from}");
            let text = Vectors::SETTINGS.replacen(from, to, 1);
            FixtureSettings::<Vectors>::parse(&text).unwrap_err().to_string()
        };
        assert!(refused("noise = 0.38", "noise = 0.4").contains("noise below"));
        assert!(refused("[1, -1], [2, 1]", "[1, 1], [2, 1]").contains("patterns that differ"));
        assert!(refused("nuisances = [4, 6, 7]", "nuisances = [5]").contains("other modes"));
        assert!(refused("[32000, 1000, 8000]", "[32000, 0, 8000]").contains("a row in every split"));
        assert!(refused("[0.0, 1.0,", "[-1.0, 1.0,").contains("numbers from 0"));
    }
}
