//! The page: caption, rows of panels, legend and footnote in their places.
//!
//! Invariant: bars and curves share everything but the inside of a panel; panels of a row share a y axis, and equal labels
//! have one look on the whole page.

use super::axes::{spines, x_axis, y_axis};
use super::legend::{footnote, legend};
use super::scale::{Scale, drawable};
use super::scene::{Anchor, Area, Scene, Text};
use super::style::{QUIET, TEXT, WARNING};
use super::{Caption, Figure, Mean, Panel, Row, font};

/// Panels in one line at most.
const ABREAST: usize = 4;
pub(super) const MARGIN: f64 = 12.0;
const PANEL_HEIGHT: f64 = 150.0;
const BETWEEN_PANELS: f64 = 14.0;
pub(super) const TICK: f64 = 9.5;
const LABEL: f64 = 10.5;
const TITLE: f64 = 13.0;
const NOTE: f64 = 9.0;

/// What a panel holds.
pub(super) trait Item: Sized {
    fn label(&self) -> &str;
    /// Where it stands on the x axis, if there is one.
    fn xs(&self) -> Vec<f64>;
    /// What is measured; `None` for a gap.
    fn means(&self) -> Vec<Option<Mean>>;
    fn references(&self) -> Vec<f64>;
    /// All that the y axis has to reach.
    fn extent(&self) -> Vec<f64>;
    /// Draws all items of a panel.
    fn draw(panel: &Panel<Self>, frame: &Frame<'_>, scene: &mut Scene);
    /// Draws the legend's sample of it.
    fn sample(&self, scene: &mut Scene, area: Area, index: usize);
}

/// The inside of a panel.
pub(super) struct Frame<'a> {
    pub area: Area,
    pub y: &'a Scale,
    pub x: &'a Scale,
    /// Labels of the page in the legend's order.
    pub labels: &'a [String],
}

impl Frame<'_> {
    pub fn index(&self, label: &str) -> usize {
        self.labels.iter().position(|known| known == label).unwrap_or(0)
    }

    pub fn y(&self, value: f64) -> f64 {
        self.y.place(value, self.area.bottom, self.area.top)
    }

    /// Top and bottom of an error bar, if there is one.
    pub fn deviation(&self, mean: &Mean) -> Option<(f64, f64)> {
        let std = mean.std.filter(|&std| drawable(std) && std > 0.0)?;
        Some((self.y(mean.mean + std), self.y(mean.mean - std)))
    }
}

/// A mean that can be drawn.
pub(super) fn shown(value: Option<Mean>) -> Option<Mean> {
    value.filter(|value| drawable(value.mean))
}

pub(super) fn compose(figure: &Figure) -> Scene {
    match figure {
        Figure::Bars(bars) => grid(&bars.caption, &bars.rows, None, false),
        Figure::Curves(curves) => grid(&curves.caption, &curves.rows, Some(&curves.x_label), curves.factors),
    }
}

fn grid<T: Item>(caption: &Caption, rows: &[Row<T>], x_label: Option<&str>, factors: bool) -> Scene {
    let columns = rows.iter().map(|row| abreast(row.panels.len())).max().unwrap_or(1);
    let width = [420.0, 560.0, 720.0][columns.clamp(1, 3) - 1];
    let mut scene = Scene { width, height: 6.0, title: caption.title.clone(), marks: Vec::new() };
    head(&mut scene, caption);
    let labels = labels(rows);
    let xs = items(rows).flat_map(T::xs);
    let x = if factors { Scale::over_factors(xs) } else { Scale::over(xs) };
    let mut truncated = false;
    for row in rows {
        let values = row.panels.iter().flat_map(|panel| &panel.items).flat_map(T::extent);
        let y = Scale::around(values, x_label.is_none());
        truncated |= x_label.is_none() && (y.low > 0.0 || y.high < 0.0);
        panels(&mut scene, row, columns, (&x, x_label), &y, &labels);
    }
    let compared = items(rows).flat_map(T::references).any(drawable);
    legend(&mut scene, rows, &labels, compared);
    let note = footnote(rows, truncated, x_label.is_some());
    for line in font::wrap(&note, NOTE, false, width - 2.0 * MARGIN) {
        scene.height += 1.4 * NOTE;
        let at = (MARGIN, scene.height);
        scene.text(Text { colour: QUIET, ..Text::new(at, &line, NOTE, Anchor::Start) });
    }
    scene.height += MARGIN;
    scene
}

pub(super) fn items<T>(rows: &[Row<T>]) -> impl Iterator<Item = &T> {
    rows.iter().flat_map(|row| &row.panels).flat_map(|panel| &panel.items)
}

