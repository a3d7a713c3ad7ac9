//! The gate itself: every cell against its expected range, its verdict beside it.
//!
//! Invariant: a cell without a value or without a range is not measured, never passed; the worst check decides.

use serde::Serialize;

use super::expected::{Expected, Range};
use super::{Judgement, Verdict};

/// A cell as the store has it.
pub(crate) struct Measured<'a> {
    /// The cell's id.
    pub cell: String,
    /// Mean over the seeds, if all of them are stored.
    pub mean: Option<f64>,
    /// Number of those seeds.
    pub seeds: usize,
    /// Why it is missing.
    pub missing: Option<&'a str>,
    /// Its verdict against the paper.
    pub judgement: &'a Judgement,
    /// Whether it is a setting, which has no range: it agrees with the paper's or it does not.
    pub setting: bool,
}

/// What the gate found, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Outcome {
    /// Within its range, and no verdict that was not accepted.
    Pass,
    /// No value, no range, or a verdict that decides nothing.
    #[strum(to_string = "not measured")]
    NotMeasured,
    /// Out of its range, or newly different from the paper.
    #[strum(to_string = "FAILED")]
    Failed,
}

/// What the gate found about one cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CellCheck {
    /// The cell's id.
    pub cell: String,
    /// What was found.
    pub outcome: Outcome,
    /// Mean over the seeds.
    pub mean: Option<f64>,
    /// The expected range.
    pub range: Option<[f64; 2]>,
    /// The verdict against the paper.
    pub verdict: Verdict,
    /// In a sentence, without a full stop.
    pub message: String,
}

/// Holds measured cells against expected ranges.
pub(crate) fn check(cells: &[Measured<'_>], expected: Option<&Expected>) -> Vec<CellCheck> {
    cells
        .iter()
        .map(|cell| hold(cell, expected.and_then(|expected| expected.cells.get(&cell.cell))))
        .collect()
}

/// The worst of all checks; nothing found is not a pass.
pub(crate) fn worst(checks: &[CellCheck]) -> Outcome {
    checks.iter().map(|check| check.outcome).max().unwrap_or(Outcome::NotMeasured)
}

fn hold(cell: &Measured<'_>, range: Option<&Range>) -> CellCheck {
    let verdict = cell.judgement.verdict;
    let found = |outcome, message: String| CellCheck {
        cell: cell.cell.clone(),
        outcome,
        mean: cell.mean,
        range: range.map(|range| [range.low, range.high]),
        verdict,
        message,
    };
    let Some(mean) = cell.mean else {
        return found(Outcome::NotMeasured, cell.missing.unwrap_or("not in the store").to_owned());
    };
    if cell.setting {
        let outcome = if verdict == Verdict::Agrees { Outcome::Pass } else { Outcome::Failed };
        return found(outcome, format!("{mean:e} is set in the protocol"));
    }
    let Some(range) = range else {
        return found(
            Outcome::NotMeasured,
            format!("{mean:.2} has no expected range yet; `i2m2 accept` writes one"),
        );
    };
    // The mean of fewer seeds scatters more than the range allows for; that of more scatters less.
    if cell.seeds < range.new_seeds {
        let message = format!(
            "{mean:.2} is the mean of {} seeds; the range is one for {} or more",
            cell.seeds, range.new_seeds
        );
        return found(Outcome::NotMeasured, message);
    }
    if !range.holds(mean) {
        let message = format!("{mean:.2} is out of its expected range [{:.2}, {:.2}]", range.low, range.high);
        return found(Outcome::Failed, message);
    }
    let within = format!("{mean:.2} is within [{:.2}, {:.2}]", range.low, range.high);
    // A verdict that stood when the ranges were accepted is known; only a new one matters.
    if verdict.to_string() != range.verdict {
        match verdict {
            Verdict::Different => {
                let message = format!("{within}, but the verdict went from {} to {verdict}", range.verdict);
                return found(Outcome::Failed, message);
            }
            Verdict::Inconclusive | Verdict::Incomplete => {
                let message = format!("{within}, but the verdict went from {} to {verdict}", range.verdict);
                return found(Outcome::NotMeasured, message);
            }
            _ => {}
        }
    }
    found(Outcome::Pass, within)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Unit;
    use crate::study::{ProtocolName, Tier};

    fn judgement(verdict: Verdict) -> Judgement {
        Judgement {
            verdict,
            reason: String::new(),
            difference: None,
            margin: None,
            readings: Vec::new(),
            rebuilt: false,
        }
    }

    fn expected(verdict: Verdict) -> Expected {
        let mut expected = Expected::new(
            "t",
            Tier::Paper,
            ProtocolName::Paper,
            "cpu",
            "made up for this test",
            "2026-01-01".into(),
        );
        let range =
            Range::predict(&[70.0, 71.0, 72.0], 3, Unit::Percent, verdict.to_string(), vec![]).unwrap();
        expected.cells.insert("t:c:r".into(), range);
        expected
    }

    fn outcome(mean: Option<f64>, now: Verdict, accepted: Option<Verdict>) -> Outcome {
        let judgement = judgement(now);
        let cell = Measured {
            cell: "t:c:r".into(),
            mean,
            seeds: 3,
            missing: None,
            judgement: &judgement,
            setting: false,
        };
        worst(&check(&[cell], accepted.map(expected).as_ref()))
    }

    #[test]
    fn only_a_value_within_a_range_passes() {
        let fine = Verdict::Reproduced;
        assert_eq!(outcome(Some(71.0), fine, Some(fine)), Outcome::Pass);
        assert_eq!(outcome(Some(99.0), fine, Some(fine)), Outcome::Failed);
        assert_eq!(outcome(None, Verdict::NotMeasured, Some(fine)), Outcome::NotMeasured);
        assert_eq!(outcome(Some(71.0), fine, None), Outcome::NotMeasured);
        assert_eq!(worst(&[]), Outcome::NotMeasured);
    }

    #[test]
    fn a_setting_passes_only_if_it_agrees() {
        let found = |verdict| {
            let (judgement, cell) = (judgement(verdict), "t:c:r".into());
            let measured = Measured {
                cell,
                mean: Some(1e-5),
                seeds: 0,
                missing: None,
                judgement: &judgement,
                setting: true,
            };
            worst(&check(&[measured], None))
        };
        assert_eq!((found(Verdict::Agrees), found(Verdict::Different)), (Outcome::Pass, Outcome::Failed));
    }

    #[test]
    fn fewer_seeds_than_the_range_is_for_decide_nothing() {
        let judgement = judgement(Verdict::Reproduced);
        let found = |mean: f64, seeds: usize| {
            let cell = Measured {
                cell: "t:c:r".into(),
                mean: Some(mean),
                seeds,
                missing: None,
                judgement: &judgement,
                setting: false,
            };
            worst(&check(&[cell], Some(&expected(Verdict::Reproduced))))
        };
        assert_eq!(found(71.0, 2), Outcome::NotMeasured);
        assert_eq!(found(99.0, 2), Outcome::NotMeasured);
        assert_eq!((found(71.0, 4), found(99.0, 4)), (Outcome::Pass, Outcome::Failed));
    }

    #[test]
    fn a_new_verdict_counts_and_an_accepted_one_does_not() {
        assert_eq!(outcome(Some(71.0), Verdict::Different, Some(Verdict::Reproduced)), Outcome::Failed);
        assert_eq!(outcome(Some(71.0), Verdict::Different, Some(Verdict::Different)), Outcome::Pass);
        assert_eq!(
            outcome(Some(71.0), Verdict::Inconclusive, Some(Verdict::Reproduced)),
            Outcome::NotMeasured
        );
    }
}
