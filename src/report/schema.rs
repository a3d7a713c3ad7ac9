//! The columns of the frames, version 1; `docs/SCHEMA.md` says what they mean.
//!
//! Invariant: a column that is renamed, removed or read differently raises the version; readers refuse a version that
//! they do not know.

use polars::prelude::{Column, NamedFrom, Series};

use crate::results::cell::SeedValue;
use crate::results::{CellResult, Report};

/// Version of both frames.
const SCHEMA_VERSION: u32 = 1;

/// A row of a frame.
#[derive(Clone, Copy)]
pub(super) struct Row<'r> {
    /// The report that it is of.
    pub report: &'r Report,
    /// Its cell.
    pub cell: &'r CellResult,
    /// One of the cell's seeds; `None` in the summary frame.
    pub seed: Option<&'r SeedValue>,
}

/// A column of a frame.
#[derive(Clone, Copy)]
pub(super) struct ColumnSchema {
    /// Its name.
    pub name: &'static str,
    /// What stands in each of its rows.
    values: Values,
}

/// Values of one type, absent where a row has none.
#[derive(Clone, Copy)]
enum Values {
    Text(fn(Row<'_>) -> Option<String>),
    U32(fn(Row<'_>) -> Option<u32>),
    U64(fn(Row<'_>) -> Option<u64>),
    F64(fn(Row<'_>) -> Option<f64>),
}

impl ColumnSchema {
    /// The column of these rows.
    pub(super) fn of(&self, rows: &[Row<'_>]) -> Column {
        fn series<T>(name: &str, rows: &[Row<'_>], value: fn(Row<'_>) -> Option<T>) -> Column
        where
            Series: NamedFrom<Vec<Option<T>>, [Option<T>]>,
        {
            Column::new(name.into(), rows.iter().map(|row| value(*row)).collect::<Vec<Option<T>>>())
        }
        match self.values {
            Values::Text(value) => series(self.name, rows, value),
            Values::U32(value) => series(self.name, rows, value),
            Values::U64(value) => series(self.name, rows, value),
            Values::F64(value) => series(self.name, rows, value),
        }
    }
}

const fn text(name: &'static str, value: fn(Row<'_>) -> Option<String>) -> ColumnSchema {
    ColumnSchema { name, values: Values::Text(value) }
}

const fn count(name: &'static str, value: fn(Row<'_>) -> Option<u32>) -> ColumnSchema {
    ColumnSchema { name, values: Values::U32(value) }
}

const fn number(name: &'static str, value: fn(Row<'_>) -> Option<f64>) -> ColumnSchema {
    ColumnSchema { name, values: Values::F64(value) }
}

const ADDRESS: &[ColumnSchema] = &[
    count("schema_version", |_| Some(SCHEMA_VERSION)),
    text("benchmark", |row| Some(row.cell.id.benchmark.clone())),
    text("row", |row| Some(row.cell.id.row.clone())),
    text("column", |row| Some(row.cell.id.column.clone())),
    text("metric", |row| Some(row.cell.metric.name())),
    text("unit", |row| Some(row.cell.unit().to_string())),
];

const SEED: &[ColumnSchema] = &[
    ColumnSchema { name: "seed", values: Values::U64(|row| Some(row.seed?.seed)) },
    number("value", |row| Some(row.seed?.value)),
    text("key", |row| Some(row.seed?.key.to_string())),
];

const SUMMARY: &[ColumnSchema] = &[
    count("n", |row| Some(row.cell.values.len() as u32)),
    number("mean", |row| row.cell.mean()),
    number("std", |row| row.cell.std()),
];

const PUBLISHED: &[ColumnSchema] = &[
    number("published_mean", |row| Some(row.cell.published.as_ref()?.mean)),
    number("published_std", |row| row.cell.published.as_ref()?.std),
    count("published_n", |row| Some(row.cell.published.as_ref()?.n? as u32)),
];

const JUDGEMENT: &[ColumnSchema] = &[
    text("verdict", |row| Some(row.cell.judgement.words())),
    text("reason", |row| {
        let said = [row.cell.missing.as_deref().unwrap_or(""), row.cell.judgement.reason.as_str()];
        let said: Vec<&str> = said.into_iter().filter(|text| !text.is_empty()).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }),
];

const CIRCUMSTANCES: &[ColumnSchema] = &[
    text("tier", |row| Some(row.report.tier.to_string())),
    text("protocol", |row| Some(row.report.protocol_words())),
    text("device_class", |row| Some(row.report.device_class.clone())),
    text("determinism", |row| Some(row.report.determinism.clone())),
    text("dataset_digest", |row| Some(row.cell.sample.data?.to_string())),
];

/// One row per cell and seed.
pub(super) const RESULT_COLUMNS: [&[ColumnSchema]; 4] = [ADDRESS, SEED, CIRCUMSTANCES, PUBLISHED];

/// One row per cell.
pub(super) const SUMMARY_COLUMNS: [&[ColumnSchema]; 5] =
    [ADDRESS, SUMMARY, PUBLISHED, JUDGEMENT, CIRCUMSTANCES];
