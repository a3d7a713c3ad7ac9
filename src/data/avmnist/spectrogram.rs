//! The 112 x 112 spectrogram of a spoken digit, as the generator's later version drew it with matplotlib.
//!
//! Invariant: a pixel depends on the samples alone. Cosines and logarithms are portable, the Fourier sums run in one
//! fixed order, and the outcome equals matplotlib's rendering pixel by pixel on every clip of the 4-speaker state
//! (recipe, "Audio (V2)").

use std::f64::consts::{PI, TAU};

use super::greys::GREYS;

/// Height (frequencies) and width (frames) of a spectrogram.
pub(super) const SIDE: usize = 112;
/// Length of the zero-padded Fourier transform; its one-sided half has [`SIDE`] bins.
const TRANSFORM: usize = 2 * SIDE - 1;
/// Samples per second.
const RATE: f64 = 8000.0;

/// How a clip is cut into [`SIDE`] frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Framing {
    window: usize,
    overlap: usize,
}

impl Framing {
    /// The shortest window, and for it the smallest overlap, that cut `samples` into exactly [`SIDE`] frames.
    ///
    /// The generator searches windows N from ceil(n / 112) - 1 upwards and overlaps o from 0 upwards for
    /// 113 N - 112 o > n >= 112 N - 111 o. With the hop h = N - o that bounds o for each h, so only hops are searched.
    fn of(samples: usize) -> Option<Self> {
        let shortest = samples.div_ceil(SIDE) - 1;
        (1..=samples / SIDE)
            .filter_map(|hop| {
                let overlap =
                    (samples + 1).saturating_sub((SIDE + 1) * hop).max(shortest.saturating_sub(hop));
                (overlap <= samples - SIDE * hop).then_some(Framing { window: hop + overlap, overlap })
            })
            .min()
            .filter(|framing| framing.window <= TRANSFORM)
    }
}

/// Draws spectrograms; holds the cosines and sines of its transform.
pub(super) struct Spectrograph {
    /// Row n: cos and sin of 2 pi n k / 223 for k in 0..112.
    cosines: Vec<[f64; SIDE]>,
    sines: Vec<[f64; SIDE]>,
}

impl Spectrograph {
    /// Prepares the transform.
    pub(super) fn new() -> Self {
        let table = |function: fn(f64) -> f64| {
            let turn: Vec<f64> =
                (0..TRANSFORM).map(|i| function(TAU * i as f64 / TRANSFORM as f64)).collect();
            (0..TRANSFORM).map(|n| std::array::from_fn(|k| turn[n * k % TRANSFORM])).collect()
        };
        Spectrograph { cosines: table(libm::cos), sines: table(libm::sin) }
    }

    /// The spectrogram of a clip, rows from high to low frequency, columns in time; dark (0) is loud.
    ///
    /// `None` where a clip is so short or so long that no window gives 112 frames (below 112 samples, beyond
    /// about 25,000).
    pub(super) fn draw(&self, samples: &[f64]) -> Option<Vec<u8>> {
        let Framing { window, overlap } = Framing::of(samples.len())?;
        let taper = hann(window);
        let norm = RATE * taper.iter().map(|w| w * w).sum::<f64>();
        let mut decibels = vec![0.0; SIDE * SIDE];
        for frame in 0..SIDE {
            let start = frame * (window - overlap);
            let power = self.power(&samples[start..start + window], &taper);
            for (bin, power) in power.into_iter().enumerate() {
                // One-sided: both halves, except for the constant. For an even window matplotlib also leaves
                // the last bin single, as if the transform were even too.
                let single = bin == 0 || (window % 2 == 0 && bin == SIDE - 1);
                let density = if single { power } else { 2.0 * power } / norm;
                decibels[(SIDE - 1 - bin) * SIDE + frame] = 10.0 * libm::log10(density);
            }
        }
        Some(shade(&decibels))
    }

    /// Squared magnitudes of the one-sided transform of one frame.
    fn power(&self, samples: &[f64], taper: &[f64]) -> [f64; SIDE] {
        let mut real = [0.0; SIDE];
        let mut imaginary = [0.0; SIDE];
        for (n, (sample, weight)) in samples.iter().zip(taper).enumerate() {
            let value = sample * weight;
            for (sum, cosine) in real.iter_mut().zip(&self.cosines[n]) {
                *sum += value * cosine;
            }
            for (sum, sine) in imaginary.iter_mut().zip(&self.sines[n]) {
                *sum += value * sine;
            }
        }
        std::array::from_fn(|k| real[k] * real[k] + imaginary[k] * imaginary[k])
    }
}

