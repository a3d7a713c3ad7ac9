//! One line per cell, for spreadsheets and scripts.
//!
//! Invariant: it is the summary frame, written as CSV.

use super::{Exporter, FrameError, Report, summary_frame, write_csv};

/// Comma-separated values with a header.
pub struct Csv;

impl Exporter for Csv {
    fn extension(&self) -> &'static str {
        "csv"
    }

    fn export(&self, report: &Report) -> Result<String, FrameError> {
        let bytes = write_csv(&mut summary_frame(std::slice::from_ref(report))?)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
