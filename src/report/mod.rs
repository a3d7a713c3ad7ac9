//! Results as frames, as tables (text, Markdown, LaTeX, CSV, Parquet) and as figures (SVG, PNG).
//!
//! Invariant: rendering is pure and decides nothing; every rendered table says its tier, protocol and device, and a
//! single seed prints no deviation.

mod csv;
pub(crate) mod figure;
mod frame;
pub(crate) mod html;
mod latex;
mod markdown;
mod schema;
mod text;
mod words;

pub(crate) use frame::{FrameError, result_frame, summary_frame, write_csv, write_parquet};

pub(crate) use self::csv::{Csv, references_csv};
pub(crate) use latex::{Latex, document};
pub(crate) use markdown::Markdown;
pub(crate) use text::Text;
pub(crate) use words::comparison as comparison_words;

use crate::results::Report;

/// Renders a report.
pub(crate) trait Exporter {
    /// Extension of the file it makes, without a dot.
    fn extension(&self) -> &'static str;

    /// The whole rendered text, ending with a newline.
    fn export(&self, report: &Report) -> Result<String, FrameError>;
}

/// The formats that a report can be asked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A table for the terminal.
    Text,
    /// A table for a web page.
    Markdown,
    /// A booktabs fragment for `\input`.
    Latex,
    /// One line per cell.
    Csv,
}

impl Format {
    /// What renders this format.
    pub(crate) fn exporter(self) -> &'static dyn Exporter {
        match self {
            Format::Text => &Text,
            Format::Markdown => &Markdown,
            Format::Latex => &Latex,
            Format::Csv => &Csv,
        }
    }
}

#[cfg(test)]
mod tests;
