//! `i2m2 check` and `i2m2 accept`: the gate, and how its ranges change.

use std::path::Path;

use crate::cli::args::{CheckFormat, Selection};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::resolve::to_read;
use crate::gate::check::Outcome;
use crate::provenance;
use crate::results::{self, Accepted, Gate};

/// Holds the store against the expected ranges.
pub(crate) fn run(
    selection: &Selection,
    format: CheckFormat,
    folder: &Path,
    out: &Path,
) -> Result<Exit, Failure> {
    let gate = Gate::hold(&to_read(selection, out)?, folder)?;
    match format {
        CheckFormat::Json => output::json(&gate)?,
        CheckFormat::Text => output::data(&text(&gate))?,
        CheckFormat::Github => output::data(&github(&gate))?,
        CheckFormat::Markdown => output::data(&markdown(&gate))?,
    }
    Ok(match gate.outcome {
        Outcome::Pass => Exit::Success,
        Outcome::NotMeasured => Exit::NotMeasured,
        Outcome::Failed => Exit::GateFailed,
    })
}

/// Rewrites expected ranges from the store.
pub(crate) fn accept(
    selection: &Selection,
    reason: &str,
    new_seeds: Option<usize>,
    folder: &Path,
    out: &Path,
) -> Result<Exit, Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::usage("--reason must say why the ranges may change"));
    }
    let resolved = to_read(selection, out)?;
    if !resolved.selection.protocol.changes.is_empty() {
        return Err(Failure::usage("ranges are accepted for a protocol as it stands: leave --set out"));
    }
    resolved.measurable(&resolved.plan()?)?;
    let today = provenance::today_utc();
    for report in &results::values(&resolved)? {
        let Accepted { path, expected, cells } = Accepted::of(report, folder, (reason, &today), new_seeds)?;
        expected.write(&path)?;
        output::note(&format!("wrote the ranges of {cells} cells to {}", path.display()));
    }
    Ok(Exit::Success)
}

fn headline(gate: &Gate) -> String {
    format!(
        "{}: {} passed, {} failed, {} not measured ({} tier, {} protocol, {})",
        gate.outcome,
        gate.count(Outcome::Pass),
        gate.count(Outcome::Failed),
        gate.count(Outcome::NotMeasured),
        gate.tier,
        gate.protocol,
        gate.device_class
    )
}

fn text(gate: &Gate) -> String {
    let mut text = String::new();
    for check in &gate.checks {
        text += &format!(
            "{:<13} {:<34} {} [paper: {}]\n",
            check.outcome, check.cell, check.message, check.verdict
        );
    }
    text + &headline(gate) + "\n"
}

fn github(gate: &Gate) -> String {
    let mut text = String::new();
    for check in &gate.checks {
        let level = match check.outcome {
            Outcome::Pass => "notice",
            Outcome::NotMeasured => "warning",
            Outcome::Failed => "error",
        };
        let message = check.message.replace('%', "%25").replace('\n', "%0A");
        text +=
            &format!("::{level} title={}::{message}\n", check.cell.replace(':', "%3A").replace(',', "%2C"));
    }
    text + &headline(gate) + "\n"
}

fn markdown(gate: &Gate) -> String {
    let mut text =
        format!("**{}**\n\n| cell | outcome | found | paper |\n|---|---|---|---|\n", headline(gate));
    for check in &gate.checks {
        text += &format!(
            "| `{}` | {} | {} | {} |\n",
            check.cell,
            check.outcome,
            check.message.replace('|', "\\|"),
            check.verdict
        );
    }
    text
}
