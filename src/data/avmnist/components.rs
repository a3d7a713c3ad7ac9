//! Principal components of MNIST's images: how the visual modality loses about 75 % of its energy.
//!
//! Invariant: the covariance is exact (sums of integers, divided once), so neither threads nor their number change
//! a bit; the eigensolver is fixed-order. The mean is subtracted and not added back, as in the generator.

use rayon::prelude::*;

use super::eigen::{self, Leading};

/// Images that are summed in one piece: 255² times as many fit 32 bits.
const PIECE: usize = 1 << 15;

/// Images as few numbers: `scores x bases`, in the units of the pixels (0 to 255), centred.
pub(super) struct Projected {
    /// `[rows, components]`.
    pub scores: Vec<f32>,
    /// `[components, pixels]`, orthonormal rows.
    pub bases: Vec<f32>,
    /// Share of the variance that each component explains.
    pub explained: Vec<f64>,
}

/// Fits the leading components on `images` (`[rows, pixels]`) and projects the same images on them.
///
/// `None` for fewer than two rows, more components than pixels, or images that are all alike.
pub(super) fn project(images: &[u8], pixels: usize, components: usize) -> Option<Projected> {
    let rows = images.len() / pixels;
    if rows < 2 || components == 0 || components > pixels {
        return None;
    }
    let Moments { sums, products } = moments(images, pixels);
    let mut covariance = vec![0.0; pixels * pixels];
    for i in 0..pixels {
        for j in i..pixels {
            // Exact; rows * products stays below 2^96.
            let exact = rows as i128 * i128::from(products[i * pixels + j])
                - i128::from(sums[i]) * i128::from(sums[j]);
            let value = exact as f64 / (rows as f64 * (rows - 1) as f64);
            covariance[i * pixels + j] = value;
            covariance[j * pixels + i] = value;
        }
    }
    let trace: f64 = covariance.iter().step_by(pixels + 1).sum();
    if trace == 0.0 {
        return None;
    }
    let Leading { values, vectors } = eigen::leading(covariance, pixels, components)?;

    let mean: Vec<f64> = sums.iter().map(|&sum| sum as f64 / rows as f64).collect();
    // Stored bases are what the scores are taken on, so that they fit each other exactly.
    let bases: Vec<f32> = vectors.into_iter().map(|x| x as f32).collect();
    let dot = |basis: &[f32], image: &mut dyn Iterator<Item = f64>| -> f64 {
        basis.iter().zip(image).map(|(&b, x)| f64::from(b) * x).sum()
    };
    let offsets: Vec<f64> =
        bases.chunks_exact(pixels).map(|basis| dot(basis, &mut mean.iter().copied())).collect();
    let scores = images
        .par_chunks_exact(pixels)
        .flat_map_iter(|image| {
            bases
                .chunks_exact(pixels)
                .zip(&offsets)
                .map(|(basis, offset)| (dot(basis, &mut image.iter().map(|&x| f64::from(x))) - offset) as f32)
                .collect::<Vec<_>>()
        })
        .collect();
    Some(Projected { scores, bases, explained: values.into_iter().map(|value| value / trace).collect() })
}

/// Sums over all images.
struct Moments {
    /// Of each pixel.
    sums: Vec<u64>,
    /// Of the products of two pixels; filled for i <= j.
    products: Vec<u64>,
}

/// Sums of pixels and of their products: integers, so the order in which threads add them does not matter.
fn moments(images: &[u8], pixels: usize) -> Moments {
    let empty = || Moments { sums: vec![0; pixels], products: vec![0; pixels * pixels] };
    images.par_chunks(PIECE * pixels).map(|images| piece(images, pixels)).fold(empty, add).reduce(empty, add)
}

fn add(mut total: Moments, part: Moments) -> Moments {
    total.sums.iter_mut().zip(part.sums).for_each(|(total, part)| *total += part);
    total.products.iter_mut().zip(part.products).for_each(|(total, part)| *total += part);
    total
}

/// Few pixels of a digit are not black, so only their products are summed.
fn piece(images: &[u8], pixels: usize) -> Moments {
    let mut sums = vec![0; pixels];
    let mut products = vec![0u32; pixels * pixels];
    let mut inked: Vec<(usize, u32)> = Vec::with_capacity(pixels);
    for image in images.chunks_exact(pixels) {
        inked.clear();
        inked.extend(image.iter().enumerate().filter(|(_, x)| **x > 0).map(|(i, &x)| (i, u32::from(x))));
        for (first, &(i, x)) in inked.iter().enumerate() {
            sums[i] += u64::from(x);
            let row = &mut products[i * pixels..(i + 1) * pixels];
            for &(j, y) in &inked[first..] {
                row[j] += x * y;
            }
        }
    }
    Moments { sums, products: products.into_iter().map(u64::from).collect() }
}
