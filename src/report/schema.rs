//! The columns of the frames, version 1; `docs/SCHEMA.md` says what they mean.
//!
//! Invariant: a column that is renamed, removed or read differently raises the version; readers refuse a version that
//! they do not know.

use polars::prelude::DataType;

/// Version of both frames.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// A column of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ColumnSchema {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnKind,
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    /// UTF-8 text.
    Text,
    /// Unsigned 32-bit integer.
    U32,
    /// Unsigned 64-bit integer.
    U64,
    /// 64-bit float.
    F64,
}

impl ColumnKind {
    /// The polars type.
    pub(crate) fn dtype(self) -> DataType {
        match self {
            ColumnKind::Text => DataType::String,
            ColumnKind::U32 => DataType::UInt32,
            ColumnKind::U64 => DataType::UInt64,
            ColumnKind::F64 => DataType::Float64,
        }
    }
}

const fn text(name: &'static str) -> ColumnSchema {
    ColumnSchema { name, kind: ColumnKind::Text }
}

const fn count(name: &'static str) -> ColumnSchema {
    ColumnSchema { name, kind: ColumnKind::U32 }
}

const fn number(name: &'static str) -> ColumnSchema {
    ColumnSchema { name, kind: ColumnKind::F64 }
}

/// One row per cell and seed.
pub(crate) const RESULT_COLUMNS: [ColumnSchema; 17] = [
    count("schema_version"),
    text("benchmark"),
    text("row"),
    text("column"),
    text("metric"),
    text("unit"),
    ColumnSchema { name: "seed", kind: ColumnKind::U64 },
    number("value"),
    text("key"),
    text("tier"),
    text("protocol"),
    text("device_class"),
    text("determinism"),
    text("dataset_digest"),
    number("published_mean"),
    number("published_std"),
    count("published_n"),
];

/// One row per cell.
pub(crate) const SUMMARY_COLUMNS: [ColumnSchema; 19] = [
    count("schema_version"),
    text("benchmark"),
    text("row"),
    text("column"),
    text("metric"),
    text("unit"),
    count("n"),
    number("mean"),
    number("std"),
    number("published_mean"),
    number("published_std"),
    count("published_n"),
    text("verdict"),
    text("reason"),
    text("tier"),
    text("protocol"),
    text("device_class"),
    text("determinism"),
    text("dataset_digest"),
];
