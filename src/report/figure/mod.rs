//! Figures: grouped bars and curves, as SVG and as PNG.
//!
//! Invariant: a figure is data, and drawing it is a pure function of that data: no system fonts, no clock, no locale, the
//! same bytes on every call. Plotters draws the SVG and resvg rasterises that very SVG, so both show the same. Whatever is
//! not measured leaves a gap that says so, and an axis that does not begin at 0 says that, too.

mod bars;
mod block;
mod curves;
mod document;
mod from_report;
mod legend;
mod page;
mod panel;
mod png;
mod scale;
mod style;
mod text;

use plotters::drawing::DrawingAreaErrorKind;

pub(crate) use self::png::png;
pub(crate) use from_report::from_report;
pub(crate) use page::svg;
use scale::drawable;

/// A figure: what is drawn, without any benchmark behind it. Equal labels look alike in all panels.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figure {
    /// Title, subtitle, warning.
    pub caption: Caption,
    /// The common x axis of curves; `None` for bars.
    pub x: Option<XLabel>,
    /// Rows of panels, one y axis each.
    pub rows: Vec<Row>,
}

/// What stands beneath the x axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct XLabel {
    /// What it shows, with its unit.
    pub text: String,
    /// Whether equal factors lie equally far apart on it.
    pub factors: bool,
}

/// What stands around the panels.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Caption {
    /// In bold at the top; wrapped.
    pub title: String,
    /// Smaller beneath it; wrapped.
    pub subtitle: String,
    /// A warning in a frame, above the panels: what the figure must not be taken for.
    pub warning: Option<String>,
}

/// Panels that share a y axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    /// What the y axis shows, with its unit.
    pub y_label: String,
    /// From left to right; more than four stand in several lines.
    pub panels: Vec<Panel>,
}

/// One panel of bars or curves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Panel {
    /// Above it.
    pub title: String,
    /// What it shows, in order.
    pub items: Vec<Series>,
}

/// One curve; or one bar, which has a single point.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series {
    /// In the legend.
    pub label: String,
    /// By rising x.
    pub points: Vec<Point>,
    /// Of a known optimum, which is no measurement: its number among those. Its points have values without a deviation.
    pub known: Option<usize>,
}

impl Series {
    /// A bar with its standard deviation, and the published value that it is compared with.
    pub(crate) fn bar(label: String, value: Option<Mean>, reference: Option<f64>) -> Self {
        let std = value.and_then(|value| value.std).filter(|&std| drawable(std) && std > 0.0);
        let band = value.zip(std).map(|(value, std)| [value.mean - std, value.mean + std]);
        Series { label, points: vec![Point { x: 0.0, value, band, reference }], known: None }
    }
}

/// One point of a curve, or a bar.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Point {
    /// Where it stands on the x axis, if there is one.
    pub x: f64,
    /// `None` where it is not measured.
    pub value: Option<Mean>,
    /// Lower and upper end of the band or error bar around it, if there is one.
    pub band: Option<[f64; 2]>,
    /// A published value to compare with.
    pub reference: Option<f64>,
}

/// A mean and its standard deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Mean {
    /// The mean.
    pub mean: f64,
    /// The standard deviation; `None` for a single value.
    pub std: Option<f64>,
    /// Values behind it; 0 where it is no mean of runs.
    pub n: usize,
}

/// Why a figure could not be drawn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FigureError {
    /// The picture has no sensible size.
    #[error(
        "a picture of {width:.0} x {height:.0} at scale {scale} is not drawn; expected at most {most} pixels a side"
    )]
    Size {
        /// Width at scale 1, pixels.
        width: f64,
        /// Height at scale 1, pixels.
        height: f64,
        /// The scale that was asked for.
        scale: f64,
        /// The longest side.
        most: u32,
    },
    /// The font that is compiled in cannot be read.
    #[error("the font that is compiled in cannot be read; build again from a clean checkout")]
    Font,
    /// Plotters failed.
    #[error("the figure cannot be drawn: {0}; its numbers are in the CSV beside it")]
    Drawing(#[from] DrawingAreaErrorKind<std::io::Error>),
    /// The SVG could not be rasterised, or the PNG encoder failed.
    #[error("the picture cannot be encoded: {0}; the SVG beside it shows the same")]
    Encoding(String),
    /// A row of a figure of curves has no place on the x axis.
    #[error(
        "row `{row}` of {benchmark} is no point of a curve, expected `<method>@<number>`; correct its layout"
    )]
    Row {
        /// The benchmark.
        benchmark: String,
        /// The row's id.
        row: String,
    },
}

#[cfg(test)]
mod tests;
