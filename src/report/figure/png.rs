//! A scene as a PNG.
//!
//! Invariant: it shows what the SVG shows, in the font that is compiled in.

use tiny_skia::{
    Color, FillRule, LineJoin, Paint, PathBuilder, Pixmap, Stroke as Pen, StrokeDash, Transform,
};
use ttf_parser::OutlineBuilder;

use super::FigureError;
use super::font;
use super::scene::{Anchor, Colour, FAINT, Mark, Path, Scene, Step, Text};

/// Longest side in pixels.
const MOST: u32 = 16_384;

pub(super) fn write(scene: &Scene, scale: f64) -> Result<Vec<u8>, FigureError> {
    let refused = || FigureError::Size { width: scene.width, height: scene.height, scale, most: MOST };
    let side = |length: f64| {
        let pixels = libm::ceil(length * scale - 1e-9);
        (pixels >= 1.0 && pixels <= f64::from(MOST)).then_some(pixels as u32)
    };
    let (Some(width), Some(height)) = (side(scene.width), side(scene.height)) else { return Err(refused()) };
    let mut canvas = Pixmap::new(width, height).ok_or_else(refused)?;
    canvas.fill(Color::WHITE);
    let place = Transform::from_scale(scale as f32, scale as f32);
    for mark in &scene.marks {
        match mark {
            Mark::Path(path) => draw_path(&mut canvas, path, place),
            Mark::Text(text) => draw_text(&mut canvas, text, place)?,
        }
    }
    canvas.encode_png().map_err(|error| FigureError::Encoding(error.to_string()))
}

fn paint(colour: Colour, opacity: f64) -> Paint<'static> {
    let [_, red, green, blue] = colour.0.to_be_bytes();
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(red, green, blue, libm::round(255.0 * opacity) as u8);
    paint
}

fn draw_path(canvas: &mut Pixmap, path: &Path, place: Transform) {
    let mut builder = PathBuilder::new();
    for step in &path.steps {
        match *step {
            Step::Move(x, y) => builder.move_to(x as f32, y as f32),
            Step::Line(x, y) => builder.line_to(x as f32, y as f32),
            Step::Curve(p) => {
                let [a, b, c, d, e, f] = p.map(|value| value as f32);
                builder.cubic_to(a, b, c, d, e, f);
            }
            Step::Close => builder.close(),
        }
    }
    // Nothing is drawn of a path without extent, as in SVG.
    let Some(outline) = builder.finish() else { return };
    if let Some(colour) = path.fill {
        let opacity = if path.faint { FAINT } else { 1.0 };
        canvas.fill_path(&outline, &paint(colour, opacity), FillRule::Winding, place, None);
    }
    if let Some(stroke) = path.stroke {
        let dash = if stroke.dash > 0.0 { StrokeDash::new(vec![stroke.dash as f32; 2], 0.0) } else { None };
        let pen = Pen { width: stroke.width as f32, line_join: LineJoin::Miter, dash, ..Pen::default() };
        canvas.stroke_path(&outline, &paint(stroke.colour, 1.0), &pen, place, None);
    }
}

fn draw_text(canvas: &mut Pixmap, text: &Text, place: Transform) -> Result<(), FigureError> {
    let face = font::face(text.bold).ok_or(FigureError::Font)?;
    let (glyphs, width) = font::glyphs(face, &text.content);
    let start = match text.anchor {
        Anchor::Start => 0,
        Anchor::Middle => -width / 2,
        Anchor::End => -width,
    };
    let mut outline = Outline { builder: PathBuilder::new(), shift: 0.0 };
    for (glyph, at) in glyphs {
        outline.shift = (start + at) as f32;
        face.outline_glyph(glyph, &mut outline);
    }
    // A text of spaces alone has no outline.
    let Some(outline) = outline.builder.finish() else { return Ok(()) };
    // The font's y axis points up.
    let unit = (text.size / f64::from(face.units_per_em())) as f32;
    let (x, y) = (text.x as f32, text.y as f32);
    let stand = if text.upward {
        Transform::from_row(0.0, -unit, -unit, 0.0, x, y)
    } else {
        Transform::from_row(unit, 0.0, 0.0, -unit, x, y)
    };
    canvas.fill_path(&outline, &paint(text.colour, 1.0), FillRule::Winding, place.pre_concat(stand), None);
    Ok(())
}

/// Glyphs as one path, in units of the font.
struct Outline {
    builder: PathBuilder,
    shift: f32,
}

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.builder.move_to(x + self.shift, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.builder.line_to(x + self.shift, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.builder.quad_to(x1 + self.shift, y1, x + self.shift, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let s = self.shift;
        self.builder.cubic_to(x1 + s, y1, x2 + s, y2, x + s, y);
    }

    fn close(&mut self) {
        self.builder.close();
    }
}
