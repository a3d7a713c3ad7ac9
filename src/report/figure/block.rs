//! What a page is put together from: blocks, one beneath the other, and the measures that all of them keep.
//!
//! Invariant: a block says how high it is before anything is drawn.

use plotters::style::text_anchor::HPos;

use super::document::{Area, Drawn};
use super::style::TEXT;
use super::text::Font;
use super::{Row, Series};

pub(super) const MARGIN: i32 = 120;
pub(super) const TICK: Font = Font::new(95, TEXT);
pub(super) const LABEL: Font = Font::new(106, TEXT);

/// A stripe of the page, as wide as the page.
pub(super) struct Block<'f> {
    pub height: i32,
    draw: Box<dyn Fn(&Area<'_>) -> Drawn + 'f>,
}

impl<'f> Block<'f> {
    pub(super) fn new(height: i32, draw: impl Fn(&Area<'_>) -> Drawn + 'f) -> Self {
        Block { height, draw: Box::new(draw) }
    }

    pub(super) fn space(height: i32) -> Self {
        Block::new(height, |_| Ok(()))
    }

    /// A line of text that stands on the block's lower edge.
    pub(super) fn line(text: String, font: Font, height: i32) -> Self {
        Block::new(height, move |area| font.draw(area, &text, (MARGIN, height), HPos::Left))
    }

    pub(super) fn draw(&self, area: &Area<'_>) -> Drawn {
        (self.draw)(area)
    }
}

/// Everything in the panels of a page.
pub(super) fn items(rows: &[Row]) -> impl Iterator<Item = &Series> {
    rows.iter().flat_map(|row| &row.panels).flat_map(|panel| &panel.items)
}
