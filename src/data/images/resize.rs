//! Bicubic resampling as Pillow does it, to the bit.
//!
//! Invariant: the weights of an output pixel are sampled from the cubic kernel (a = -0.5), stretched by the scale where the image
//! shrinks, made to add up to 1 in double precision and rounded to 22 binary places; columns come first, then rows, and each
//! pass rounds to 8 bits. A direction whose size stays is not touched. Pillow before 13 is meant: 13 takes rows first where the
//! height shrinks much more than the width, and so rounds some pixels otherwise.

use super::Rgb;

/// Binary places of a weight: 8 bits of a pixel and 2 for sums beyond 1 leave these of 32.
const PLACES: u32 = 32 - 8 - 2;
/// How far the kernel reaches.
const REACH: f64 = 2.0;

/// Where an output pixel's weights begin in the input, and the weights.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// The image at `width` columns and `height` rows (at least one of each); its proportions are not kept.
pub fn bicubic(image: &Rgb, width: usize, height: usize) -> Rgb {
    let (width, height) = (width.max(1), height.max(1));
    let across = (image.width() != width).then(|| rows_resized(image, &taps(image.width(), width)));
    let image = across.as_ref().unwrap_or(image);
    if image.height() == height {
        return image.clone();
    }
    columns_resized(image, &taps(image.height(), height))
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let reach = REACH * stretch;
    let tap = |place: usize| {
        let centre = (place as f64 + 0.5) * scale;
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        let weight = |x: usize| cubic((x as f64 - centre + 0.5) * (1.0 / stretch));
        let mut weights: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        if sum != 0.0 {
            weights.iter_mut().for_each(|weight| *weight /= sum);
        }
        let fixed = |weight: f64| {
            let scaled = weight * f64::from(1u32 << PLACES);
            (if weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
        };
        Taps { first, weights: weights.into_iter().map(fixed).collect() }
    };
    (0..to).map(tap).collect()
}

/// Half of the last place that is kept.
const HALF: i32 = 1 << (PLACES - 1);

/// A weighted sum as 8 bits.
fn byte(sum: i32) -> u8 {
    (sum >> PLACES).clamp(0, 255) as u8
}

fn rows_resized(image: &Rgb, taps: &[Taps]) -> Rgb {
    let rows: Vec<&[u8]> = image.bytes().chunks_exact(image.width() * 3).collect();
    Rgb::from_fn(taps.len(), image.height(), |x, y| {
        let Taps { first, weights } = &taps[x];
        let mut sums = [HALF; 3];
        for (pixel, weight) in rows[y][first * 3..].chunks_exact(3).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += weight * i32::from(value);
            }
        }
        sums.map(byte)
    })
}

fn columns_resized(image: &Rgb, taps: &[Taps]) -> Rgb {
    let line = image.width() * 3;
    let mut sums = vec![HALF; line];
    let mut bytes = Vec::with_capacity(line * taps.len());
    for Taps { first, weights } in taps {
        sums.fill(HALF);
        for (row, weight) in image.bytes()[first * line..].chunks_exact(line).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += weight * i32::from(value);
            }
        }
        bytes.extend(sums.iter().copied().map(byte));
    }
    Rgb::of(image.width(), taps.len(), bytes)
}
