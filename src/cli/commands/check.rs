//! `i2m2 check` and `i2m2 accept`: the gate, and how its ranges change.

use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use crate::cli::args::{CheckFormat, Selection};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::resolve::Resolved;
use crate::cli::results::Results;
use crate::gate::check::{Finding, Measured, Outcome, check, worst};
use crate::gate::expected::{Expected, ExpectedError, Range};
use crate::provenance;
use crate::report::{CellResult, Report};

#[derive(Serialize)]
struct Gate {
    outcome: Outcome,
    tier: String,
    protocol: String,
    device_class: String,
    findings: Vec<Finding>,
}

/// Holds the store against the expected ranges.
pub fn run(selection: &Selection, format: CheckFormat, folder: &Path, out: &Path) -> Result<Exit, Failure> {
    let resolved = Resolved::new(selection, out.to_owned())?;
    if !resolved.protocol.changes.is_empty() {
        return Err(Failure::not_measured(
            "ranges are those of a protocol as it stands: what was made with --set has none; leave it out to check",
        ));
    }
    let results = Results::values(&resolved)?;
    if results.reports.iter().all(|report| report.cells.is_empty()) {
        resolved.measurable(&resolved.plan())?;
    }
    let held = |report: &Report| {
        let expected = expected(folder, report)?;
        Ok(check(&report.cells.iter().map(measured).collect::<Vec<_>>(), expected.as_ref()))
    };
    let findings: Vec<Vec<Finding>> =
        results.reports.par_iter().map(held).collect::<Result<_, ExpectedError>>()?;
    let findings = findings.concat();
    let outcome = worst(&findings);
    let gate = Gate {
        outcome,
        tier: resolved.tier.to_string(),
        protocol: resolved.protocol.name.to_string(),
        device_class: resolved.device_class.clone(),
        findings,
    };
    match format {
        CheckFormat::Json => output::json(&gate)?,
        CheckFormat::Text => output::data(&text(&gate))?,
        CheckFormat::Github => output::data(&github(&gate))?,
        CheckFormat::Markdown => output::data(&markdown(&gate))?,
    }
    Ok(match outcome {
        Outcome::Pass => Exit::Success,
        Outcome::NotMeasured => Exit::NotMeasured,
        Outcome::Failed => Exit::GateFailed,
    })
}

/// Rewrites expected ranges from the store.
pub fn accept(
    selection: &Selection,
    reason: &str,
    new_seeds: Option<usize>,
    folder: &Path,
    out: &Path,
) -> Result<Exit, Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::usage("--reason must say why the ranges may change"));
    }
    let resolved = Resolved::new(selection, out.to_owned())?;
    if !resolved.protocol.changes.is_empty() {
        return Err(Failure::usage("ranges are accepted for a protocol as it stands: leave --set out"));
    }
    resolved.measurable(&resolved.plan())?;
    let results = Results::values(&resolved)?;
    let today = provenance::today_utc();
    for report in &results.reports {
        let path = path(folder, report);
        // Cells that were not selected keep their ranges.
        let mut expected = Expected::new(
            report.benchmark.id,
            report.tier,
            report.protocol,
            &report.device_class,
            reason,
            today.clone(),
        );
        if let Some(before) = self::expected(folder, report)? {
            expected.cells = before.cells;
        }
        let mut accepted = 0;
        // Cells that cannot be measured at all (another dataset's column) have no range; one that is only not
        // trained yet stops the acceptance.
        for cell in report.cells.iter().filter(|cell| !(cell.values.is_empty() && cell.dataset.is_none())) {
            if cell.missing.is_some() || cell.values.is_empty() {
                return Err(Failure::not_measured(format!(
                    "`{}` is not measured ({}): run `i2m2 reproduce {}` with the same options first",
                    cell.id,
                    cell.missing.as_deref().unwrap_or("not in the store"),
                    report.benchmark.id
                )));
            }
            let values: Vec<f64> = cell.values.iter().map(|seed| seed.value).collect();
            let keys = cell.values.iter().map(|seed| seed.key).collect();
            let verdict = cell.judgement.verdict.to_string();
            let range = Range::predict(&values, new_seeds.unwrap_or(values.len()), &cell.unit, verdict, keys)
                .ok_or_else(|| {
                    Failure::not_measured(format!("`{}` has no finite values to predict from", cell.id))
                })?;
            expected.cells.insert(cell.id.to_string(), range);
            accepted += 1;
        }
        if accepted == 0 {
            return Err(Failure::not_measured(format!("no cell of `{}` is measured", report.benchmark.id)));
        }
        expected.write(&path)?;
        output::note(&format!("wrote the ranges of {accepted} cells to {}", path.display()));
    }
    Ok(Exit::Success)
}

/// The ranges of a report, if there are any.
pub(super) fn expected(folder: &Path, report: &Report) -> Result<Option<Expected>, ExpectedError> {
    Expected::find(folder, report.benchmark.id, report.tier, report.protocol, &report.device_class)
}

/// Where the ranges of a report stand.
fn path(folder: &Path, report: &Report) -> std::path::PathBuf {
    Expected::path(folder, report.benchmark.id, report.tier, report.protocol, &report.device_class)
}

fn measured(cell: &CellResult) -> Measured<'_> {
    let mean = if cell.missing.is_some() { None } else { cell.mean() };
    Measured {
        cell: cell.id.to_string(),
        mean,
        seeds: cell.values.len(),
        missing: cell.missing.as_deref(),
        judgement: &cell.judgement,
        setting: cell.configured.is_some(),
    }
}

fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::NotMeasured => "not measured",
        Outcome::Failed => "FAILED",
    }
}

fn headline(gate: &Gate) -> String {
    let count = |outcome| gate.findings.iter().filter(|finding| finding.outcome == outcome).count();
    format!(
        "{}: {} passed, {} failed, {} not measured ({} tier, {} protocol, {})",
        mark(gate.outcome),
        count(Outcome::Pass),
        count(Outcome::Failed),
        count(Outcome::NotMeasured),
        gate.tier,
        gate.protocol,
        gate.device_class
    )
}

fn text(gate: &Gate) -> String {
    let mut text = String::new();
    for finding in &gate.findings {
        text += &format!(
            "{:<13} {:<34} {} [paper: {}]\n",
            mark(finding.outcome),
            finding.cell,
            finding.message,
            finding.verdict
        );
    }
    text + &headline(gate) + "\n"
}

fn github(gate: &Gate) -> String {
    let mut text = String::new();
    for finding in &gate.findings {
        let level = match finding.outcome {
            Outcome::Pass => "notice",
            Outcome::NotMeasured => "warning",
            Outcome::Failed => "error",
        };
        let message = finding.message.replace('%', "%25").replace('\n', "%0A");
        text +=
            &format!("::{level} title={}::{message}\n", finding.cell.replace(':', "%3A").replace(',', "%2C"));
    }
    text + &headline(gate) + "\n"
}

fn markdown(gate: &Gate) -> String {
    let mut text =
        format!("**{}**\n\n| cell | outcome | found | paper |\n|---|---|---|---|\n", headline(gate));
    for finding in &gate.findings {
        text += &format!(
            "| `{}` | {} | {} | {} |\n",
            finding.cell,
            mark(finding.outcome),
            finding.message.replace('|', "\\|"),
            finding.verdict
        );
    }
    text
}
