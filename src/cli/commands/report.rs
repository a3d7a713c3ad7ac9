//! `i2m2 report`: tables from the store.

use std::path::Path;

use crate::cli::args::{ReportFormat, Selection};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::resolve::Resolved;
use crate::cli::results::Results;
use crate::report::Format;

/// Prints tables from the store; trains nothing.
pub fn run(selection: &Selection, format: ReportFormat, out: &Path) -> Result<Exit, Failure> {
    let resolved = Resolved::new(selection, out.to_owned())?;
    resolved.measurable(&resolved.plan())?;
    let format = match format {
        ReportFormat::Latex => Format::Latex,
        ReportFormat::Csv => Format::Csv,
        ReportFormat::Markdown => Format::Markdown,
    };
    let results = Results::read(&resolved)?;
    let mut tables = Vec::new();
    for report in &results.reports {
        tables.push(format.exporter().export(report)?);
    }
    output::data(&tables.join("\n"))?;
    if results.reports.iter().all(|report| report.cells.iter().all(|cell| cell.values.is_empty())) {
        output::note("nothing of this is in the store yet; `i2m2 reproduce` trains it");
        return Ok(Exit::NotMeasured);
    }
    Ok(Exit::Success)
}
