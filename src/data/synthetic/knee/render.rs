//! One synthetic slice: states and findings drawn, magnitude and phase painted, k-space computed.
//!
//! Invariant: only portable arithmetic (`libm`, and sums in a fixed order), so the bits are the same on every machine.

use super::settings::{KneeSettings, Rendering, STATES};
use crate::data::fastmri::Geometry;
use crate::random::{Seeds, Stream};

/// Findings, states and numbers of one slice.
pub(super) struct Drawn {
    /// Bit h: finding h.
    pub label: u8,
    /// Of each finding: the states of magnitude and phase.
    #[cfg_attr(not(test), allow(dead_code, reason = "what the tests read back"))]
    pub states: [[usize; 2]; 4],
    /// Whole image: magnitude, phase, row-major.
    pub magnitude: Vec<f64>,
    /// In radians.
    pub phase: Vec<f64>,
    /// RSS of the crop.
    pub rss: Vec<f32>,
}

/// What all slices share: tables of states, and the Fourier matrices.
pub(super) struct Painter<'a> {
    settings: &'a KneeSettings,
    /// Of each finding: weights of (a, b, y).
    weights: Vec<Vec<f64>>,
    rows: Fourier,
    columns: Fourier,
}

/// The centred orthonormal discrete Fourier transform of one length, as a matrix.
struct Fourier {
    length: usize,
    /// Cosine and sine of 2 pi k / length.
    turns: Vec<[f64; 2]>,
}

impl Fourier {
    fn new(length: usize) -> Self {
        let turn = |k: usize| {
            let angle = std::f64::consts::TAU * k as f64 / length as f64;
            [libm::cos(angle), libm::sin(angle)]
        };
        Fourier { length, turns: (0..length).map(turn).collect() }
    }

    /// `out[u] = sum over n of x[n] exp(-2 pi i (u - L/2)(n - L/2) / L) / sqrt(L)`.
    fn transform(&self, from: &[[f64; 2]], to: &mut [[f64; 2]]) {
        let (length, half) = (self.length as i64, self.length as i64 / 2);
        let scale = 1.0 / (self.length as f64).sqrt();
        for (u, out) in to.iter_mut().enumerate() {
            let mut sum = [0.0; 2];
            for (n, [re, im]) in from.iter().enumerate() {
                let turn = ((u as i64 - half) * (n as i64 - half)).rem_euclid(length);
                let [cos, sin] = self.turns[turn as usize];
                sum[0] += re * cos + im * sin;
                sum[1] += im * cos - re * sin;
            }
            *out = [sum[0] * scale, sum[1] * scale];
        }
    }
}

impl<'a> Painter<'a> {
    pub(super) fn new(settings: &'a KneeSettings) -> Self {
        let weights = |finding: &super::settings::FindingSettings| {
            finding.table().into_iter().flatten().flatten().collect()
        };
        Painter {
            settings,
            weights: settings.findings.iter().map(weights).collect(),
            rows: Fourier::new(settings.geometry.rows),
            columns: Fourier::new(settings.geometry.columns),
        }
    }

    /// A slice, from its node of the seed tree.
    pub(super) fn draw(&self, seeds: &Seeds) -> Drawn {
        let Geometry { rows, columns, side } = self.settings.geometry;
        let look = &self.settings.rendering;
        let mut stream = seeds.child("states").stream();
        let (mut label, mut states) = (0, [[0; 2]; 4]);
        for (head, weights) in self.weights.iter().enumerate() {
            let cell = stream.pick(weights);
            states[head] = [cell / (2 * STATES), cell / 2 % STATES];
            label |= ((cell % 2) as u8) << head;
        }
        let mut stream = seeds.child("look").stream();
        let mut magnitude = self.smooth(&mut stream, look.texture);
        magnitude.iter_mut().for_each(|value| *value += 1.0);
        let mut phase = self.smooth(&mut stream, look.coil);
        let offset = stream.uniform_in(-look.offset, look.offset);
        phase.iter_mut().for_each(|value| *value += offset);
        for (head, [a, b]) in states.into_iter().enumerate() {
            self.lesion(&mut stream, &mut magnitude, head, a, look.magnitude_lesion);
            self.lesion(&mut stream, &mut phase, head, b, look.phase_lesion);
        }
        let (top, left) = ((rows - side) / 2, (columns - side) / 2);
        let gain = look.scale * stream.uniform_in(look.gain[0], look.gain[1]);
        let mut rss = Vec::with_capacity(side * side);
        for row in 0..rows {
            for column in 0..columns {
                let place = row * columns + column;
                // A pixel around the crop belongs to the knee: less sharp volumes then lose nothing at the crop's edge.
                let inside =
                    (top - 1..=top + side).contains(&row) && (left - 1..=left + side).contains(&column);
                let cropped = (top..top + side).contains(&row) && (left..left + side).contains(&column);
                if cropped {
                    let noise = look.rss_noise * stream.uniform_in(-1.0, 1.0);
                    rss.push((gain * (magnitude[place] + noise)) as f32);
                }
                let noise = look.magnitude_noise * stream.uniform_in(-1.0, 1.0);
                let strength = if inside { 1.0 } else { look.background };
                magnitude[place] = gain * strength * (magnitude[place] + noise);
                phase[place] += look.phase_noise * stream.uniform_in(-1.0, 1.0);
            }
        }
        Drawn { label, states, magnitude, phase, rss }
    }

