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

pub(crate) use self::csv::references_csv;
pub(crate) use latex::document;
pub(crate) use words::comparison as comparison_words;

use crate::results::Report;

/// The formats that a report can be asked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Extension of a file of this format, without a dot.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Format::Text => "txt",
            Format::Markdown => "md",
            Format::Latex => "tex",
            Format::Csv => "csv",
        }
    }

    /// The whole rendered text, ending with a newline.
    ///
    /// # Errors
    /// Values that make no frame.
    pub(crate) fn export(self, report: &Report) -> Result<String, FrameError> {
        match self {
            Format::Text => Ok(text::export(report)),
            Format::Markdown => Ok(markdown::export(report)),
            Format::Latex => Ok(latex::export(report)),
            Format::Csv => csv::export(report),
        }
    }
}

#[cfg(test)]
mod tests;
