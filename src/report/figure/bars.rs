//! The inside of a panel of bars.
//!
//! Invariant: every bar has its slot, measured or not; one that is not says so.

use super::document::{Area, Drawn};
use super::panel::{Frame, Item, shown};
use super::scale::drawable;
use super::style::{self, Pixel, QUIET};
use super::text::Font;
use super::{Bar, Mean, Panel};

/// A bar is never wider than this.
const WIDEST: i32 = 440;

impl Item for Bar {
    fn label(&self) -> &str {
        &self.label
    }

    fn xs(&self) -> Vec<f64> {
        Vec::new()
    }

    fn means(&self) -> Vec<Option<Mean>> {
        vec![self.value]
    }

    fn references(&self) -> Vec<f64> {
        self.reference.into_iter().collect()
    }

    fn extent(&self) -> Vec<f64> {
        let ends = shown(self.value).map(|value| {
            let std = value.std.filter(|&std| drawable(std)).unwrap_or(0.0);
            [value.mean - std, value.mean + std]
        });
        ends.into_iter().flatten().chain(self.reference).collect()
    }

    fn draw(panel: &Panel<Self>, frame: &Frame<'_, '_>) -> Drawn {
        let slot = frame.at(1.0, 0.0).0 - frame.at(0.0, 0.0).0;
        let half = (39 * slot / 100).min(WIDEST / 2);
        for (index, bar) in panel.items.iter().enumerate() {
            let (x, floor) = frame.at(index as f64, 0.0);
            let y = |value| frame.at(0.0, value).1;
            let measured = shown(bar.value);
            if let Some(value) = measured {
                let (a, b) = (y(value.mean), floor);
                style::block(
                    frame.screen,
                    [(x - half, a.min(b)), (x + half, a.max(b))],
                    frame.index(&bar.label),
                )?;
            }
            // Beneath the error bar, so that both are read.
            if let Some(value) = bar.reference.filter(|&value| drawable(value)) {
                style::published(frame.screen, (x, y(value)), 48 * slot / 100)?;
            }
            match measured {
                Some(value) => {
                    if let Some(std) = value.std.filter(|&std| drawable(std) && std > 0.0) {
                        let ends = [y(value.mean + std), y(value.mean - std)];
                        style::error_bar(frame.screen, x, ends, (half / 2).min(40))?;
                    }
                }
                None => {
                    let em = (75 * slot / 100).clamp(20, 90);
                    let at = (x + 36 * em / 100, frame.bottom() - 60);
                    Font::new(em, QUIET).draw_upward(frame.screen, "not measured", at)?;
                }
            }
        }
        Ok(())
    }

    fn sample(&self, area: &Area<'_>, corners: [Pixel; 2], index: usize) -> Drawn {
        style::block(area, corners, index)
    }
}
