//! The operations of RandAugment.
//!
//! Invariant: an operation keeps the image's sides, and draws nothing: its strength is part of it.

use super::variant::Variant;
use super::{colour, sharpness, warp};
use crate::data::images::Rgb;

/// An operation with its strength.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// None.
    Identity,
    /// Each channel stretched to the whole range.
    AutoContrast,
    /// Each channel's histogram made even.
    Equalize,
    /// Every value times a factor.
    Brightness(f64),
    /// What lies between the image and its blurred self, times a factor.
    Sharpness(f64),
    /// Columns move with their row: by this much for each.
    ShearX(f64),
    /// Rows move with their column: by this much for each.
    ShearY(f64),
    /// Moved to the left by so many pixels.
    TranslateX(f64),
    /// Moved up by so many pixels.
    TranslateY(f64),
    /// Turned counter-clockwise by so many degrees.
    Rotate(f64),
}

/// An image after an operation.
pub fn applied(op: Op, variant: Variant, image: Rgb) -> Rgb {
    let warped = |way: [f64; 6]| warp::affine(&image, way);
    // Matrices of shears and translations are written in single precision there.
    let single = |value: f64| f64::from(value as f32);
    match op {
        Op::Identity => image,
        Op::AutoContrast => {
            let tables = colour::auto_contrast(&image, variant);
            image.looked_up(&tables)
        }
        Op::Equalize => {
            let tables = colour::equalize(&image);
            image.looked_up(&tables)
        }
        Op::Brightness(factor) => image.looked_up(&[colour::brightness(factor); 3]),
        Op::Sharpness(factor) => sharpness::sharpened(&image, factor, variant),
        Op::ShearX(shift) => warped([1.0, single(shift), 0.0, 0.0, 1.0, 0.0]),
        Op::ShearY(shift) => warped([1.0, 0.0, 0.0, single(shift), 1.0, 0.0]),
        Op::TranslateX(shift) => warped([1.0, 0.0, -single(shift), 0.0, 1.0, 0.0]),
        Op::TranslateY(shift) => warped([1.0, 0.0, 0.0, 0.0, 1.0, -single(shift)]),
        Op::Rotate(degrees) => warped(warp::rotation(&image, degrees)),
    }
}
