//! `i2m2 report`: tables from the store.

use std::path::Path;

use crate::cli::args::{ReportFormat, Selection};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::resolve::to_read;
use crate::gate::claims;
use crate::gate::effects::effects;
use crate::provenance::{self, Provenance};
use crate::report::html::{self, Page};
use crate::report::{self, Format};
use crate::results::{self, Report};
use crate::study::deviations;

/// Prints tables from the store; trains nothing.
pub(crate) fn run(selection: &Selection, format: ReportFormat, out: &Path) -> Result<Exit, Failure> {
    let resolved = to_read(selection, out)?;
    resolved.measurable(&resolved.plan()?)?;
    let reports = results::read(&resolved)?;
    let tables = |format: Format| -> Result<String, Failure> {
        let tables: Result<Vec<String>, _> = reports.iter().map(|report| format.export(report)).collect();
        Ok(tables?.join("\n"))
    };
    let text = match format {
        ReportFormat::Latex => tables(Format::Latex)?,
        ReportFormat::Csv => tables(Format::Csv)?,
        ReportFormat::Markdown => tables(Format::Markdown)?,
        ReportFormat::Document => report::document(&reports, Report::folder),
        ReportFormat::Html => page(&reports)?,
    };
    output::data(&text)?;
    if !reports.iter().any(Report::is_measured) {
        output::note("nothing of this is in the store yet; `i2m2 reproduce` trains it");
        return Ok(Exit::NotMeasured);
    }
    Ok(Exit::Success)
}

/// The HTML page.
fn page(reports: &[Report]) -> Result<String, Failure> {
    let tool = Provenance::here().tool;
    Ok(html::render(&Page {
        reports,
        claims: &results::claims::test(&claims()?, reports)?,
        deviations: &deviations()?,
        effects: &effects().map_err(Failure::internal)?,
        tool: format!("{}, commit {}, {}", tool.version, tool.commit, tool.rustc),
        made: provenance::now_utc(),
    })?)
}
