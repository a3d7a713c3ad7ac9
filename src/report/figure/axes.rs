//! Axes of a panel: ticks with their numbers, grid, edges.
//!
//! Invariant: numbers never touch one another, and an axis of bars that does not begin at 0 is drawn broken.

use super::font;
use super::page::TICK;
use super::scale::Scale;
use super::scene::{Anchor, Area, Path, Scene, Text, WHITE};
use super::style::{GRID, TEXT};

/// Grid and ticks; numbers where there are words for them.
pub(super) fn y_axis(scene: &mut Scene, area: Area, y: &Scale, words: Option<&Vec<String>>) {
    for (index, &tick) in y.ticks.iter().enumerate() {
        let at = y.place(tick, area.bottom, area.top);
        scene.path(Path::lines(&[(area.left, at), (area.right, at)]).stroked(GRID, 0.6));
        scene.path(Path::lines(&[(area.left - 3.0, at), (area.left, at)]).stroked(TEXT, 0.8));
        if let Some(word) = words.and_then(|words| words.get(index)) {
            let at = (area.left - 6.0, at + 0.36 * TICK);
            scene.text(Text { colour: TEXT, ..Text::new(at, word, TICK, Anchor::End) });
        }
    }
}

/// Where an x axis begins and ends within a panel.
pub(super) fn across(area: Area) -> (f64, f64) {
    (area.left + 10.0, area.right - 10.0)
}

pub(super) fn x_axis(scene: &mut Scene, area: Area, x: &Scale) {
    let (from, to) = across(area);
    let mut free = f64::NEG_INFINITY;
    for &tick in &x.ticks {
        let at = x.place(tick, from, to);
        scene.path(Path::lines(&[(at, area.bottom), (at, area.bottom + 3.0)]).stroked(TEXT, 0.8));
        let word = x.word(tick);
        let half = font::width(&word, TICK, false) / 2.0;
        // A tick whose number would touch its neighbour's goes without.
        if at - half > free {
            let at = (at, area.bottom + 4.0 + TICK);
            scene.text(Text { colour: TEXT, ..Text::new(at, &word, TICK, Anchor::Middle) });
            free = at.0 + half + 3.0;
        }
    }
}

/// The left and the lower edge; a broken one says that the axis does not begin at 0.
pub(super) fn spines(scene: &mut Scene, area: Area, broken: bool) {
    let Area { left, top, right, bottom } = area;
    scene.path(Path::lines(&[(left, top), (left, bottom), (right, bottom)]).stroked(TEXT, 0.9));
    if broken {
        let slash = |y: f64| [(left - 4.0, y + 1.8), (left + 4.0, y - 1.8)];
        let (low, high) = (slash(bottom - 6.0), slash(bottom - 9.5));
        scene.path(Path::polygon(&[low[0], low[1], high[1], high[0]]).filled(WHITE));
        for line in [low, high] {
            scene.path(Path::lines(&line).stroked(TEXT, 0.9));
        }
    }
}
