//! Results as polars frames, and their files.
//!
//! Invariant: a frame is made of the columns of the schema, so that it has exactly those, with the version in each row.

use std::collections::BTreeSet;

use polars::prelude::*;

use super::schema::{ColumnSchema, RESULT_COLUMNS, Row, SUMMARY_COLUMNS};
use crate::results::Report;

/// Why a frame could not be made or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// Results that mean different things, or one result twice.
    #[error(
        "{what}: a frame holds results of one tier, protocol and device, each once; report them one by one"
    )]
    Mixed {
        /// What was found.
        what: String,
    },
    /// Whatever polars found.
    #[error("the frame cannot be written: {0}")]
    Polars(#[from] PolarsError),
}

/// That results may stand side by side: one tier, protocol and device, every cell once, every seed of a cell once, numbers
/// only.
fn one_of_a_kind(reports: &[Report]) -> Result<(), FrameError> {
    let refused = |what: String| Err(FrameError::Mixed { what });
    let kind = |report: &Report| {
        format!("{} tier, protocol {}, {}", report.tier, report.protocol_words(), report.device_class)
    };
    if let Some(other) = reports.iter().find(|report| kind(report) != kind(&reports[0])) {
        return refused(format!("{} beside {}", kind(&reports[0]), kind(other)));
    }
    let mut seen = BTreeSet::new();
    for cell in reports.iter().flat_map(|report| &report.cells) {
        if !seen.insert(&cell.id) {
            return refused(format!("cell `{}` stands twice", cell.id));
        }
        let mut seeds = BTreeSet::new();
        for value in &cell.values {
            if !seeds.insert(value.seed) {
                return refused(format!("seed {} of `{}` stands twice", value.seed, cell.id));
            }
            if !value.value.is_finite() {
                return refused(format!("seed {} of `{}` is {}", value.seed, cell.id, value.value));
            }
        }
    }
    Ok(())
}

/// The result frame: one row per cell and seed of several benchmarks.
///
/// # Errors
/// Results of different tiers, protocols or devices, or one of them twice.
pub(crate) fn result_frame(reports: &[Report]) -> Result<DataFrame, FrameError> {
    frame(reports, &RESULT_COLUMNS.concat(), |cell| {
        cell.cell.values.iter().map(|seed| Row { seed: Some(seed), ..cell }).collect()
    })
}

/// The summary frame: one row per cell of several benchmarks.
///
/// # Errors
/// As [`result_frame`].
pub(crate) fn summary_frame(reports: &[Report]) -> Result<DataFrame, FrameError> {
    frame(reports, &SUMMARY_COLUMNS.concat(), |cell| vec![cell])
}

/// A frame of these columns; `rows` makes rows of a cell.
fn frame<'r>(
    reports: &'r [Report],
    columns: &[ColumnSchema],
    rows: fn(Row<'r>) -> Vec<Row<'r>>,
) -> Result<DataFrame, FrameError> {
    one_of_a_kind(reports)?;
    let cells = reports
        .iter()
        .flat_map(|report| report.cells.iter().map(move |cell| Row { report, cell, seed: None }));
    let rows: Vec<Row<'_>> = cells.flat_map(rows).collect();
    Ok(DataFrame::new(rows.len(), columns.iter().map(|column| column.of(&rows)).collect())?)
}

/// The bytes of a Parquet file.
pub(crate) fn write_parquet(frame: &mut DataFrame) -> Result<Vec<u8>, FrameError> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Uncompressed).finish(frame)?;
    Ok(bytes)
}

/// The bytes of a CSV file with a header; what is absent is empty.
pub(crate) fn write_csv(frame: &mut DataFrame) -> Result<Vec<u8>, FrameError> {
    let mut bytes = Vec::new();
    CsvWriter::new(&mut bytes).finish(frame)?;
    Ok(bytes)
}
