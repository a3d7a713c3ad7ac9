//! PNG files as Pillow's `convert("RGB")` gives them.
//!
//! Invariant: checksums hold, and the sides agree with what the compressed bytes can possibly hold before memory is taken.

use std::io::Cursor;

use ::png::{BitDepth, ColorType, Decoder, Transformations};

use super::broken::broken;
use super::{Limits, Rgb};
use crate::data::DataError;

/// No deflate stream expands a byte to more than this many pixels: 1032 bytes of 8 pixels each.
const PIXELS_PER_BYTE: u64 = 1032 * 8;
/// Bytes of a pixel, at most: four channels of 16 bits.
const PIXEL_BYTES: u64 = 8;

pub(super) fn decode(file: &str, bytes: &[u8], limits: &Limits) -> Result<Rgb, DataError> {
    let wrong = |error: ::png::DecodingError| broken(file, "PNG", error);
    let memory = usize::try_from(limits.pixels.saturating_mul(PIXEL_BYTES)).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), ::png::Limits { bytes: memory });
    decoder.set_transformations(Transformations::IDENTITY);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(wrong)?;
    let sides = [header.width as usize, header.height as usize];
    limits.check_sides(file, sides, bytes.len(), PIXELS_PER_BYTE)?;
    let mut reader = decoder.read_info().map_err(wrong)?;
    let size = reader.output_buffer_size().ok_or_else(|| broken(file, "PNG", "sides that overflow"))?;
    if size as u64 > (bytes.len() as u64).saturating_mul(1032) {
        return Err(broken(
            file,
            "PNG",
            format!("{} bytes for {} x {} pixels", bytes.len(), sides[0], sides[1]),
        ));
    }
    let mut raw = vec![0; size];
    let frame = reader.next_frame(&mut raw).map_err(wrong)?;
    // What stands behind the pixels is read, too, so that a file that was cut there is not taken for a whole one.
    reader.finish().map_err(wrong)?;
    let (colour, depth) = (frame.color_type, frame.bit_depth);
    let palette = match &reader.info().palette {
        Some(palette) => palette.to_vec(),
        None if colour == ColorType::Indexed => {
            return Err(broken(file, "PNG", "colour indices without a palette"));
        }
        None => Vec::new(),
    };
    if [frame.width as usize, frame.height as usize] != sides {
        return Err(broken(file, "PNG", "a frame of other sides than the header's"));
    }
    let samples = Samples { raw: &raw, line: frame.line_size, channels: colour.samples(), depth };
    Ok(Rgb::from_fn(sides[0], sides[1], |x, y| {
        let upper = |channel| samples.upper(x, y, channel);
        match colour {
            ColorType::Grayscale => [samples.grey(x, y); 3],
            ColorType::GrayscaleAlpha => [upper(0); 3],
            ColorType::Rgb | ColorType::Rgba => [upper(0), upper(1), upper(2)],
            // Indices beyond the palette are black.
            ColorType::Indexed => {
                let at = usize::from(samples.small(x, y)) * 3;
                palette.get(at..at + 3).map_or([0; 3], |colour| [colour[0], colour[1], colour[2]])
            }
        }
    }))
}

/// The samples of a frame, as they stand in the file.
struct Samples<'a> {
    raw: &'a [u8],
    /// Bytes of a row.
    line: usize,
    channels: usize,
    depth: BitDepth,
}

impl Samples<'_> {
    /// A sample's 8 upper bits, or all of its 8.
    fn upper(&self, x: usize, y: usize, channel: usize) -> u8 {
        let bytes = if self.depth == BitDepth::Sixteen { 2 } else { 1 };
        self.byte(y, (x * self.channels + channel) * bytes)
    }

    /// The only sample of a pixel, of at most 8 bits.
    fn small(&self, x: usize, y: usize) -> u8 {
        let bits = self.depth as usize;
        if bits >= 8 {
            return self.byte(y, x);
        }
        let (at, shift) = (x * bits / 8, 8 - bits - x * bits % 8);
        (self.byte(y, at) >> shift) & ((1u8 << bits) - 1)
    }

    /// Grey, from 0 to 255. What has 16 bits is not scaled but cut off at 255, as Pillow does.
    fn grey(&self, x: usize, y: usize) -> u8 {
        match self.depth {
            BitDepth::One => self.small(x, y) * 255,
            BitDepth::Two => self.small(x, y) * 85,
            BitDepth::Four => self.small(x, y) * 17,
            BitDepth::Eight => self.small(x, y),
            BitDepth::Sixteen if self.byte(y, 2 * x) > 0 => 255,
            BitDepth::Sixteen => self.byte(y, 2 * x + 1),
        }
    }

    fn byte(&self, y: usize, at: usize) -> u8 {
        self.raw.get(y * self.line + at).copied().unwrap_or(0)
    }
}
