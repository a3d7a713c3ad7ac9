//! The SVG document around what plotters draws.
//!
//! Invariant: well-formed XML 1.0 whatever the labels hold; a text is its label and nothing else; numbers are short and whole, so
//! the bytes do not hang on the last bit of a coordinate.

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::style::WHITE;

use super::FigureError;

/// A part of the page. Plotters draws at whole coordinates, so there are [`STEPS`] of them to a pixel, and all lengths of
/// this module's neighbours are in these.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Steps of the canvas to a pixel.
pub(super) const STEPS: i32 = 10;

pub(super) type Drawn = Result<(), FigureError>;

/// Draws a page of this size.
pub(super) fn write(
    title: &str,
    (width, height): (i32, i32),
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<String, FigureError> {
    let mut drawn = String::new();
    let root = SVGBackend::with_string(&mut drawn, (width as u32, height as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    draw(&root)?;
    root.present()?;
    drop(root);
    // The root is ours: it says how large a step is, and what this is to a reader who cannot see it.
    let body = drawn.split_once('\n').map_or("", |(_, body)| body);
    let pixels = |steps| f64::from(steps) / f64::from(STEPS);
    let root = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n{}\n",
        pixels(width),
        pixels(height),
        maud::html! { title { (title) } }.into_string(),
    );
    Ok((root + &tidied(body)).replace(|character| !is_xml(character), "\u{fffd}"))
}

/// Without the lines that plotters breaks within a text, texts that are empty, and the opacity of what is opaque. A label
/// never matches: its quotes are escaped.
fn tidied(body: &str) -> String {
    let body = body.replace("\">\n", "\">").replace("\n</text>", "</text>").replace(" opacity=\"1\"", "");
    body.split_inclusive('\n').filter(|line| !line.ends_with("\"></text>\n")).collect()
}

/// Whether XML 1.0 can hold a character.
fn is_xml(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}
