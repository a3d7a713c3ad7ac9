//! Rows of panels: a coordinate system with grid, axes and title for each, and what they hold.
//!
//! Invariant: bars and curves share everything but the inside of a panel; panels of a row share a y axis; numbers never touch
//! one another, and an axis of bars that does not begin at 0 is drawn broken.

use plotters::chart::ChartBuilder;
use plotters::coord::cartesian::Cartesian2d;
use plotters::drawing::DrawingArea;
use plotters::element::Polygon;
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, WHITE};

use super::block::{Block, LABEL, MARGIN, TICK};
use super::document::{Area, Drawn};
use super::scale::{Scale, drawable};
use super::style::{GRID, Pixel, QUIET, TEXT, lines};
use super::{Mean, Panel, Point, Row, Series};

/// Panels in one line at most.
const ABREAST: usize = 4;
const BETWEEN: i32 = 140;
const ABOVE: i32 = 240;
const HEIGHT: i32 = 1500;
/// Length of a tick; plotters puts the numbers twice as far away.
const TICKS: i32 = 30;
/// What is drawn stays this far from the ends of an x axis.
const ROOM: i32 = 100;

/// How the items of a figure are drawn.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// Draws all items of a panel.
    pub draw: fn(&Panel, &Frame<'_, '_>) -> Drawn,
    /// Draws the legend's sample of one between an upper left and a lower right corner.
    pub sample: fn(&Series, &Area<'_>, [Pixel; 2], usize) -> Drawn,
}

impl Series {
    /// What is measured; `None` for a gap.
    pub(super) fn means(&self) -> impl Iterator<Item = Option<Mean>> {
        // What is known is not measured.
        self.points.iter().filter(|_| self.known.is_none()).map(|point| shown(point.value))
    }

    /// The published values.
    pub(super) fn references(&self) -> impl Iterator<Item = f64> {
        self.points.iter().filter_map(|point| point.reference).filter(|&value| drawable(value))
    }

    /// All that the y axis has to reach.
    pub(super) fn extent(&self) -> impl Iterator<Item = f64> {
        let reach = |point: &Point| {
            let mean = shown(point.value).map(|value| value.mean);
            point.band.into_iter().flatten().filter(|&end| drawable(end)).chain(mean).collect::<Vec<f64>>()
        };
        self.points.iter().flat_map(reach).chain(self.references())
    }
}

/// The inside of a panel.
pub(super) struct Frame<'f, 'a> {
    plot: &'f DrawingArea<SVGBackend<'a>, Cartesian2d<Scale, Scale>>,
    /// Where to draw, at places that [`Frame::at`] gives.
    pub screen: &'f Area<'a>,
    /// Labels of the page in the legend's order.
    labels: &'f [String],
}

impl Frame<'_, '_> {
    pub(super) fn index(&self, label: &str) -> usize {
        self.labels.iter().position(|known| known == label).unwrap_or(0)
    }

    pub(super) fn at(&self, x: f64, y: f64) -> Pixel {
        self.plot.map_coordinate(&(x, y))
    }

    pub(super) fn bottom(&self) -> i32 {
        self.plot.get_pixel_range().1.end
    }
}

/// A mean that can be drawn.
pub(super) fn shown(value: Option<Mean>) -> Option<Mean> {
    value.filter(|value| drawable(value.mean))
}

/// Panels in one line: as few lines as can be, equally filled.
pub(super) fn abreast(panels: usize) -> usize {
    panels.div_ceil(panels.div_ceil(ABREAST).max(1)).max(1)
}

/// The x axis of a page.
pub(super) struct XAxis<'f> {
    pub label: &'f str,
    pub scale: Scale,
}

/// A row of panels with their places.
struct Grid<'f> {
    row: &'f Row,
    look: Look,
    x: Option<Scale>,
    y: Scale,
    labels: &'f [String],
    /// Where the first panel of a line begins, and how wide each is.
    left: i32,
    width: i32,
    /// Room for the x axis.
    below: i32,
}

