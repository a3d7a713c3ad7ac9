//! The inside of a panel of bars.
//!
//! Invariant: every bar has its slot, measured or not; one that is not says so.

use super::Panel;
use super::document::Drawn;
use super::panel::{Frame, Look, shown};
use super::scale::drawable;
use super::style::{self, QUIET};
use super::text::Font;

/// A bar is never wider than this.
const WIDEST: i32 = 440;

/// How bars look.
pub(super) const LOOK: Look =
    Look { draw, sample: |_, area, corners, index| style::block(area, corners, index) };

fn draw(panel: &Panel, frame: &Frame<'_, '_>) -> Drawn {
    let slot = frame.at(1.0, 0.0).0 - frame.at(0.0, 0.0).0;
    let half = (39 * slot / 100).min(WIDEST / 2);
    for (index, bar) in panel.items.iter().enumerate() {
        let Some(point) = bar.points.first() else { continue };
        let (x, floor) = frame.at(index as f64, 0.0);
        let y = |value| frame.at(0.0, value).1;
        let measured = shown(point.value);
        if let Some(value) = measured {
            let (a, b) = (y(value.mean), floor);
            style::block(
                frame.screen,
                [(x - half, a.min(b)), (x + half, a.max(b))],
                frame.index(&bar.label),
            )?;
        }
        // Beneath the error bar, so that both are read.
        if let Some(value) = point.reference.filter(|&value| drawable(value)) {
            style::published(frame.screen, (x, y(value)), 48 * slot / 100)?;
        }
        match (measured, point.band) {
            (Some(_), Some([low, high])) => {
                style::error_bar(frame.screen, x, [y(high), y(low)], (half / 2).min(40))?;
            }
            (Some(_), None) => {}
            (None, _) => {
                let em = (75 * slot / 100).clamp(20, 90);
                let at = (x + 36 * em / 100, frame.bottom() - 60);
                Font::new(em, QUIET).draw_upward(frame.screen, "not measured", at)?;
            }
        }
    }
    Ok(())
}
