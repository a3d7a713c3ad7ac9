//! Simple pictures: plain shapes on a grey ground, as files.
//!
//! Invariant: whole numbers alone decide about every pixel, so that the bytes are the same on every machine.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::data::images::Rgb;

/// JPEG quality of fixtures: high, as photographs of data sets have it.
const QUALITY: u8 = 90;

/// The outline of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) enum Outline {
    /// A filled circle.
    Disc,
    /// A filled square.
    Square,
    /// A filled triangle, its tip up.
    Triangle,
    /// A circle with a hole.
    Ring,
}

/// What an object looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) struct Look {
    /// Its outline.
    pub(in crate::data) outline: Outline,
    /// Its red, green and blue.
    pub(in crate::data) colour: [u8; 3],
}

/// A look at a place.
#[derive(Clone, Copy, Debug)]
pub(in crate::data) struct Placed {
    /// What it looks like.
    pub(in crate::data) look: Look,
    /// Column and row of its middle.
    pub(in crate::data) middle: [i64; 2],
    /// Half of its width.
    pub(in crate::data) radius: i64,
}

impl Placed {
    fn covers(&self, x: i64, y: i64) -> bool {
        let (dx, dy, radius) = (x - self.middle[0], y - self.middle[1], self.radius);
        let distance = dx * dx + dy * dy;
        match self.look.outline {
            Outline::Disc => distance <= radius * radius,
            Outline::Square => dx.abs() <= radius && dy.abs() <= radius,
            Outline::Triangle => dy.abs() <= radius && 2 * dx.abs() <= dy + radius,
            Outline::Ring => distance <= radius * radius && 4 * distance >= radius * radius,
        }
    }
}

/// A picture of these sides: objects on a ground of one grey, later ones in front.
pub(in crate::data) fn picture([width, height]: [usize; 2], grey: u8, objects: &[Placed]) -> Rgb {
    Rgb::from_fn(width, height, |x, y| {
        let here = objects.iter().rev().find(|object| object.covers(x as i64, y as i64));
        here.map_or([grey; 3], |object| object.look.colour)
    })
}

/// The bytes of a baseline JPEG file.
///
/// # Errors
/// What the encoder says of an image that no such file can hold.
pub(in crate::data) fn jpeg(image: &Rgb) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let sides = [image.width(), image.height()].map(u16::try_from);
    let [Ok(width), Ok(height)] = sides else { return Err("sides beyond 65535 pixels".to_owned()) };
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    // As cameras write them: colours at half of the resolution.
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode(image.bytes(), width, height, ColorType::Rgb).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// The bytes of a PNG file.
///
/// # Errors
/// What the encoder says of an image that no such file can hold.
pub(in crate::data) fn png(image: &Rgb) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let sides = [image.width(), image.height()].map(u32::try_from);
    let [Ok(width), Ok(height)] = sides else { return Err("sides beyond 32 bits".to_owned()) };
    let mut encoder = ::png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(::png::ColorType::Rgb);
    encoder.set_depth(::png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(image.bytes())?;
        writer.finish()
    });
    written.map_err(|error| error.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::images::{Limits, decode};

    #[test]
    fn a_picture_can_be_read_back() {
        let shapes = [Outline::Disc, Outline::Square, Outline::Triangle, Outline::Ring].map(|outline| {
            let look = Look { outline, colour: [220, 30, 40] };
            let object = Placed { look, middle: [20, 16], radius: 10 };
            let image = picture([48, 32], 128, &[object]);
            let exact = decode("a.png", &png(&image).unwrap(), &Limits::default()).unwrap();
            assert_eq!(exact, image);
            let close = decode("a.jpg", &jpeg(&image).unwrap(), &Limits::default()).unwrap();
            let far = close.bytes().iter().zip(image.bytes()).map(|(a, b)| u64::from(a.abs_diff(*b)));
            assert!(far.sum::<u64>() < 10 * image.bytes().len() as u64, "{outline:?}");
            image.bytes().chunks(3).filter(|pixel| **pixel == look.colour).count()
        });
        assert_eq!(shapes, [317, 441, 221, 248], "pixels of each");
    }
}
