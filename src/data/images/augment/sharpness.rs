//! Sharpness: the image against its blurred self.
//!
//! Invariant: pixels at the border stay. The blurred value is the nearest whole number to a weighted mean of thirteenths, which
//! is never half-way between two; the rest is single precision.

use super::variant::Variant;
use crate::data::images::Rgb;

/// The image moved away from its blurred self: `blurred + factor * (image - blurred)`.
pub(super) fn sharpened(image: &Rgb, factor: f64, variant: Variant) -> Rgb {
    let (width, height) = (image.width(), image.height());
    Rgb::from_fn(width, height, |x, y| {
        let own = image.pixel(x, y);
        if x == 0 || y == 0 || x + 1 == width || y + 1 == height {
            return own;
        }
        let mut sums = own.map(|value| 4 * u32::from(value));
        for (row, column) in (y - 1..y + 2).flat_map(|row| (x - 1..x + 2).map(move |column| (row, column))) {
            for (sum, value) in sums.iter_mut().zip(image.pixel(column, row)) {
                *sum += u32::from(value);
            }
        }
        [0, 1, 2].map(|channel| {
            let blurred = ((2 * sums[channel] + 13) / 26) as f32;
            let moved = blurred + factor as f32 * (f32::from(own[channel]) - blurred);
            match variant {
                // Beyond the range of a byte, the lowest eight bits remain.
                Variant::AsReleased => moved as i32 as u8,
                Variant::Fixed => moved.clamp(0.0, 255.0) as u8,
            }
        })
    })
}
