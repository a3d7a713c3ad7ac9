//! Operations that replace each value by an entry of a table.
//!
//! Invariant: a table depends on its channel's histogram and the strength alone; what is no whole number is cut, not rounded.

use super::variant::Variant;
use crate::data::images::Rgb;

type Table = [u8; 256];
type Histogram = [u64; 256];

fn histograms(image: &Rgb) -> [Histogram; 3] {
    let mut found = [[0; 256]; 3];
    for pixel in image.bytes().chunks_exact(3) {
        for (histogram, &value) in found.iter_mut().zip(pixel) {
            histogram[usize::from(value)] += 1;
        }
    }
    found
}

fn table(entry: impl Fn(usize) -> u8) -> Table {
    std::array::from_fn(entry)
}

fn cut(value: f64) -> u8 {
    value.clamp(0.0, 255.0) as u8
}

/// Every value times a factor, in single precision.
pub(super) fn brightness(factor: f64) -> Table {
    table(|value| (value as f32 * factor as f32).clamp(0.0, 255.0) as u8)
}

/// Each channel from its smallest to its largest value, stretched from 0 to 255; a channel of one value stays.
///
/// As released, the smallest value is negated as a byte: 256 less of it. So whatever a channel without black holds ends at 255.
pub(super) fn auto_contrast(image: &Rgb, variant: Variant) -> [Table; 3] {
    histograms(image).map(|histogram| {
        let low = histogram.iter().position(|&count| count > 0).unwrap_or(0);
        let high = histogram.iter().rposition(|&count| count > 0).unwrap_or(0);
        if low >= high {
            return table(|value| value as u8);
        }
        let scale = 255.0 / (high - low) as f64;
        let negated = match variant {
            Variant::AsReleased => f64::from((low as u8).wrapping_neg()),
            Variant::Fixed => -(low as f64),
        };
        table(|value| cut(value as f64 * scale + negated * scale))
    })
}

/// Each channel's values spread so that all become about as frequent; a channel too small or too even for that stays.
pub(super) fn equalize(image: &Rgb) -> [Table; 3] {
    histograms(image).map(|histogram| {
        let last = histogram.iter().rposition(|&count| count > 0).unwrap_or(0);
        let step = histogram[..last].iter().sum::<u64>() / 255;
        if step == 0 {
            return table(|value| value as u8);
        }
        let mut before = step / 2;
        let mut entries = [0; 256];
        for (entry, count) in entries.iter_mut().zip(histogram) {
            *entry = (before / step).min(255) as u8;
            before += count;
        }
        entries
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_stretched_or_as_released_whitened() {
        let image = Rgb::from_fn(4, 1, |x, _| [10 + x as u8 * 50, x as u8 * 60, 9]);
        let column = |variant, channel: usize| {
            let tables = auto_contrast(&image, variant);
            (0..4).map(|x| tables[channel][usize::from(image.pixel(x, 0)[channel])]).collect::<Vec<_>>()
        };
        assert_eq!(column(Variant::Fixed, 0), [0, 85, 170, 255]);
        assert_eq!(column(Variant::AsReleased, 0), [255; 4], "no black in it");
        for variant in [Variant::Fixed, Variant::AsReleased] {
            assert_eq!(column(variant, 1), [0, 85, 170, 255]);
            assert_eq!(column(variant, 2), [9; 4], "one value alone");
        }
    }
}
