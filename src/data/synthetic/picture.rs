//! Pictures that show a latent state: a cosine mode per state, under modes and noise that mean nothing.
//!
//! Invariant: the state is the pattern with the largest projection, for every draw of the nuisances. Cosine modes are
//! orthogonal, so nuisance modes never reach a projection, and the bound on the noise keeps it below half the
//! amplitude there.

use serde::Deserialize;

use super::settings::{SettingsError, require};
use crate::random::Stream;

/// How one modality of AV-MNIST is drawn.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PictureSettings {
    /// Rows and columns, in pixels.
    pub side: usize,
    /// Value of an empty picture.
    pub base: f64,
    /// Amplitude of the state's pattern.
    pub amplitude: f64,
    /// Half waves down and across, one pair per state.
    pub patterns: Vec<[usize; 2]>,
    /// Half waves of the nuisance modes.
    pub nuisances: Vec<[usize; 2]>,
    /// Largest amplitude of a nuisance mode.
    pub nuisance_amplitude: f64,
    /// Largest noise of a pixel.
    pub noise: f64,
}

/// Draws pictures.
pub(super) struct Painter<'a> {
    settings: &'a PictureSettings,
    patterns: Vec<Vec<f64>>,
    nuisances: Vec<Vec<f64>>,
}

/// `cos((i + 1/2) k pi / n)` for i in 0..n: the k-th cosine mode, orthogonal to all others below n.
pub(super) fn cosine(k: usize, n: usize) -> Vec<f64> {
    let step = std::f64::consts::PI * k as f64 / n as f64;
    (0..n).map(|i| libm::cos((i as f64 + 0.5) * step)).collect()
}

/// How far noise of at most 1 can move the normalised projection on a mode.
pub(super) fn noise_gain(mode: &[f64]) -> f64 {
    mode.iter().map(|w| w.abs()).sum::<f64>() / mode.iter().map(|w| w * w).sum::<f64>()
}

impl PictureSettings {
    fn mode(&self, [down, across]: [usize; 2]) -> Vec<f64> {
        let (rows, columns) = (cosine(down, self.side), cosine(across, self.side));
        rows.iter().flat_map(|row| columns.iter().map(move |column| row * column)).collect()
    }

    /// The smallest and largest value that a pixel can take.
    pub(super) fn range(&self) -> [f64; 2] {
        let swing =
            self.amplitude.abs() + self.nuisances.len() as f64 * self.nuisance_amplitude.abs() + self.noise;
        [self.base - swing, self.base + swing]
    }

    pub(super) fn check(&self, place: &str) -> Result<(), SettingsError> {
        let modes: Vec<_> = self.patterns.iter().chain(&self.nuisances).collect();
        let inside =
            |[down, across]: &[usize; 2]| *down < self.side && *across < self.side && down + across > 0;
        require(
            modes.iter().all(|mode| inside(mode)),
            place,
            "half waves from 0 to below side, not both 0",
            &modes,
        )?;
        let distinct: std::collections::BTreeSet<_> = modes.iter().collect();
        require(distinct.len() == modes.len(), place, "modes that differ", &modes)?;
        // Half a unit more for rounding to whole numbers.
        let gain = self.patterns.iter().map(|&mode| noise_gain(&self.mode(mode))).fold(0.0, f64::max);
        let needed = 2.0 * gain * (self.noise + 0.5);
        require(
            self.amplitude > needed,
            place,
            &format!("amplitude above {needed:.1} for this noise"),
            self.amplitude,
        )
    }
}

impl<'a> Painter<'a> {
    pub(super) fn new(settings: &'a PictureSettings) -> Self {
        let modes = |list: &[[usize; 2]]| list.iter().map(|&mode| settings.mode(mode)).collect();
        Painter { settings, patterns: modes(&settings.patterns), nuisances: modes(&settings.nuisances) }
    }

    /// Appends the pixels of one picture of a state, row by row.
    pub(super) fn paint<T>(&self, state: usize, stream: &mut Stream, out: &mut Vec<T>, pixel: fn(f64) -> T) {
        let PictureSettings { base, amplitude, nuisance_amplitude: swing, noise, .. } = *self.settings;
        let weights: Vec<f64> = self.nuisances.iter().map(|_| stream.uniform_in(-swing, swing)).collect();
        for (i, pattern) in self.patterns[state].iter().enumerate() {
            let nuisance: f64 =
                self.nuisances.iter().zip(&weights).map(|(mode, weight)| weight * mode[i]).sum();
            out.push(pixel(base + amplitude * pattern + nuisance + stream.uniform_in(-noise, noise)));
        }
    }

    /// The state that a picture shows.
    #[cfg(test)]
    pub(super) fn decode(&self, pixels: &[f64]) -> usize {
        let projection = |mode: &Vec<f64>| {
            let energy: f64 = mode.iter().map(|w| w * w).sum();
            mode.iter().zip(pixels).map(|(w, pixel)| w * (pixel - self.settings.base)).sum::<f64>() / energy
        };
        let scores: Vec<f64> = self.patterns.iter().map(projection).collect();
        (0..scores.len()).max_by(|&i, &j| scores[i].total_cmp(&scores[j])).unwrap()
    }
}