    /// A few slow waves.
    fn smooth(&self, stream: &mut Stream, amplitude: f64) -> Vec<f64> {
        let Geometry { rows, columns, side } = self.settings.geometry;
        let mut out = vec![0.0; rows * columns];
        for (down, across) in [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (2.0, 1.0)] {
            let strength = stream.uniform_in(-amplitude, amplitude);
            let wave = |n: usize, length: usize, waves: f64| {
                let place = (n as f64 + 0.5 - length as f64 / 2.0) / side as f64;
                libm::cos(std::f64::consts::PI * waves * (place + 0.5))
            };
            let vertical: Vec<f64> = (0..rows).map(|row| wave(row, rows, down)).collect();
            let horizontal: Vec<f64> = (0..columns).map(|column| wave(column, columns, across)).collect();
            for (line, vertical) in out.chunks_exact_mut(columns).zip(vertical) {
                line.iter_mut()
                    .zip(&horizontal)
                    .for_each(|(value, horizontal)| *value += strength * vertical * horizontal);
            }
        }
        out
    }

    /// A blob in the finding's quadrant of the crop: dark or bright, by its state. It takes as many numbers from the stream in
    /// every state.
    fn lesion(&self, stream: &mut Stream, image: &mut [f64], head: usize, state: usize, contrast: f64) {
        let Geometry { rows, columns, side } = self.settings.geometry;
        let Rendering { size, jitter, .. } = self.settings.rendering;
        let quadrant = side as f64 / 2.0;
        let middle = |half: usize, length: usize, moved: f64| {
            ((length - side) / 2) as f64 + quadrant * (half as f64 + 0.5) - 0.5 + moved * quadrant
        };
        let row = middle(head / 2, rows, stream.uniform_in(-jitter, jitter));
        let column = middle(head % 2, columns, stream.uniform_in(-jitter, jitter));
        let contrast = [0.0, -contrast, contrast][state];
        let bell = |n: usize, middle: f64| {
            let away = (n as f64 - middle) / (size * quadrant);
            libm::exp(-0.5 * away * away)
        };
        let horizontal: Vec<f64> = (0..columns).map(|n| bell(n, column)).collect();
        for (n, line) in image.chunks_exact_mut(columns).enumerate() {
            let vertical = contrast * bell(n, row);
            line.iter_mut().zip(&horizontal).for_each(|(value, horizontal)| *value += vertical * horizontal);
        }
    }

    /// k-space of a slice, the middle `width` columns of it: a narrower acquisition is a less sharp one. Wider than the
    /// geometry: with empty columns on both sides. Rows x width, real and imaginary parts.
    pub(super) fn kspace(&self, slice: &Drawn, width: usize) -> Vec<f32> {
        let Geometry { rows, columns, .. } = self.settings.geometry;
        let polar = |(&size, &angle): (&f64, &f64)| [size * libm::cos(angle), size * libm::sin(angle)];
        let image: Vec<[f64; 2]> = slice.magnitude.iter().zip(&slice.phase).map(polar).collect();
        let mut across = vec![[0.0; 2]; rows * columns];
        for (from, to) in image.chunks_exact(columns).zip(across.chunks_exact_mut(columns)) {
            self.columns.transform(from, to);
        }
        let mut out = vec![0.0f32; rows * width * 2];
        let (mut from, mut to) = (vec![[0.0; 2]; rows], vec![[0.0; 2]; rows]);
        for column in 0..width {
            // The column that stands in the middle is the same, whatever the width.
            let Some(source) =
                (column + columns / 2).checked_sub(width / 2).filter(|&source| source < columns)
            else {
                continue;
            };
            from.iter_mut().enumerate().for_each(|(row, value)| *value = across[row * columns + source]);
            self.rows.transform(&from, &mut to);
            for (row, [re, im]) in to.iter().enumerate() {
                out[(row * width + column) * 2] = *re as f32;
                out[(row * width + column) * 2 + 1] = *im as f32;
            }
        }
        out
    }
}
