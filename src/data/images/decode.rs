//! From a file's bytes to an image: the format is told by content, never by name.
//!
//! Invariant: what cannot be decoded whole is an error that names the file; colours are those of Pillow's `convert("RGB")`:
//! transparency is dropped, 16 bits keep their upper 8 where there are colours, and notes on orientation are ignored.

use super::{Limits, Rgb, jpeg, png};
use crate::data::DataError;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = b"\xff\xd8\xff";
/// How other formats begin, for messages: an offset, bytes, a name.
const OTHERS: [(usize, &[u8], &str); 8] = [
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (4, b"ftyp", "AVIF or HEIC"),
    (0, b"<", "text, such as a web page"),
    (0, b"\0\0\x01\0", "ICO"),
];

/// Decodes a JPEG or PNG file; `file` is for messages.
///
/// # Errors
/// Another format, a broken or truncated file, one beyond the limits.
pub fn decode(file: &str, bytes: &[u8], limits: &Limits) -> Result<Rgb, DataError> {
    limits.check_bytes(file, bytes.len() as u64)?;
    if bytes.starts_with(PNG) {
        return png::decode(file, bytes, limits);
    }
    if bytes.starts_with(JPEG) {
        return jpeg::decode(file, bytes, limits);
    }
    let known = OTHERS.iter().find(|(at, magic, _)| bytes.get(*at..).is_some_and(|b| b.starts_with(magic)));
    let start = &bytes[..bytes.len().min(8)];
    let found = match known {
        Some((_, _, name)) => format!("{name}; convert it to PNG"),
        None if start.is_empty() => "nothing (it is empty)".to_owned(),
        None => format!("`{}`", start.escape_ascii()),
    };
    Err(DataError::BadMagic { file: file.to_owned(), expected: "a JPEG or PNG image".into(), found })
}
