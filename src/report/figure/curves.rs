//! The inside of a panel of curves.
//!
//! Invariant: a line joins neighbouring points only where both are measured.

use super::axes::across;
use super::page::{Frame, Item, shown};
use super::scale::drawable;
use super::scene::{Area, Path, Scene};
use super::style;
use super::{Mean, Panel, Series};

/// Error bars of neighbouring curves stand this far apart, so that equal ones do not hide each other.
const DODGE: f64 = 1.6;

impl Item for Series {
    fn label(&self) -> &str {
        &self.label
    }

    fn xs(&self) -> Vec<f64> {
        self.points.iter().map(|point| point.x).collect()
    }

    fn means(&self) -> Vec<Option<Mean>> {
        self.points.iter().map(|point| point.value).collect()
    }

    fn references(&self) -> Vec<f64> {
        self.points.iter().filter_map(|point| point.reference).collect()
    }

    fn draw(panel: &Panel<Self>, frame: &Frame<'_>, scene: &mut Scene) {
        let count = panel.items.len() as f64;
        let drawn: Vec<Drawn> = panel
            .items
            .iter()
            .enumerate()
            .map(|(place, series)| {
                let aside = ((place as f64 - (count - 1.0) / 2.0) * DODGE).clamp(-5.0, 5.0);
                Drawn::of(series, frame, aside)
            })
            .collect();
        // Kind by kind, so that no curve's line lies over another's markers.
        drawn.iter().for_each(|series| series.lines(scene));
        drawn.iter().for_each(|series| series.markers(scene));
        drawn.iter().for_each(|series| series.references(scene));
    }

    fn sample(scene: &mut Scene, area: Area, index: usize) {
        let (x, y) = area.middle();
        let line = Path::lines(&[(area.left, y), (area.right, y)]).stroked(style::line(index), 1.5);
        scene.path(line.dashed(style::dash(index)));
        style::marker(scene, (x, y), index);
    }
}

/// A curve in pixels.
struct Drawn {
    index: usize,
    points: Vec<DrawnPoint>,
}

struct DrawnPoint {
    x: f64,
    mean: Option<f64>,
    deviation: Option<(f64, f64)>,
    reference: Option<f64>,
}

impl Drawn {
    fn of(series: &Series, frame: &Frame<'_>, aside: f64) -> Self {
        let (from, to) = across(frame.area);
        let points = series.points.iter().filter(|point| drawable(point.x)).map(|point| {
            let value = shown(point.value);
            DrawnPoint {
                x: frame.x.place(point.x, from, to) + aside,
                mean: value.map(|value| frame.y(value.mean)),
                deviation: value.and_then(|value| frame.deviation(&value)),
                reference: point.reference.filter(|&value| drawable(value)).map(|value| frame.y(value)),
            }
        });
        Drawn { index: frame.index(&series.label), points: points.collect() }
    }

    fn lines(&self, scene: &mut Scene) {
        let colour = style::line(self.index);
        for run in self.points.split(|point| point.mean.is_none()) {
            let points: Vec<(f64, f64)> =
                run.iter().filter_map(|point| Some((point.x, point.mean?))).collect();
            if points.len() > 1 {
                scene.path(Path::lines(&points).stroked(colour, 1.5).dashed(style::dash(self.index)));
            }
        }
        for point in &self.points {
            if let Some(ends) = point.deviation {
                scene.path(style::capped(point.x, ends, 2.6).stroked(colour, 1.1));
            }
        }
    }

    fn markers(&self, scene: &mut Scene) {
        for point in &self.points {
            if let Some(y) = point.mean {
                style::marker(scene, (point.x, y), self.index);
            }
        }
    }

    fn references(&self, scene: &mut Scene) {
        for point in &self.points {
            if let Some(y) = point.reference {
                style::reference(scene, point.x - 5.0, point.x + 5.0, y);
            }
        }
    }
}
