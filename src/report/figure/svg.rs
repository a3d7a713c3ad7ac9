//! A scene as an SVG document.
//!
//! Invariant: well-formed XML 1.0 whatever the labels hold; numbers have at most two digits after the point, so the bytes
//! do not hang on the last bit of a coordinate.

use std::fmt::Write as _;

use super::font;
use super::scene::{Anchor, FAINT, Mark, Path, Scene, Step, Text, WHITE};

pub(super) fn write(scene: &Scene) -> String {
    let (width, height) = (number(scene.width), number(scene.height));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" font-family=\"{}\">\n<title>{}</title>\n<rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n",
        font::FAMILY,
        escaped(&scene.title),
        WHITE.hex()
    );
    for mark in &scene.marks {
        match mark {
            Mark::Path(path) => write_path(&mut out, path),
            Mark::Text(text) => write_text(&mut out, text),
        }
    }
    out.push_str("</svg>\n");
    out
}

fn write_path(out: &mut String, path: &Path) {
    out.push_str("<path d=\"");
    for (index, step) in path.steps.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        let (letter, numbers): (char, &[f64]) = match step {
            Step::Move(x, y) => ('M', &[*x, *y]),
            Step::Line(x, y) => ('L', &[*x, *y]),
            Step::Curve(points) => ('C', points),
            Step::Close => ('Z', &[]),
        };
        out.push(letter);
        out.push_str(&numbers.iter().map(|&value| number(value)).collect::<Vec<_>>().join(" "));
    }
    let fill = path.fill.map_or_else(|| "none".to_owned(), super::scene::Colour::hex);
    let _ = write!(out, "\" fill=\"{fill}\"");
    if path.faint {
        let _ = write!(out, " fill-opacity=\"{}\"", number(FAINT));
    }
    if let Some(stroke) = path.stroke {
        let _ = write!(out, " stroke=\"{}\" stroke-width=\"{}\"", stroke.colour.hex(), number(stroke.width));
        if stroke.dash > 0.0 {
            let _ = write!(out, " stroke-dasharray=\"{}\"", number(stroke.dash));
        }
    }
    out.push_str("/>\n");
}

fn write_text(out: &mut String, text: &Text) {
    let (x, y) = (number(text.x), number(text.y));
    let _ = write!(
        out,
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" fill=\"{}\"",
        number(text.size),
        text.colour.hex()
    );
    match text.anchor {
        Anchor::Start => {}
        Anchor::Middle => out.push_str(" text-anchor=\"middle\""),
        Anchor::End => out.push_str(" text-anchor=\"end\""),
    }
    if text.bold {
        out.push_str(" font-weight=\"bold\"");
    }
    if text.upward {
        let _ = write!(out, " transform=\"rotate(-90 {x} {y})\"");
    }
    let _ = writeln!(out, ">{}</text>", escaped(&text.content));
}

impl super::scene::Colour {
    fn hex(self) -> String {
        format!("#{:06x}", self.0)
    }
}

/// At most two digits after the point, none that are zeros.
fn number(value: f64) -> String {
    let rounded = libm::round(value * 100.0) / 100.0 + 0.0;
    format!("{rounded}")
}

/// Text as XML holds it; characters that XML cannot hold become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(' '),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}