/// numpy's `hanning`: symmetric, zero at both ends.
fn hann(len: usize) -> Vec<f64> {
    if len == 1 {
        return vec![1.0];
    }
    let step = |n: usize| (2 * n) as f64 - (len - 1) as f64;
    (0..len).map(|n| 0.5 + 0.5 * libm::cos(PI * step(n) / (len - 1) as f64)).collect()
}

/// Stretches the finite values of a clip over the colour map; silence (minus infinity) is white.
fn shade(decibels: &[f64]) -> Vec<u8> {
    let finite = || decibels.iter().copied().filter(|value| value.is_finite());
    let low = finite().fold(f64::INFINITY, f64::min);
    let span = finite().fold(f64::NEG_INFINITY, f64::max) - low;
    let pixel = |&value: &f64| {
        if !value.is_finite() {
            return GREYS[0];
        }
        // Nothing to stretch in a constant clip: matplotlib maps it to 0.
        let share = if span > 0.0 { (value - low) / span } else { 0.0 };
        GREYS[((256.0 * share) as usize).min(255)]
    };
    decibels.iter().map(pixel).collect()
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::super::{clips, tests::shared};
    use super::*;
    use crate::data::formats::npy::Dim;
    use crate::data::formats::npz::Npz;

    #[test]
    fn the_framing_is_the_first_that_the_generator_finds() {
        for samples in (112..3000usize).chain([7999, 11_025, 18_262, 20_001]) {
            let searched = (samples.div_ceil(SIDE) - 1..=samples)
                .flat_map(|window| (0..window).map(move |overlap| (window, overlap)))
                .find(|&(window, overlap)| {
                    let frames = |count: usize| (count * window) as i64 - ((count - 1) * overlap) as i64;
                    frames(113) > samples as i64 && samples as i64 >= frames(112)
                });
            let found = Framing::of(samples).map(|framing| (framing.window, framing.overlap));
            assert_eq!(found, searched.filter(|(window, _)| *window <= TRANSFORM), "{samples} samples");
        }
        assert_eq!(Framing::of(111), None);
        assert_eq!(Framing::of(40_000), None);
    }

    #[test]
    fn silence_is_white_and_a_tone_is_a_dark_line() {
        let spectrograph = Spectrograph::new();
        assert_eq!(spectrograph.draw(&[0.0; 4000]).unwrap(), vec![255; SIDE * SIDE]);
        // Bin 56 of 0..112, a quarter of the rate: row 55 from the top.
        let tone: Vec<f64> = (0..8000).map(|n| libm::sin(TAU * 56.0 / 223.0 * f64::from(n))).collect();
        let drawn = spectrograph.draw(&tone).unwrap();
        for frame in 0..SIDE {
            let darkest = (0..SIDE).min_by_key(|row| drawn[row * SIDE + frame]);
            assert_eq!(darkest.map(|row| row.abs_diff(55) <= 1), Some(true), "frame {frame}");
        }
    }

    #[test]
    fn all_2000_golden_spectrograms_match_exactly() {
        let golden = shared().map(|data| data.with_file_name("golden/fsdd_spectrograms_2000.npz"));
        let (Some(data), Some(golden)) = (shared(), golden.filter(|golden| golden.is_file())) else {
            println!("skipped: the golden spectrograms are not here");
            return;
        };
        let side = Dim::Is(SIDE);
        let golden = Npz::open(&golden).unwrap().array("X", &[Dim::Is(2000), side, side]).unwrap();
        let speakers = ["jackson", "nicolas", "theo", "yweweler"].map(str::to_owned);
        let speech = clips::speech(&data.join("fsdd"), &speakers).unwrap();
        let spectrograph = Spectrograph::new();
        let images = golden.bytes().par_chunks_exact(SIDE * SIDE);
        let matching = speech.clips.par_iter().zip(images).filter(|((path, samples), golden)| {
            let drawn = spectrograph.draw(samples).unwrap();
            let different = drawn.iter().zip(*golden).filter(|(a, b)| a != b).count();
            assert_eq!(different, 0, "pixels of {}", path.display());
            true
        });
        assert_eq!(matching.count(), 2000);
    }
}