/// One row of panels, in as many lines as it takes, and the label of the x axis.
pub(super) fn row<'f>(
    row: &'f Row,
    look: Look,
    y: Scale,
    x: Option<&'f XAxis<'f>>,
    labels: &'f [String],
    (page, columns): (i32, usize),
) -> Block<'f> {
    let widest = y.ticks.iter().map(|(_, word)| TICK.width(word)).max().unwrap_or(0);
    let left = MARGIN + 160 + widest + 2 * TICKS;
    let room = page - left - MARGIN;
    let width = (room - BETWEEN * (columns as i32 - 1)) / columns as i32;
    let below = if x.is_some() { 165 } else { 40 };
    let fitted = x.map(|x| x.scale.clone().fitted(ROOM, width, TICK));
    let grid = Grid { row, look, x: fitted, y, labels, left, width, below };
    let lines = row.panels.chunks(abreast(row.panels.len()));
    let label = x.map(|x| LABEL.shorten(x.label, room)).filter(|_| !row.panels.is_empty());
    let height = lines.len() as i32 * (ABOVE + HEIGHT + below);
    Block::new(height + if label.is_some() { 150 } else { 0 }, move |area| {
        let mut rest = area.clone();
        for line in lines.clone() {
            let (stripe, under) = rest.split_vertically(ABOVE + HEIGHT + below);
            (0..).zip(line).try_for_each(|(place, panel)| grid.panel(panel, place, &stripe))?;
            rest = under;
        }
        let label = label.as_deref().unwrap_or_default();
        LABEL.draw(area, label, (left + room / 2, height + 140), HPos::Center)
    })
}

impl Grid<'_> {
    /// Draws a panel at its place in a line.
    fn panel(&self, panel: &Panel, place: i32, area: &Area<'_>) -> Drawn {
        let first = place == 0;
        let start = self.left + place * (self.width + BETWEEN);
        let middle = start + self.width / 2;
        let title = LABEL.bold().shorten(&panel.title, self.width);
        LABEL.bold().draw(area, &title, (middle, ABOVE - 70), HPos::Center)?;

        let before = if first { self.left - MARGIN } else { BETWEEN };
        let cell = area.clone().shrink((start - before, ABOVE), (before + self.width, HEIGHT + self.below));
        let x = self.x.clone().unwrap_or_else(|| Scale::slots(panel.items.len()));
        let y = if first { self.y.clone() } else { self.y.clone().silent() };
        let broken = first && self.x.is_none() && y.low > 0.0;
        let mut chart = ChartBuilder::on(&cell)
            .y_label_area_size(before)
            .x_label_area_size(self.below)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_axes()
            .bold_line_style(GRID.stroke_width(6))
            .draw()?;

        let screen = area.use_screen_coord();
        let frame = Frame { plot: chart.plotting_area(), screen: &screen, labels: self.labels };
        let has_means = panel.items.iter().flat_map(Series::means).any(|mean| mean.is_some());
        if has_means || panel.items.iter().flat_map(Series::references).next().is_some() {
            (self.look.draw)(panel, &frame)?;
        } else {
            LABEL.tinted(QUIET).draw(area, "not measured", (middle, ABOVE + HEIGHT / 2), HPos::Center)?;
        }
        let mut mesh = chart.configure_mesh();
        mesh.disable_mesh().axis_style(TEXT.stroke_width(9)).set_all_tick_mark_size(TICKS);
        mesh.label_style(TICK.style(HPos::Left)).axis_desc_style(LABEL.style(HPos::Left));
        // Plotters centres small letters; digits are as high as capitals.
        mesh.y_label_offset(10);
        if first {
            mesh.y_desc(LABEL.shorten(&self.row.y_label, HEIGHT + 200));
        }
        mesh.draw()?;
        spines(area, [(start, ABOVE), (start + self.width, ABOVE + HEIGHT)], broken)
    }
}

/// The left and the lower edge, which plotters draws without the corner between them; a broken one says that the axis does
/// not begin at 0.
fn spines(area: &Area<'_>, [(left, top), (right, bottom)]: [Pixel; 2], broken: bool) -> Drawn {
    lines(area, [(left - 1, top), (left - 1, bottom), (right - 1, bottom)], TEXT, 9)?;
    if broken {
        let slash = |y: i32| [(left - 40, y + 18), (left + 40, y - 18)];
        let (low, high) = (slash(bottom - 60), slash(bottom - 95));
        area.draw(&Polygon::new([low[0], low[1], high[1], high[0]], WHITE))?;
        lines(area, low, TEXT, 9)?;
        lines(area, high, TEXT, 9)?;
    }
    Ok(())
}
