//! The font that is compiled in: DejaVu Sans, for measuring text and for the PNG.
//!
//! Invariant: text is as wide here as it is drawn in the PNG. An SVG asks for the same font; a viewer that lacks it takes
//! another, which is hardly ever wider.

use std::sync::LazyLock;

use ttf_parser::{Face, GlyphId};

static REGULAR: LazyLock<Option<Face<'static>>> =
    LazyLock::new(|| Face::parse(dejavu::sans::regular(), 0).ok());
static BOLD: LazyLock<Option<Face<'static>>> = LazyLock::new(|| Face::parse(dejavu::sans::bold(), 0).ok());

/// What an SVG asks for.
pub(super) const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

pub(super) fn face(bold: bool) -> Option<&'static Face<'static>> {
    if bold { BOLD.as_ref() } else { REGULAR.as_ref() }
}

/// The glyphs of a text and where each begins, in units of the font.
pub(super) fn glyphs(face: &Face<'_>, text: &str) -> (Vec<(GlyphId, i32)>, i32) {
    let (mut at, mut placed) = (0, Vec::new());
    for character in text.chars() {
        let glyph = face.glyph_index(character).unwrap_or(GlyphId(0));
        placed.push((glyph, at));
        at += i32::from(face.glyph_hor_advance(glyph).unwrap_or(0));
    }
    (placed, at)
}

/// Width in pixels.
pub(super) fn width(text: &str, size: f64, bold: bool) -> f64 {
    match face(bold) {
        Some(face) => f64::from(glyphs(face, text).1) * size / f64::from(face.units_per_em()),
        None => 0.7 * size * text.chars().count() as f64,
    }
}

/// Lines of at most this width; a word that is wider is cut.
pub(super) fn wrap(text: &str, size: f64, bold: bool, most: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = shorten(word, size, bold, most);
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), size, bold) <= most => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// The text, or as much of it as fits before an ellipsis.
pub(super) fn shorten(text: &str, size: f64, bold: bool, most: f64) -> String {
    if width(text, size, bold) <= most {
        return text.to_owned();
    }
    let room = most - width("…", size, bold);
    let mut kept = String::new();
    let mut at = 0.0;
    for character in text.chars() {
        at += width(character.encode_utf8(&mut [0; 4]), size, bold);
        if at > room {
            break;
        }
        kept.push(character);
    }
    kept.trim_end().to_owned() + "…"
}
