//! JPEG files, decoded without SIMD so that every machine gives the same bytes.
//!
//! Invariant: a file that ends before its end marker is an error, as it is for Pillow; damage in between is not one, and gives
//! some image, as it does there.

use std::panic::{AssertUnwindSafe, catch_unwind};

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::broken::broken;
use super::{Limits, Rgb};
use crate::data::DataError;

/// Every 8 x 8 block takes a bit at least, and the component with most blocks has at least a quarter of the image's.
const PIXELS_PER_BYTE: u64 = 8 * 64 * 4;

pub(super) fn decode(file: &str, bytes: &[u8], limits: &Limits) -> Result<Rgb, DataError> {
    if !is_whole(bytes) {
        return Err(broken(
            file,
            "JPEG",
            format!("no end marker within its {} bytes: it is truncated", bytes.len()),
        ));
    }
    // A decoder's own fault must cost one image, not the run.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode_whole(file, bytes, limits)));
    decoded.unwrap_or_else(|_| Err(broken(file, "JPEG", "something that the decoder stumbles over")))
}

fn decode_whole(file: &str, bytes: &[u8], limits: &Limits) -> Result<Rgb, DataError> {
    let wrong = |error: DecodeErrors| broken(file, "JPEG", format!("{error:?}"));
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::RGB)
        // Ours say it better, and come as early.
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(wrong)?;
    let info = decoder.info().ok_or_else(|| broken(file, "JPEG", "no sides"))?;
    let sides = [usize::from(info.width), usize::from(info.height)];
    limits.check_sides(file, sides, bytes.len(), PIXELS_PER_BYTE)?;
    let pixels = decoder.decode().map_err(wrong)?;
    let found = pixels.len();
    Rgb::new(sides[0], sides[1], pixels)
        .ok_or_else(|| broken(file, "JPEG", format!("{found} values for {} x {} pixels", sides[0], sides[1])))
}

/// Whether the file goes on to its end marker: segments by their lengths, and between them compressed data, in which only
/// stuffed bytes and restart markers stand.
fn is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff)) {
        at += found + 1;
        match bytes.get(at) {
            Some(0xd9) => return true,
            // Stuffed, fill bytes, or markers without a segment.
            Some(0x00 | 0x01 | 0xd0..=0xd8) => at += 1,
            Some(0xff) => {}
            Some(_) => {
                let length =
                    bytes.get(at + 1..at + 3).map_or(2, |two| usize::from(two[0]) << 8 | usize::from(two[1]));
                at += 1 + length.max(2);
            }
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_marker_counts_only_where_one_can_stand() {
        let segment: &[u8] = &[0xff, 0xe1, 0, 6, 0xff, 0xd9, 0xff, 0xd9];
        let whole =
            [&[0xff, 0xd8], segment, &[0xff, 0xda, 0, 2, 1, 0xff, 0, 0xff, 0xd3, 7, 0xff, 0xff, 0xd9]]
                .concat();
        assert!(is_whole(&whole));
        for cut in 0..whole.len() {
            assert!(!is_whole(&whole[..cut]), "{cut}");
        }
    }
}
