//! Results as polars frames, and their files.
//!
//! Invariant: a frame has exactly the columns of the schema, with its version in each row.

use std::collections::BTreeSet;

use polars::prelude::*;

use super::schema::{ColumnSchema, RESULT_COLUMNS, SCHEMA_VERSION, SUMMARY_COLUMNS};
use crate::results::{CellResult, Report};

/// Why a frame could not be made or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The columns are not those of the schema.
    #[error("the frame's column {index} is {found}, expected {expected}; this is a bug, please report it")]
    Columns {
        /// Counted from 1.
        index: usize,
        /// What was found.
        found: String,
        /// What the schema says.
        expected: String,
    },
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
    one_of_a_kind(reports)?;
    let rows: Vec<_> = reports
        .iter()
        .flat_map(|report| report.cells.iter().map(move |cell| (report, cell)))
        .flat_map(|(report, cell)| cell.values.iter().map(move |value| (report, cell, value)))
        .collect();
    let cells: Vec<(&Report, &CellResult)> = rows.iter().map(|&(report, cell, _)| (report, cell)).collect();
    let mut columns = addresses(&cells);
    columns.push(Column::new("seed".into(), rows.iter().map(|(_, _, v)| v.seed).collect::<Vec<u64>>()));
    columns.push(Column::new("value".into(), rows.iter().map(|(_, _, v)| v.value).collect::<Vec<f64>>()));
    columns.push(texts("key", rows.iter().map(|(_, _, v)| Some(v.key.to_string()))));
    columns.extend(circumstances(&cells));
    columns.extend(published(&cells));
    frame(rows.len(), columns, &RESULT_COLUMNS)
}

/// The summary frame: one row per cell of several benchmarks.
///
/// # Errors
/// As [`result_frame`].
pub(crate) fn summary_frame(reports: &[Report]) -> Result<DataFrame, FrameError> {
    one_of_a_kind(reports)?;
    let cells: Vec<(&Report, &CellResult)> =
        reports.iter().flat_map(|report| report.cells.iter().map(move |cell| (report, cell))).collect();
    let summaries: Vec<_> = cells.iter().map(|(_, cell)| cell.summary()).collect();
    let mut columns = addresses(&cells);
    let n: Vec<u32> = cells.iter().map(|(_, cell)| cell.values.len() as u32).collect();
    columns.push(Column::new("n".into(), n));
    let mean: Vec<Option<f64>> = cells.iter().map(|(_, cell)| cell.mean()).collect();
    columns.push(Column::new("mean".into(), mean));
    let std: Vec<Option<f64>> = summaries.iter().map(|summary| summary.and_then(|s| s.std)).collect();
    columns.push(Column::new("std".into(), std));
    columns.extend(published(&cells));
    columns.push(texts("verdict", cells.iter().map(|(_, cell)| Some(cell.judgement.verdict.to_string()))));
    let reason = |cell: &CellResult| {
        let said = [cell.missing.as_deref().unwrap_or(""), cell.judgement.reason.as_str()];
        let said: Vec<&str> = said.into_iter().filter(|text| !text.is_empty()).collect();
        (!said.is_empty()).then(|| said.join("; "))
    };
    columns.push(texts("reason", cells.iter().map(|(_, cell)| reason(cell))));
    columns.extend(circumstances(&cells));
    frame(cells.len(), columns, &SUMMARY_COLUMNS)
}

fn addresses(cells: &[(&Report, &CellResult)]) -> Vec<Column> {
    vec![
        Column::new("schema_version".into(), vec![SCHEMA_VERSION; cells.len()]),
        texts("benchmark", cells.iter().map(|(_, cell)| Some(cell.id.benchmark.clone()))),
        texts("row", cells.iter().map(|(_, cell)| Some(cell.id.row.clone()))),
        texts("column", cells.iter().map(|(_, cell)| Some(cell.id.column.clone()))),
        texts("metric", cells.iter().map(|(_, cell)| Some(cell.metric.name()))),
        texts("unit", cells.iter().map(|(_, cell)| Some(cell.unit().to_string()))),
    ]
}

fn circumstances(cells: &[(&Report, &CellResult)]) -> [Column; 5] {
    [
        texts("tier", cells.iter().map(|(report, _)| Some(report.tier.to_string()))),
        texts("protocol", cells.iter().map(|(report, _)| Some(report.protocol_words()))),
        texts("device_class", cells.iter().map(|(report, _)| Some(report.device_class.clone()))),
        texts("determinism", cells.iter().map(|(report, _)| Some(report.determinism.clone()))),
        texts("dataset_digest", cells.iter().map(|(_, cell)| cell.dataset.map(|digest| digest.to_string()))),
    ]
}

fn published(cells: &[(&Report, &CellResult)]) -> [Column; 3] {
    let values = || cells.iter().map(|(_, cell)| cell.published.as_ref());
    let mean: Vec<Option<f64>> = values().map(|value| value.map(|p| p.mean)).collect();
    let std: Vec<Option<f64>> = values().map(|value| value.and_then(|p| p.std)).collect();
    let n: Vec<Option<u32>> = values().map(|value| value.and_then(|p| p.n).map(|n| n as u32)).collect();
    [
        Column::new("published_mean".into(), mean),
        Column::new("published_std".into(), std),
        Column::new("published_n".into(), n),
    ]
}

fn texts(name: &str, values: impl Iterator<Item = Option<String>>) -> Column {
    Column::new(name.into(), values.collect::<Vec<Option<String>>>())
}

fn frame(height: usize, columns: Vec<Column>, schema: &[ColumnSchema]) -> Result<DataFrame, FrameError> {
    let frame = DataFrame::new(height, columns)?;
    check_columns(&frame, schema)?;
    Ok(frame)
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

fn check_columns(frame: &DataFrame, schema: &[ColumnSchema]) -> Result<(), FrameError> {
    let say = |name: &str, dtype: &DataType| format!("`{name}` ({dtype})");
    let found = frame.columns();
    for index in 0..found.len().max(schema.len()) {
        let found = found.get(index).map(|column| say(column.name(), column.dtype()));
        let expected = schema.get(index).map(|column| say(column.name, &column.kind.dtype()));
        if found != expected {
            let absent = || "absent".to_owned();
            return Err(FrameError::Columns {
                index: index + 1,
                found: found.unwrap_or_else(absent),
                expected: expected.unwrap_or_else(absent),
            });
        }
    }
    Ok(())
}
