//! RandAugment: which operations a training image gets.
//!
//! Invariant: draws are independent of the image. Each operation costs three draws, whether it is applied or not: which one,
//! whether, and its sign.

use super::ops::{Op, applied};
use super::variant::Variant;
use crate::data::images::Rgb;
use crate::random::Stream;

/// A level's largest value.
const LEVELS: f64 = 10.0;

/// How many operations are drawn, with replacement, how strong they are, and how two of them behave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Operations for each image.
    pub operations: usize,
    /// Their strength, from 0 to 10.
    pub level: f64,
    /// The probability that a drawn operation is applied.
    pub probability: f64,
    /// The behaviour of auto-contrast and sharpness.
    pub variant: Variant,
}

impl Default for Policy {
    /// Two operations of strength 7, each applied half of the time, as released.
    fn default() -> Self {
        Policy { operations: 2, level: 7.0, probability: 0.5, variant: Variant::AsReleased }
    }
}

impl Policy {
    /// The operations for one image.
    pub fn draw(&self, stream: &mut Stream) -> Vec<Op> {
        let strength = self.level / LEVELS;
        (0..self.operations)
            .filter_map(|_| {
                let (which, wanted, sign) =
                    (stream.below(10), stream.chance(self.probability), stream.uniform());
                let signed = |value: f64| if sign > 0.5 { -value } else { value };
                let factor = strength * 1.8 + 0.1;
                let op = match which {
                    0 => Op::Identity,
                    1 => Op::AutoContrast,
                    2 => Op::Equalize,
                    3 => Op::Brightness(factor),
                    4 => Op::Sharpness(factor),
                    5 => Op::ShearX(signed(strength * 0.3)),
                    6 => Op::ShearY(signed(strength * 0.3)),
                    7 => Op::TranslateX(signed(strength * 10.0)),
                    8 => Op::TranslateY(signed(strength * 10.0)),
                    _ if sign < 0.5 => Op::Rotate(-strength * 30.0),
                    _ => Op::Rotate(strength * 30.0),
                };
                wanted.then_some(op)
            })
            .collect()
    }

    /// An image after the operations that are drawn for it.
    pub fn apply(&self, image: Rgb, stream: &mut Stream) -> Rgb {
        self.draw(stream).into_iter().fold(image, |image, op| applied(op, self.variant, image))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::Seeds;

    #[test]
    fn operations_come_equally_often_and_half_of_them_are_applied() {
        let mut stream = Seeds::root(3).stream();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..20_000 {
            for op in Policy::default().draw(&mut stream) {
                *counts.entry(format!("{op:.4?}")).or_default() += 1;
            }
        }
        let total: usize = counts.values().sum();
        assert!((19_500..20_500).contains(&total), "{total}");
        // Five without a sign, five with two.
        assert_eq!(counts.len(), 15, "{counts:?}");
        for (op, count) in counts {
            let expected = if op.contains('-') || op.starts_with(['T', 'R']) || op.starts_with("Shea") {
                1000
            } else {
                2000
            };
            assert!(count.abs_diff(expected) < 200, "{op}: {count}");
        }
        let mut none = Policy { probability: 0.0, ..Policy::default() };
        assert!(none.draw(&mut stream).is_empty());
        none.probability = 1.0;
        assert_eq!(none.draw(&mut stream).len(), 2);
    }

    #[test]
    fn an_image_depends_on_the_stream_alone() {
        let image = Rgb::from_fn(30, 20, |x, y| [x as u8 * 8, y as u8 * 12, (x * y) as u8]);
        let drawn = |seed| Policy::default().apply(image.clone(), &mut Seeds::root(seed).stream());
        let images: Vec<Rgb> = (0..20).map(drawn).collect();
        assert!((0..20).all(|seed| drawn(seed) == images[seed as usize]));
        assert!(images.iter().any(|image| *image != images[0]));
    }
}
