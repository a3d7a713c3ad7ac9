//! Sentences of the paper that can be tested: `paper/claims.toml`.
//!
//! Invariant: a claim is supported only when every one of its comparisons is, after Holm's correction over all comparisons that the
//! ledger makes about its table, whichever are asked for; a comparison that is not measured leaves its claim not measured, one with
//! fewer seeds than were declared leaves it incomplete, and one of two cells that the data was tuned to decides nothing. What the paper's own numbers
//! say of a sentence stands beside that, and needs no run.

mod compare;
mod ledger;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::benchmarks::PublishedError;
use crate::engine::plan::CellId;

pub(crate) use compare::Sample;
pub(crate) use ledger::{Bound, Claim, Statement, claims};

use compare::{compare, correct, decide};

/// What the runs say about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "lowercase")]
pub(crate) enum ClaimVerdict {
    /// Every comparison shows it.
    Supported,
    /// A comparison shows the opposite.
    Contradicted,
    /// Neither is shown by this many seeds, or no cell of a table could show it.
    #[strum(to_string = "not decidable")]
    NotDecidable,
    /// It compares two cells that the data was tuned to.
    Calibrated,
    /// A comparison has fewer seeds than were declared.
    Incomplete,
    /// A comparison has no values on a side.
    #[strum(to_string = "not measured")]
    NotMeasured,
}

/// One comparison of a claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Comparison {
    /// What is said of which cells.
    #[serde(flatten)]
    pub statement: Statement,
    /// What the sentence is about, of our means: their difference, in percent of the second where the statement is relative.
    pub ours: Option<f64>,
    /// The same of the published means.
    pub paper: Option<f64>,
    /// Whether the values were compared seed by seed.
    pub paired: bool,
    /// p-value of the opposite; small means shown. After Holm.
    pub p_for: Option<f64>,
    /// p-value of the statement; small means contradicted. After Holm.
    pub p_against: Option<f64>,
    /// Why no test was made, where both sides have values.
    pub undecided: Option<Undecided>,
    /// Whether the data of a side stands in for the published files.
    pub rebuilt: bool,
    /// Seeds of each that would show a difference as large as the paper's with 80 % power, where nothing is shown yet.
    pub seeds: Option<usize>,
}

/// Why a comparison is not tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Undecided {
    /// Both cells were used to tune the data.
    Calibrated,
    /// There are fewer seeds than were declared.
    Incomplete {
        /// Of the side that has fewer.
        seeds: usize,
        /// As many were declared.
        of: usize,
    },
}

/// A claim and what the runs say about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct TestedClaim {
    /// The claim.
    pub claim: Claim,
    /// What the runs say.
    pub verdict: ClaimVerdict,
    /// Its comparisons, in its order.
    pub tested: Vec<Comparison>,
}

impl TestedClaim {
    /// The verdict, with what it is said of where that is not the paper's data.
    pub(crate) fn words(&self) -> String {
        let decided = matches!(
            self.verdict,
            ClaimVerdict::Supported | ClaimVerdict::Contradicted | ClaimVerdict::NotDecidable
        );
        let of = if self.claim.is_about_the_model() {
            " on the generative model"
        } else if decided && self.tested.iter().any(|comparison| comparison.rebuilt) {
            " on rebuilt data"
        } else {
            ""
        };
        format!("{}{of}", self.verdict)
    }
}

/// Why claims could not be tested.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    /// The file of claims.
    #[error("paper/claims.toml: {found}, expected {expected}; correct the file and build again")]
    File {
        /// What was found.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A file of published values.
    #[error(transparent)]
    Published(#[from] PublishedError),
}

/// Tests all claims of a ledger; `values` gives what a cell has. Whoever asks for some of them selects afterwards, so that what is asked
/// for changes no verdict.
///
/// # Errors
/// Published values that cannot be read.
pub(crate) fn test_claims(
    ledger: Vec<Claim>,
    values: &dyn Fn(&CellId) -> Option<Sample>,
) -> Result<Vec<TestedClaim>, ClaimError> {
    let mut all = Vec::new();
    for claim in ledger {
        let tested =
            claim.comparisons.iter().map(|statement| compare(statement, values)).collect::<Result<_, _>>()?;
        all.push(TestedClaim { claim, verdict: ClaimVerdict::NotMeasured, tested });
    }
    correct(&mut all, |comparison| &mut comparison.p_for);
    correct(&mut all, |comparison| &mut comparison.p_against);
    for claim in &mut all {
        claim.verdict = decide(claim);
    }
    Ok(all)
}
