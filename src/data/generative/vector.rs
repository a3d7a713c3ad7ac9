//! Vectors that show a latent state: a signed cosine mode per state, under modes and noise that mean nothing.
//!
//! Invariant: the state is the signed pattern with the largest projection, for every draw of the nuisances. Cosine modes are
//! orthogonal, so nuisance modes never reach a projection, and the bound on the noise keeps it below half the amplitude
//! there.

use serde::Deserialize;

use crate::data::synthetic::waves::{cosine, noise_gain};
use crate::data::synthetic::{SettingsError, require};
use crate::random::Stream;

/// One modality of the generative model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorSettings {
    /// Length of a vector.
    pub features: usize,
    /// Half waves and sign, one pair per state; of amplitude 1.
    pub patterns: Vec<(usize, i8)>,
    /// Half waves of the nuisance modes.
    pub nuisances: Vec<usize>,
    /// Largest amplitude of a nuisance mode.
    pub nuisance_amplitude: f64,
    /// Largest noise of a value.
    pub noise: f64,
}

impl VectorSettings {
    pub(super) fn check(&self, place: &str) -> Result<(), SettingsError> {
        let inside = |&k: &usize| 0 < k && k < self.features;
        let modes = self.patterns.iter().map(|(k, _)| k).chain(&self.nuisances);
        let signed = self.patterns.iter().all(|(_, sign)| sign.abs() == 1);
        let valid = signed && modes.clone().all(inside);
        let modes: Vec<_> = modes.collect();
        require(valid, place, "half waves from 1 to below features, signs 1 or -1", &modes)?;
        let distinct: std::collections::BTreeSet<_> = self.patterns.iter().collect();
        let apart = self.nuisances.iter().all(|k| self.patterns.iter().all(|(pattern, _)| pattern != k));
        let told = distinct.len() == self.patterns.len() && apart;
        require(told, place, "patterns that differ, and nuisances of other modes", &self.patterns)?;
        let finite = self.nuisance_amplitude.is_finite() && self.noise >= 0.0;
        require(finite, place, "finite amplitudes", (self.nuisance_amplitude, self.noise))?;
        let gain = |&(k, _): &(usize, i8)| noise_gain(&cosine(k, self.features));
        let most = 1.0 / (2.0 * self.patterns.iter().map(gain).fold(0.0, f64::max));
        require(self.noise < most, place, &format!("noise below {most:.3} for amplitude 1"), self.noise)
    }

    /// Draws vectors of this kind.
    pub(super) fn painter(&self) -> VectorPainter<'_> {
        let mode = |k: usize| cosine(k, self.features);
        VectorPainter {
            settings: self,
            patterns: self.patterns.iter().map(|&(k, _)| mode(k)).collect(),
            nuisances: self.nuisances.iter().map(|&k| mode(k)).collect(),
        }
    }
}

/// Draws vectors.
pub(super) struct VectorPainter<'a> {
    settings: &'a VectorSettings,
    patterns: Vec<Vec<f64>>,
    nuisances: Vec<Vec<f64>>,
}

impl VectorPainter<'_> {
    /// Appends a vector of a state.
    pub(super) fn paint(&self, state: usize, stream: &mut Stream, out: &mut Vec<f32>) {
        let VectorSettings { patterns, nuisance_amplitude: swing, noise, .. } = self.settings;
        let sign = f64::from(patterns[state].1);
        let weights: Vec<f64> = self.nuisances.iter().map(|_| stream.uniform_in(-swing, *swing)).collect();
        for (i, pattern) in self.patterns[state].iter().enumerate() {
            let nuisance: f64 =
                self.nuisances.iter().zip(&weights).map(|(mode, weight)| weight * mode[i]).sum();
            out.push((sign * pattern + nuisance + stream.uniform_in(-noise, *noise)) as f32);
        }
    }

    /// The state that a vector shows.
    #[cfg(test)]
    pub(super) fn decode(&self, vector: &[f32]) -> usize {
        let projection = |(mode, &(_, sign)): (&Vec<f64>, &(usize, i8))| {
            let energy: f64 = mode.iter().map(|w| w * w).sum();
            f64::from(sign) * mode.iter().zip(vector).map(|(w, &v)| w * f64::from(v)).sum::<f64>() / energy
        };
        let scores: Vec<f64> = self.patterns.iter().zip(&self.settings.patterns).map(projection).collect();
        (0..scores.len()).max_by(|&i, &j| scores[i].total_cmp(&scores[j])).unwrap()
    }
}
