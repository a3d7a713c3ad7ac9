//! What the paper prints, read from `paper/*.csv`.
//!
//! Invariant: a published number stands in `paper/` and nowhere else.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Benchmark, registry};
use crate::engine::plan::CellId;
use crate::metric::Unit;

/// One published number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Published {
    /// The printed mean.
    pub mean: f64,
    /// The printed standard deviation; whether it divides by n or n - 1 is not said.
    pub std: Option<f64>,
    /// Repetitions.
    pub n: Option<usize>,
    /// The mean as it is printed.
    pub printed: String,
    /// Digits printed after the point.
    pub decimals: usize,
    /// What was measured: `accuracy`, `entropy`, ...
    pub metric: String,
    /// The unit of mean and deviation: that of the cell's metric.
    pub unit: Unit,
    /// Where the paper says it.
    pub place: String,
    /// Why the cell was used to calibrate rebuilt data, if it was.
    pub calibrated: Option<String>,
    /// Whether rebuilt data was tuned until this very cell agreed.
    pub tuned: bool,
}

/// Why a file of `paper/` could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{file}, record {record}: {found}, expected {expected}; correct the file and build again")]
pub(crate) struct PublishedError {
    file: &'static str,
    record: usize,
    found: String,
    expected: &'static str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    row: String,
    column: String,
    mean: String,
    std: Option<f64>,
    n: Option<usize>,
    metric: String,
    unit: Unit,
    r#where: String,
    calibrated: Option<String>,
    #[serde(default)]
    tuned: bool,
}

/// Every published number of a benchmark; empty for a figure.
pub(crate) fn published(benchmark: &Benchmark) -> Result<BTreeMap<CellId, Published>, PublishedError> {
    let Some(file) = &benchmark.values else { return Ok(BTreeMap::new()) };
    let mut values = BTreeMap::new();
    for (index, record) in csv::Reader::from_reader(file.text.as_bytes()).deserialize().enumerate() {
        let bad =
            |found: String, expected| PublishedError { file: file.path, record: index + 1, found, expected };
        let record: Record = record.map_err(|error| bad(error.to_string(), "the columns of paper/*.csv"))?;
        let id = benchmark.cell_id(&record.column, &record.row);
        let mean: f64 = match record.mean.parse() {
            Ok(mean) if f64::is_finite(mean) => mean,
            _ => return Err(bad(format!("mean `{}`", record.mean), "a finite number")),
        };
        if record.std.is_some_and(|std| !std.is_finite() || std < 0.0) {
            return Err(bad(format!("std {:?}", record.std), "a finite number of 0 or more"));
        }
        if let Some(unit) = benchmark.unit(&record.column, &record.row)
            && unit != record.unit
        {
            return Err(bad(format!("the unit {} of {id}", record.unit), "the unit of the cell's metric"));
        }
        let published = Published {
            mean,
            std: record.std,
            n: record.n,
            decimals: record.mean.split_once('.').map_or(0, |(_, digits)| digits.len()),
            printed: record.mean,
            metric: record.metric,
            unit: record.unit,
            place: record.r#where,
            calibrated: record.calibrated,
            tuned: record.tuned,
        };
        if values.insert(id.clone(), published).is_some() {
            return Err(bad(format!("a second value of {id}"), "one value per cell"));
        }
    }
    Ok(values)
}

impl Published {
    /// The number of a cell, wherever it stands in the paper.
    pub(crate) fn of(id: &CellId) -> Result<Option<Published>, PublishedError> {
        match registry::all().iter().find(|benchmark| benchmark.id == id.benchmark) {
            Some(benchmark) => Ok(published(benchmark)?.remove(id)),
            None => Ok(None),
        }
    }
}
