//! The inside of a panel of bars.
//!
//! Invariant: every bar has its slot, measured or not; one that is not says so.

use super::page::{Frame, Item, quiet, shown};
use super::scale::drawable;
use super::scene::{Anchor, Area, Scene, Text};
use super::style;
use super::{Bar, Mean, Panel};

/// A bar is never wider than this.
const WIDEST: f64 = 44.0;

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

    fn draw(panel: &Panel<Self>, frame: &Frame<'_>, scene: &mut Scene) {
        let area = frame.area;
        let slot = (area.right - area.left) / (panel.items.len() as f64 + 0.6);
        let half = (0.39 * slot).min(WIDEST / 2.0);
        let floor = frame.y(0.0);
        for (index, bar) in panel.items.iter().enumerate() {
            let x = area.left + slot * (index as f64 + 0.8);
            match shown(bar.value) {
                Some(value) => {
                    let (a, b) = (frame.y(value.mean), floor);
                    let body = Area { left: x - half, top: a.min(b), right: x + half, bottom: a.max(b) };
                    style::area(scene, body, frame.index(&bar.label));
                    published(bar, frame, (x, slot), scene);
                    if let Some(ends) = frame.deviation(&value) {
                        style::error_bar(scene, x, ends, (0.5 * half).min(4.0));
                    }
                }
                None => {
                    published(bar, frame, (x, slot), scene);
                    let size = (0.75 * slot).clamp(2.0, 9.0);
                    let at = (x + 0.36 * size, area.bottom - 6.0);
                    let text = Text::new(at, "not measured", size, Anchor::Start);
                    scene.text(quiet(Text { upward: true, ..text }));
                }
            }
        }
    }

    fn sample(&self, scene: &mut Scene, area: Area, index: usize) {
        style::area(scene, area, index);
    }
}

/// Beneath the error bar, so that both are read.
fn published(bar: &Bar, frame: &Frame<'_>, (x, slot): (f64, f64), scene: &mut Scene) {
    if let Some(value) = bar.reference.filter(|&value| drawable(value)) {
        style::reference(scene, x - 0.48 * slot, x + 0.48 * slot, frame.y(value));
    }
}
