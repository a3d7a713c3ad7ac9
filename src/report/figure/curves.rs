//! The inside of a panel of curves.
//!
//! Invariant: a line, and the band around it, joins neighbouring points only where both are measured.

use super::document::{Area, Drawn};
use super::panel::{Frame, Look, shown};
use super::scale::drawable;
use super::style::{self, Pixel};
use super::{Panel, Point, Series};

/// Neighbouring curves stand this far apart, so that equal ones do not hide each other.
const DODGE: i32 = 16;

/// How curves look.
pub(super) const LOOK: Look = Look { draw, sample };

fn draw(panel: &Panel, frame: &Frame<'_, '_>) -> Drawn {
    let (known, measured): (Vec<&Series>, _) = panel.items.iter().partition(|series| series.known.is_some());
    let count = measured.len() as i32;
    let curve = |(series, place): (&'_ Series, i32)| {
        Curve::of(series, (DODGE * (2 * place - count + 1) / 2).clamp(-50, 50), frame)
    };
    let curves: Vec<Curve<'_, '_>> = measured.into_iter().zip(0..).map(curve).collect();
    // Kind by kind, so that no curve's line lies over another's markers.
    curves.iter().try_for_each(Curve::bands)?;
    for series in known {
        let curve = Curve::of(series, 0, frame);
        style::known(frame.screen, curve.means(&curve.points).collect(), series.known.unwrap_or(0))?;
    }
    curves.iter().try_for_each(Curve::lines)?;
    curves.iter().try_for_each(Curve::markers)?;
    curves.iter().try_for_each(Curve::references)
}

fn sample(
    series: &Series,
    area: &Area<'_>,
    [(left, top), (right, bottom)]: [Pixel; 2],
    index: usize,
) -> Drawn {
    let y = i32::midpoint(top, bottom);
    let line = vec![(left, y), (right, y)];
    match series.known {
        Some(number) => style::known(area, line, number),
        None => {
            style::curve(area, line, index)?;
            style::marker(area, (i32::midpoint(left, right), y), index)
        }
    }
}

/// A curve that stands that far aside of its x.
struct Curve<'f, 'a> {
    frame: &'f Frame<'f, 'a>,
    aside: i32,
    index: usize,
    /// What of it has a place.
    points: Vec<Point>,
}

impl<'f, 'a> Curve<'f, 'a> {
    fn of(series: &Series, aside: i32, frame: &'f Frame<'f, 'a>) -> Self {
        let drawn = |ends: &[f64; 2]| ends.iter().all(|&end| drawable(end));
        let points = series.points.iter().filter(|point| drawable(point.x)).map(|&point| Point {
            value: shown(point.value),
            band: point.band.filter(drawn),
            reference: point.reference.filter(|&value| drawable(value)),
            ..point
        });
        Curve { frame, aside, index: frame.index(&series.label), points: points.collect() }
    }

    fn at(&self, point: &Point, value: f64) -> Pixel {
        let (x, y) = self.frame.at(point.x, value);
        (x + self.aside, y)
    }

    fn means(&self, points: &[Point]) -> impl Iterator<Item = Pixel> {
        points.iter().filter_map(|point| Some(self.at(point, point.value?.mean)))
    }

    fn lines(&self) -> Drawn {
        let mut runs = self.points.split(|point| point.value.is_none()).filter(|run| run.len() > 1);
        runs.try_for_each(|run| style::curve(self.frame.screen, self.means(run).collect(), self.index))
    }

    /// From band to band, one polygon for each run of points that have one.
    fn bands(&self) -> Drawn {
        for run in self.points.split(|point| point.band.is_none()) {
            let edge =
                |end: usize| run.iter().filter_map(move |point| Some(self.at(point, point.band?[end])));
            let around: Vec<Pixel> = edge(0).chain(edge(1).collect::<Vec<_>>().into_iter().rev()).collect();
            if let [(x, low), (_, high)] = around[..] {
                // A point without neighbours has nothing to lie in.
                style::capped(self.frame.screen, x, [high, low], 26, (style::colour(self.index), 11))?;
            } else if run.len() > 1 {
                style::band(self.frame.screen, around, self.index)?;
            }
        }
        Ok(())
    }

    fn markers(&self) -> Drawn {
        self.means(&self.points).try_for_each(|place| style::marker(self.frame.screen, place, self.index))
    }

    fn references(&self) -> Drawn {
        let mut marks = self.points.iter().filter_map(|point| Some(self.at(point, point.reference?)));
        marks.try_for_each(|place| style::published(self.frame.screen, place, 50))
    }
}
