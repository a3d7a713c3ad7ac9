//! Results against their expected ranges, and the ranges that results give.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::{CellResult, Report, Resolved, ResultsError, values};
use crate::gate::check::{CellCheck, Measured, Outcome, check, worst};
use crate::gate::expected::{Expected, ExpectedError, Range};

/// What the gate says of a selection.
#[derive(Debug, Serialize)]
pub(crate) struct Gate {
    /// The worst of the checks.
    pub outcome: Outcome,
    /// Smoke, reduced or paper.
    pub tier: String,
    /// Paper or released.
    pub protocol: String,
    /// `cpu`, or the GPU model.
    pub device_class: String,
    /// Of every cell.
    pub checks: Vec<CellCheck>,
}

impl Gate {
    /// Holds the store against the expected ranges in `folder`.
    ///
    /// # Errors
    /// A changed protocol, which has no ranges; a selection of which nothing can be measured; ranges that cannot be read.
    pub(crate) fn hold(resolved: &Resolved, folder: &Path) -> Result<Self, ResultsError> {
        let protocol = &resolved.selection.protocol;
        if !protocol.changes.is_empty() {
            return Err(ResultsError::NotMeasured(
                "ranges are those of a protocol as it stands: what was made with --set has none; leave it out to check"
                    .to_owned(),
            ));
        }
        let reports = values(resolved)?;
        if reports.iter().all(|report| report.cells.is_empty()) {
            resolved.measurable(&resolved.plan()?)?;
        }
        let held = |report: &Report| {
            let expected = expected(folder, report)?;
            Ok(check(&report.cells.iter().map(measured).collect::<Vec<_>>(), expected.as_ref()))
        };
        let checks: Vec<Vec<CellCheck>> =
            reports.par_iter().map(held).collect::<Result<_, ExpectedError>>()?;
        let checks = checks.concat();
        Ok(Gate {
            outcome: worst(&checks),
            tier: resolved.selection.tier.to_string(),
            protocol: protocol.name.to_string(),
            device_class: resolved.device.class.clone(),
            checks,
        })
    }

    /// How many checks have this outcome.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }
}

/// New ranges.
pub(crate) struct Accepted {
    /// The file that they belong into.
    pub path: PathBuf,
    /// Its content.
    pub expected: Expected,
    /// How many of them are new.
    pub cells: usize,
}

impl Accepted {
    /// The ranges that a report gives for `new_seeds` seeds, or for as many as it has; in `folder` stand those of before.
    ///
    /// # Errors
    /// A cell that is not trained yet.
    pub(crate) fn of(
        report: &Report,
        folder: &Path,
        (reason, today): (&str, &str),
        new_seeds: Option<usize>,
    ) -> Result<Self, ResultsError> {
        let (id, device_class) = (report.benchmark.id, &report.device_class);
        let before = expected(folder, report)?;
        let mut expected =
            Expected::new(id, report.tier, report.protocol, device_class, reason, today.to_owned());
        // Cells that were not selected keep their ranges.
        if let Some(before) = before {
            expected.cells = before.cells;
        }
        let mut accepted = 0;
        // Cells that cannot be measured at all (another dataset's column) have no range; one that is only not
        // trained yet stops the acceptance.
        for cell in report.cells.iter().filter(|cell| !(cell.values.is_empty() && cell.sample.data.is_none()))
        {
            let range = range(cell, new_seeds)?;
            expected.cells.insert(cell.id.to_string(), range);
            accepted += 1;
        }
        if accepted == 0 {
            return Err(ResultsError::NotMeasured(format!("no cell of `{id}` is measured")));
        }
        let path = Expected::path(folder, id, report.tier, report.protocol, device_class);
        Ok(Accepted { path, expected, cells: accepted })
    }
}

/// The range that a cell's values predict.
fn range(cell: &CellResult, new_seeds: Option<usize>) -> Result<Range, ResultsError> {
    if cell.missing.is_some() || cell.values.is_empty() {
        return Err(ResultsError::NotMeasured(format!(
            "`{}` is not measured ({}): run `i2m2 reproduce {}` with the same options first",
            cell.id,
            cell.missing.as_deref().unwrap_or("not in the store"),
            cell.id.benchmark
        )));
    }
    let values = cell.numbers();
    let keys = cell.values.iter().map(|seed| seed.key).collect();
    let verdict = cell.judgement.verdict.to_string();
    Range::predict(&values, new_seeds.unwrap_or(values.len()), cell.unit(), verdict, keys).ok_or_else(|| {
        ResultsError::NotMeasured(format!("`{}` has no finite values to predict from", cell.id))
    })
}

/// The ranges of a report, if there are any.
pub(super) fn expected(folder: &Path, report: &Report) -> Result<Option<Expected>, ExpectedError> {
    Expected::find(folder, report.benchmark.id, report.tier, report.protocol, &report.device_class)
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
