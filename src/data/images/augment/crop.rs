//! The random crop of training images: a share of the area, in some proportions.
//!
//! Invariant: the crop is inside of the image and has at least one pixel. Where ten draws do not fit, it is the middle of the image,
//! in the nearest allowed proportions.

use crate::data::images::Rgb;
use crate::random::Stream;

/// The share of the area that is kept.
const SHARE: [f64; 2] = [0.5, 1.0];
/// Width over height.
const PROPORTIONS: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];
const TRIES: usize = 10;

/// A rectangle of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crop {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Crop {
    /// A random one for an image of these sides.
    pub(super) fn draw(width: usize, height: usize, stream: &mut Stream) -> Self {
        let area = width as f64 * height as f64;
        for _ in 0..TRIES {
            let share = area * stream.uniform_in(SHARE[0], SHARE[1]);
            let [narrow, wide] = PROPORTIONS.map(libm::log);
            let proportions = libm::exp(stream.uniform_in(narrow, wide));
            let [columns, rows] = [share * proportions, share / proportions].map(|side| rounded(side.sqrt()));
            if (1..=width).contains(&columns) && (1..=height).contains(&rows) {
                let top = stream.below((height - rows + 1) as u64) as usize;
                let left = stream.below((width - columns + 1) as u64) as usize;
                return Crop { left, top, width: columns, height: rows };
            }
        }
        Crop::middle(width, height)
    }

    /// The middle of an image of these sides, in the nearest allowed proportions.
    fn middle(width: usize, height: usize) -> Self {
        let proportions = width as f64 / height as f64;
        let (columns, rows) = if proportions < PROPORTIONS[0] {
            (width, rounded(width as f64 / PROPORTIONS[0]))
        } else if proportions > PROPORTIONS[1] {
            (rounded(height as f64 * PROPORTIONS[1]), height)
        } else {
            (width, height)
        };
        let (columns, rows) = (columns.clamp(1, width), rows.clamp(1, height));
        Crop { left: (width - columns) / 2, top: (height - rows) / 2, width: columns, height: rows }
    }

    pub(super) fn of(self, image: &Rgb) -> Rgb {
        image.crop(self.left, self.top, self.width, self.height)
    }
}

fn rounded(side: f64) -> usize {
    side.round_ties_even() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seeds;

    #[test]
    fn a_crop_is_inside_and_keeps_share_and_proportions() {
        let mut stream = Seeds::root(1).stream();
        let mut shares = Vec::new();
        for round in 0..3000 {
            let (width, height) = (40 + round % 400, 40 + round * 7 % 300);
            let crop = Crop::draw(width, height, &mut stream);
            assert!(crop.left + crop.width <= width && crop.top + crop.height <= height, "{crop:?}");
            let proportions = crop.width as f64 / crop.height as f64;
            assert!((0.72..1.39).contains(&proportions), "{crop:?} of {width} x {height}");
            if (0.8..1.25).contains(&(width as f64 / height as f64)) {
                shares.push((crop.width * crop.height) as f64 / (width * height) as f64);
            }
        }
        assert!(shares.iter().all(|share| (0.48..=1.0).contains(share)));
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        assert!((0.68..0.78).contains(&mean), "{mean}");
    }

    #[test]
    fn where_no_draw_fits_the_middle_is_taken() {
        let crop = Crop::draw(1000, 10, &mut Seeds::root(2).stream());
        assert_eq!(crop, Crop { left: 493, top: 0, width: 13, height: 10 });
        assert_eq!(Crop::draw(1, 1, &mut Seeds::root(2).stream()), Crop::middle(1, 1));
        assert_eq!(Crop::middle(3, 400), Crop { left: 0, top: 198, width: 3, height: 4 });
    }
}
