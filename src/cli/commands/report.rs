//! `i2m2 report`: tables from the store.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cli::args::{ReportFormat, Selection};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::resolve::Resolved;
use crate::cli::results::{Results, folder_of};
use crate::engine::plan::CellId;
use crate::gate::effects::effects;
use crate::gate::{Sample, claims, test_claims};
use crate::protocol::deviations;
use crate::provenance::{self, Provenance};
use crate::report::html::{self, Page};
use crate::report::{self, Format, Report};

/// Prints tables from the store; trains nothing.
pub fn run(selection: &Selection, format: ReportFormat, out: &Path) -> Result<Exit, Failure> {
    let resolved = Resolved::new(selection, out.to_owned())?;
    resolved.measurable(&resolved.plan())?;
    let results = Results::read(&resolved)?;
    let tables = |format: Format| -> Result<String, Failure> {
        let tables: Result<Vec<String>, _> =
            results.reports.iter().map(|report| format.exporter().export(report)).collect();
        Ok(tables?.join("\n"))
    };
    let text = match format {
        ReportFormat::Latex => tables(Format::Latex)?,
        ReportFormat::Csv => tables(Format::Csv)?,
        ReportFormat::Markdown => tables(Format::Markdown)?,
        ReportFormat::Document => report::document(&results.reports, folder_of),
        ReportFormat::Html => page(&results.reports)?,
    };
    output::data(&text)?;
    if results.reports.iter().all(|report| report.cells.iter().all(|cell| cell.values.is_empty())) {
        output::note("nothing of this is in the store yet; `i2m2 reproduce` trains it");
        return Ok(Exit::NotMeasured);
    }
    Ok(Exit::Success)
}

/// The HTML page.
fn page(reports: &[Report]) -> Result<String, Failure> {
    let samples: BTreeMap<&CellId, Sample> = reports.iter().flat_map(Report::samples).collect();
    let tool = Provenance::here().tool;
    Ok(html::render(&Page {
        reports,
        claims: &test_claims(claims()?, &|id| samples.get(id).cloned())?,
        deviations: &deviations()?,
        effects: &effects().map_err(Failure::internal)?,
        tool: format!("{}, commit {}, {}", tool.version, tool.commit, tool.rustc),
        made: provenance::now_utc(),
    })?)
}
