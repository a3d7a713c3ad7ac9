//! The files of a benchmark in the results folder: frames, tables and figures.

use std::path::{Path, PathBuf};

use crate::cli::failure::Failure;
use crate::files;
use crate::report::figure::{self, Figure};
use crate::report::{self, Format};
use crate::results::Report;

/// Writes a report's files to its folder within the results folder; returns that.
pub(super) fn write(report: &Report, out: &Path) -> Result<PathBuf, Failure> {
    let folder = out.join(report.folder());
    let put = |file: &str, bytes: &[u8]| files::write(&folder.join(file), bytes);
    let reports = std::slice::from_ref(report);
    let frames = [("frame", report::result_frame(reports)?), ("summary", report::summary_frame(reports)?)];
    for (name, mut frame) in frames {
        put(&format!("{name}.parquet"), &report::write_parquet(&mut frame)?)?;
        put(&format!("{name}.csv"), &report::write_csv(&mut frame)?)?;
    }
    for format in [Format::Text, Format::Markdown, Format::Latex, Format::Csv] {
        put(&format!("table.{}", format.extension()), format.export(report)?.as_bytes())?;
    }
    if !report.references.is_empty() {
        put("references.csv", report::references_csv(report)?.as_bytes())?;
    }
    if let Some(figure) = figure::from_report(report)? {
        picture(&folder, "figure", &figure)?;
    }
    Ok(folder)
}

/// Writes a figure as `<name>.svg` and `<name>.png`, the latter with 300 dots per inch at the width of a page.
pub(super) fn picture(folder: &Path, name: &str, drawn: &Figure) -> Result<(), Failure> {
    let svg = figure::svg(drawn)?;
    files::write(&folder.join(format!("{name}.svg")), &svg)?;
    let png = figure::png(&svg, 3.0)?;
    Ok(files::write(&folder.join(format!("{name}.png")), &png)?)
}
