//! Affine maps of an image, as OpenCV's `warpAffine` does them with bilinear interpolation.
//!
//! Invariant: a place in the source is a whole number of 1/32 pixels, found by sums of whole numbers of 1/1024; weights are whole
//! numbers of 1/1024, so an interpolated value is exact before it is rounded. Outside of the image everything is grey.

use crate::data::images::Rgb;

/// The colour of what is outside.
const FILL: [u8; 3] = [128; 3];
/// Places in the source are added up in these parts of a pixel,
const PARTS: f64 = 1024.0;
/// of which 32 make one step of interpolation.
const STEP_BITS: i32 = 5;
/// Steps in a pixel, as a power of two.
const STEPS_BITS: i32 = 5;

/// Moves the pixel at (x, y) to (m0 x + m1 y + m2, m3 x + m4 y + m5).
pub(super) fn affine(image: &Rgb, matrix: [f64; 6]) -> Rgb {
    let [a, b, c, d, e, f] = inverse(matrix);
    let (width, height) = (image.width() as i64, image.height() as i64);
    let part = |value: f64| round_even(value * PARTS);
    let half = 1 << (STEP_BITS - 1);
    let at = |x: i64, y: i64| {
        let inside = (0..width).contains(&x) && (0..height).contains(&y);
        if inside { image.pixel(x as usize, y as usize) } else { FILL }
    };
    Rgb::from_fn(image.width(), image.height(), |x, y| {
        let (x, y) = (x as f64, y as f64);
        let source_x = (part(b * y + c) + half + part(a * x)) >> STEP_BITS;
        let source_y = (part(e * y + f) + half + part(d * x)) >> STEP_BITS;
        let (left, top) = (source_x >> STEPS_BITS, source_y >> STEPS_BITS);
        let (right_share, below_share) = (source_x & 31, source_y & 31);
        let (left_share, above_share) = (32 - right_share, 32 - below_share);
        let corners = [
            (at(left, top), left_share * above_share),
            (at(left + 1, top), right_share * above_share),
            (at(left, top + 1), left_share * below_share),
            (at(left + 1, top + 1), right_share * below_share),
        ];
        [0, 1, 2].map(|channel| {
            let sum: i64 = corners.iter().map(|(pixel, share)| i64::from(pixel[channel]) * share).sum();
            ((sum + 512) >> 10) as u8
        })
    })
}

/// Turns the image counter-clockwise about its centre.
pub(super) fn rotation(image: &Rgb, degrees: f64) -> [f64; 6] {
    let angle = degrees * std::f64::consts::PI / 180.0;
    let (cosine, sine) = (libm::cos(angle), libm::sin(angle));
    let (x, y) = (image.width() as f64 / 2.0, image.height() as f64 / 2.0);
    [cosine, sine, (1.0 - cosine) * x - sine * y, -sine, cosine, sine * x + (1.0 - cosine) * y]
}

fn inverse([a, b, c, d, e, f]: [f64; 6]) -> [f64; 6] {
    let determinant = a * e - b * d;
    let scale = if determinant == 0.0 { 0.0 } else { 1.0 / determinant };
    let (a, b, d, e) = (e * scale, -b * scale, -d * scale, a * scale);
    [a, b, -a * c - b * f, d, e, -d * c - e * f]
}

/// The nearest whole number, and of two the even one.
fn round_even(value: f64) -> i64 {
    value.round_ties_even() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_pixels_move_and_what_comes_in_is_grey() {
        let image = Rgb::from_fn(5, 4, |x, y| [x as u8, y as u8, 200]);
        let moved = affine(&image, [1.0, 0.0, -2.0, 0.0, 1.0, 1.0]);
        assert_eq!(moved.pixel(0, 1), [2, 0, 200]);
        assert_eq!(moved.pixel(2, 3), [4, 2, 200]);
        assert_eq!(moved.pixel(3, 1), FILL);
        assert_eq!(moved.pixel(0, 0), FILL);
        assert_eq!(affine(&image, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]), image);
        // A matrix without an inverse takes every pixel from one place.
        let flat = affine(&image, [0.0; 6]);
        assert!(flat.bytes().chunks(3).all(|pixel| pixel == [0, 0, 200]));
    }
}
