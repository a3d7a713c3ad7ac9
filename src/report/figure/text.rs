//! Text in the font that is compiled in, DejaVu Sans: measured, fitted, drawn.
//!
//! Invariant: text is as wide here as it is drawn in the PNG. An SVG asks for the same font; a viewer that lacks it takes
//! another, which is hardly ever wider.

use std::sync::LazyLock;

use plotters::element::Text;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, TextStyle, register_font};

use super::FigureError;
use super::document::{Area, Drawn};

/// What an SVG asks for, and the name under which plotters knows the font.
const FAMILY: FontFamily<'static> = FontFamily::Name("DejaVu Sans, Verdana, sans-serif");

/// Plotters writes its sizes divided by this as the em of a font.
const EM: f64 = 1.24;

/// Plotters measures text as if its sizes were from ascender to descender, which for DejaVu Sans is this many em.
const ASCENDER_TO_DESCENDER: f64 = 2384.0 / 2048.0;

static REGISTERED: LazyLock<bool> = LazyLock::new(|| {
    let files = [(FontStyle::Normal, dejavu::sans::regular()), (FontStyle::Bold, dejavu::sans::bold())];
    files.into_iter().all(|(style, file)| register_font(FAMILY.as_str(), style, file).is_ok())
});

/// Makes the font known to plotters; goes before anything else.
pub(super) fn register() -> Drawn {
    if *REGISTERED { Ok(()) } else { Err(FigureError::Font) }
}

/// How a text looks.
#[derive(Clone, Copy)]
pub(super) struct Font {
    em: i32,
    bold: bool,
    colour: RGBColor,
}

impl Font {
    pub(super) const fn new(em: i32, colour: RGBColor) -> Self {
        Font { em, bold: false, colour }
    }

    pub(super) const fn bold(self) -> Self {
        Font { bold: true, ..self }
    }

    pub(super) const fn tinted(self, colour: RGBColor) -> Self {
        Font { colour, ..self }
    }

    fn sized(self, size: f64) -> FontDesc<'static> {
        FontDesc::new(FAMILY, size, if self.bold { FontStyle::Bold } else { FontStyle::Normal })
    }

    /// For plotters: the place of a text is that end of its upper edge.
    pub(super) fn style(self, end: HPos) -> TextStyle<'static> {
        // An em that plotters would write with sixteen digits is a step or two smaller.
        let short = |em: &f64| EM * em / EM == *em;
        let em = (1..=self.em).rev().map(f64::from).find(short).unwrap_or(1.0);
        self.sized(EM * em).color(&self.colour).pos(Pos::new(end, VPos::Top))
    }

    /// From the upper edge down to the baseline, as plotters writes it.
    pub(super) fn ascent(self) -> i32 {
        76 * self.em / 100
    }

    pub(super) fn width(self, text: &str) -> i32 {
        let measured = self.sized(ASCENDER_TO_DESCENDER * f64::from(self.em)).box_size(text);
        measured.map_or(0, |(width, _)| width as i32)
    }

    /// Draws a line of text that begins, ends or has its middle on its baseline there.
    pub(super) fn draw(self, area: &Area<'_>, text: &str, (x, y): (i32, i32), end: HPos) -> Drawn {
        Ok(area.draw(&Text::new(text, (x, y - self.ascent()), self.style(end)))?)
    }

    /// The same from the bottom up.
    pub(super) fn draw_upward(self, area: &Area<'_>, text: &str, (x, y): (i32, i32)) -> Drawn {
        let style = self.style(HPos::Left).transform(FontTransform::Rotate270);
        Ok(area.draw(&Text::new(text, (x - self.ascent(), y), style))?)
    }

    /// Lines of at most this width; a word that is wider is cut.
    pub(super) fn wrap(self, text: &str, most: i32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let word = self.shorten(word, most);
            match lines.last_mut() {
                Some(line) if self.width(&format!("{line} {word}")) <= most => {
                    line.push(' ');
                    line.push_str(&word);
                }
                _ => lines.push(word),
            }
        }
        lines
    }

    /// The text on one line, or as much of it as fits before an ellipsis.
    pub(super) fn shorten(self, text: &str, most: i32) -> String {
        let text = text.replace(['\t', '\n', '\r'], " ");
        if self.width(&text) <= most {
            return text;
        }
        let room = most - self.width("…");
        let mut taken = 0;
        let fits = |character: &char| {
            // Rounded up, so that the sum is not too small.
            taken += self.width(character.encode_utf8(&mut [0; 4])) + 1;
            taken <= room
        };
        text.chars().take_while(fits).collect::<String>().trim_end().to_owned() + "…"
    }
}
