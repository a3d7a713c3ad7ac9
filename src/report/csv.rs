//! One line per cell, for spreadsheets and scripts.
//!
//! Invariant: it is the summary frame, written as CSV.

use super::{FrameError, summary_frame, words, write_csv};
use crate::results::Report;

/// Comma-separated values with a header.
pub(super) fn export(report: &Report) -> Result<String, FrameError> {
    let bytes = write_csv(&mut summary_frame(std::slice::from_ref(report))?)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Known optima of synthetic data: a line for each predictor and place.
///
/// # Errors
/// Never in practice: it is written to memory.
pub(crate) fn references_csv(report: &Report) -> Result<String, csv::Error> {
    let (heads, lines) = words::optima(report);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["predictor", "place", "value"])?;
    for (label, values) in lines {
        for (head, value) in heads.iter().zip(values) {
            let Some(value) = value else { continue };
            writer.write_record([label, head, &value.to_string()])?;
        }
    }
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
