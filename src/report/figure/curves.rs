//! The inside of a panel of curves.
//!
//! Invariant: a line, and the band around it, joins neighbouring points only where both are measured.

use super::axes::across;
use super::page::{Frame, Item, shown};
use super::scale::drawable;
use super::scene::{Area, Path, Scene};
use super::style::{self, TEXT};
use super::{Mean, Panel, Point, Series};

/// Neighbouring curves stand this far apart, so that equal ones do not hide each other.
const DODGE: f64 = 1.6;

impl Item for Series {
    fn label(&self) -> &str {
        &self.label
    }

    fn xs(&self) -> Vec<f64> {
        self.points.iter().map(|point| point.x).collect()
    }

    fn means(&self) -> Vec<Option<Mean>> {
        // What is known is not measured.
        let measured = self.points.iter().filter(|_| self.known.is_none());
        measured.map(|point| point.value).collect()
    }

    fn references(&self) -> Vec<f64> {
        self.points.iter().filter_map(|point| point.reference).collect()
    }

    fn extent(&self) -> Vec<f64> {
        let reach = |point: &Point| {
            let mean = shown(point.value).map(|value| value.mean);
            point.band.into_iter().flatten().filter(|&end| drawable(end)).chain(mean).collect::<Vec<f64>>()
        };
        self.points.iter().flat_map(reach).chain(self.references()).collect()
    }

    fn draw(panel: &Panel<Self>, frame: &Frame<'_>, scene: &mut Scene) {
        let measured = panel.items.iter().filter(|series| series.known.is_none());
        let count = measured.clone().count() as f64;
        let drawn: Vec<Drawn> = measured
            .enumerate()
            .map(|(place, series)| {
                let aside = ((place as f64 - (count - 1.0) / 2.0) * DODGE).clamp(-5.0, 5.0);
                Drawn::of(series, frame, aside)
            })
            .collect();
        // Kind by kind, so that no curve's line lies over another's markers.
        drawn.iter().for_each(|series| series.bands(scene));
        for series in panel.items.iter().filter(|series| series.known.is_some()) {
            Drawn::of(series, frame, 0.0).known(scene, series.known);
        }
        drawn.iter().for_each(|series| series.lines(scene));
        drawn.iter().for_each(|series| series.markers(scene));
        drawn.iter().for_each(|series| series.references(scene));
    }

    fn sample(&self, scene: &mut Scene, area: Area, index: usize) {
        let (x, y) = area.middle();
        let line = Path::lines(&[(area.left, y), (area.right, y)]);
        if let Some(number) = self.known {
            scene.path(line.stroked(TEXT, 1.0).dashed(style::known_dash(number)));
            return;
        }
        let line = line.stroked(style::line(index), 1.5);
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
    band: Option<[f64; 2]>,
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
                band: point
                    .band
                    .filter(|ends| ends.iter().all(|&end| drawable(end)))
                    .map(|ends| ends.map(|end| frame.y(end))),
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
    }

    /// From band to band, one polygon for each run of points that have one.
    fn bands(&self, scene: &mut Scene) {
        for run in self.points.split(|point| point.band.is_none()) {
            let edge = |end: usize| run.iter().filter_map(move |point| Some((point.x, point.band?[end])));
            let around: Vec<(f64, f64)> =
                edge(0).chain(edge(1).collect::<Vec<_>>().into_iter().rev()).collect();
            if run.len() > 1 {
                scene.path(Path::polygon(&around).washed(style::line(self.index)));
            } else if let [(x, low), (_, high)] = around[..] {
                // A point without neighbours has nothing to lie in.
                scene.path(style::capped(x, (high, low), 2.6).stroked(style::line(self.index), 1.1));
            }
        }
    }

    /// The line of a known optimum.
    fn known(&self, scene: &mut Scene, number: Option<usize>) {
        let points: Vec<(f64, f64)> =
            self.points.iter().filter_map(|point| Some((point.x, point.mean?))).collect();
        let dash = style::known_dash(number.unwrap_or(0));
        scene.path(Path::lines(&points).stroked(TEXT, 1.0).dashed(dash));
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