/// Panels in one line: as few lines as can be, equally filled.
fn abreast(panels: usize) -> usize {
    panels.div_ceil(panels.div_ceil(ABREAST).max(1)).max(1)
}

fn labels<T: Item>(rows: &[Row<T>]) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for item in items(rows) {
        if !labels.iter().any(|known| known == item.label()) {
            labels.push(item.label().to_owned());
        }
    }
    labels
}

fn head(scene: &mut Scene, caption: &Caption) {
    let most = scene.width - 2.0 * MARGIN;
    for line in font::wrap(&caption.title, TITLE, true, most) {
        scene.height += 1.25 * TITLE;
        let at = (MARGIN, scene.height);
        scene.text(Text { bold: true, colour: TEXT, ..Text::new(at, &line, TITLE, Anchor::Start) });
    }
    for line in font::wrap(&caption.subtitle, NOTE, false, most) {
        scene.height += 1.5 * NOTE;
        let at = (MARGIN, scene.height);
        scene.text(Text { colour: QUIET, ..Text::new(at, &line, NOTE, Anchor::Start) });
    }
    let lines = font::wrap(caption.warning.as_deref().unwrap_or(""), LABEL, true, most - 16.0);
    if !lines.is_empty() {
        let top = scene.height + 8.0;
        let bottom = top + 1.3 * LABEL * lines.len() as f64 + 7.0;
        let frame = Area { left: MARGIN, top, right: scene.width - MARGIN, bottom };
        scene.path(frame.path().stroked(WARNING, 1.2));
        for (index, line) in lines.iter().enumerate() {
            let at = (scene.width / 2.0, top + 1.3 * LABEL * (index + 1) as f64);
            let text = Text::new(at, line, LABEL, Anchor::Middle);
            scene.text(Text { bold: true, colour: WARNING, ..text });
        }
        scene.height = bottom;
    }
    scene.height += 4.0;
}

/// One row of panels, in as many lines as it takes.
fn panels<T: Item>(
    scene: &mut Scene,
    row: &Row<T>,
    columns: usize,
    (x, x_label): (&Scale, Option<&str>),
    y: &Scale,
    labels: &[String],
) {
    let words: Vec<String> = y.ticks.iter().map(|&tick| y.word(tick)).collect();
    let widest = words.iter().map(|word| font::width(word, TICK, false)).fold(0.0, f64::max);
    let left = MARGIN + 1.5 * LABEL + widest + 6.0;
    let room = scene.width - left - MARGIN;
    let width = (room - BETWEEN_PANELS * (columns - 1) as f64) / columns as f64;
    for line in row.panels.chunks(abreast(row.panels.len())) {
        let top = scene.height + 24.0;
        let bottom = top + PANEL_HEIGHT;
        let name = font::shorten(&row.y_label, LABEL, false, PANEL_HEIGHT + 20.0);
        let at = (MARGIN + LABEL, f64::midpoint(top, bottom));
        scene.text(Text { upward: true, colour: TEXT, ..Text::new(at, &name, LABEL, Anchor::Middle) });
        for (index, panel) in line.iter().enumerate() {
            let start = left + index as f64 * (width + BETWEEN_PANELS);
            let area = Area { left: start, top, right: start + width, bottom };
            let title = font::shorten(&panel.title, LABEL, true, width);
            let at = (area.middle().0, top - 7.0);
            scene.text(Text { bold: true, colour: TEXT, ..Text::new(at, &title, LABEL, Anchor::Middle) });
            y_axis(scene, area, y, (index == 0).then_some(&words));
            if x_label.is_some() {
                x_axis(scene, area, x);
            }
            if panel.items.iter().flat_map(T::means).any(|mean| shown(mean).is_some())
                || panel.items.iter().flat_map(T::references).any(drawable)
            {
                T::draw(panel, &Frame { area, y, x, labels }, scene);
            } else {
                let text = Text::new(area.middle(), "not measured", LABEL, Anchor::Middle);
                scene.text(Text { colour: QUIET, ..text });
            }
            spines(scene, area, index == 0 && y.low > 0.0 && x_label.is_none());
        }
        scene.height = bottom + 4.0;
        if x_label.is_some() {
            scene.height += 1.3 * TICK;
        }
    }
    if let Some(name) = x_label.filter(|_| !row.panels.is_empty()) {
        scene.height += 1.4 * LABEL;
        let at = (left + room / 2.0, scene.height);
        let name = font::shorten(name, LABEL, false, room);
        scene.text(Text { colour: TEXT, ..Text::new(at, &name, LABEL, Anchor::Middle) });
    }
}

/// Text in the colour of things that are absent.
pub(super) fn quiet(text: Text) -> Text {
    Text { colour: QUIET, ..text }
}
