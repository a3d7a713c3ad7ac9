//! Sentences of the paper that are tested: `paper/claims.toml`.
//!
//! Invariant: a claim is supported only when every one of its comparisons is, after Holm's correction over all
//! comparisons of the benchmark; a comparison that is not measured leaves its claim not measured.

use serde::{Deserialize, Serialize};

use crate::benchmarks::{Published, PublishedError};
use crate::engine::plan::CellId;
use crate::stats::{Summary, holm, welch};

const FILE: &str = "paper/claims.toml";
/// Chance of supporting (or contradicting) any claim of a benchmark wrongly.
const ALPHA: f64 = 0.05;

/// A sentence of the paper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// A short name.
    pub id: String,
    /// The benchmark whose cells it speaks of.
    pub benchmark: String,
    /// The paper's words.
    pub sentence: String,
    /// Where the paper says it.
    #[serde(rename = "where")]
    pub place: String,
    /// Pairs of cells, `column:row`: the first is said to lie above the second.
    pub comparisons: Vec<[String; 2]>,
}

/// What the runs say about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimVerdict {
    /// Every comparison shows it.
    Supported,
    /// A comparison shows the opposite.
    Contradicted,
    /// Neither is shown by this many seeds.
    Undecided,
    /// A comparison has fewer than two values on a side.
    NotMeasured,
}

impl std::fmt::Display for ClaimVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ClaimVerdict::Supported => "supported",
            ClaimVerdict::Contradicted => "contradicted",
            ClaimVerdict::Undecided => "undecided",
            ClaimVerdict::NotMeasured => "not measured",
        })
    }
}

/// One comparison of a claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Said to lie above.
    pub above: CellId,
    /// Said to lie below.
    pub below: CellId,
    /// Difference of our means.
    pub ours: Option<f64>,
    /// Difference of the published means.
    pub paper: Option<f64>,
    /// p-value of "not above" (Welch, one-sided), after Holm.
    pub p_not_above: Option<f64>,
    /// p-value of "not below", after Holm.
    pub p_not_below: Option<f64>,
}

/// A claim and what the runs say about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestedClaim {
    /// The claim.
    pub claim: Claim,
    /// What the runs say.
    pub verdict: ClaimVerdict,
    /// Its comparisons, in its order.
    pub comparisons: Vec<Comparison>,
}

/// Why claims could not be tested.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The file of claims.
    #[error("{FILE}: {found}, expected {expected}; correct the file and build again")]
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ledger {
    claim: Vec<Claim>,
}

/// Every claim, in the file's order.
pub fn claims() -> Result<Vec<Claim>, ClaimError> {
    let ledger: Ledger = toml::from_str(include_str!("../../paper/claims.toml"))
        .map_err(|error| ClaimError::File { found: error.to_string(), expected: "a list of [[claim]]" })?;
    Ok(ledger.claim)
}

/// Tests the claims about one benchmark; `values` gives a cell's values, one per seed.
pub fn test_claims(
    benchmark: &str,
    values: &dyn Fn(&CellId) -> Vec<f64>,
) -> Result<Vec<TestedClaim>, ClaimError> {
    let mut tested = Vec::new();
    for claim in claims()?.into_iter().filter(|claim| claim.benchmark == benchmark) {
        let comparisons = claim
            .comparisons
            .iter()
            .map(|[above, below]| compare(cell(&claim, above)?, cell(&claim, below)?, values))
            .collect::<Result<Vec<_>, _>>()?;
        tested.push(TestedClaim { claim, verdict: ClaimVerdict::NotMeasured, comparisons });
    }
    correct(&mut tested, |comparison| &mut comparison.p_not_above);
    correct(&mut tested, |comparison| &mut comparison.p_not_below);
    for claim in &mut tested {
        claim.verdict = decide(&claim.comparisons);
    }
    Ok(tested)
}

fn compare(
    above: CellId,
    below: CellId,
    values: &dyn Fn(&CellId) -> Vec<f64>,
) -> Result<Comparison, ClaimError> {
    let difference = match (Summary::of(&values(&above)), Summary::of(&values(&below))) {
        (Some(first), Some(second)) => welch(&first, &second),
        _ => None,
    };
    let paper = match (Published::of(&above)?, Published::of(&below)?) {
        (Some(first), Some(second)) => Some(first.mean - second.mean),
        _ => None,
    };
    Ok(Comparison {
        above,
        below,
        ours: difference.map(|difference| difference.value),
        paper,
        p_not_above: difference.map(|difference| difference.p_not_above()),
        p_not_below: difference.map(|difference| difference.reversed().p_not_above()),
    })
}

/// Replaces the raw p-values that are there by Holm's.
fn correct(tested: &mut [TestedClaim], p: impl Fn(&mut Comparison) -> &mut Option<f64>) {
    let mut found: Vec<&mut f64> = tested
        .iter_mut()
        .flat_map(|claim| claim.comparisons.iter_mut())
        .filter_map(|comparison| p(comparison).as_mut())
        .collect();
    let raw: Vec<f64> = found.iter().map(|value| **value).collect();
    for (value, adjusted) in found.iter_mut().zip(holm(&raw)) {
        **value = adjusted;
    }
}

fn decide(comparisons: &[Comparison]) -> ClaimVerdict {
    let below = |p: Option<f64>| p.is_some_and(|p| p < ALPHA);
    if comparisons.iter().any(|comparison| below(comparison.p_not_below)) {
        ClaimVerdict::Contradicted
    } else if comparisons.iter().any(|comparison| comparison.p_not_above.is_none()) {
        ClaimVerdict::NotMeasured
    } else if comparisons.iter().all(|comparison| below(comparison.p_not_above)) {
        ClaimVerdict::Supported
    } else {
        ClaimVerdict::Undecided
    }
}

fn cell(claim: &Claim, address: &str) -> Result<CellId, ClaimError> {
    let Some((column, row)) = address.split_once(':') else {
        let found = format!("`{address}` in claim `{}`", claim.id);
        return Err(ClaimError::File { found, expected: "`column:row`" });
    };
    Ok(CellId { benchmark: claim.benchmark.clone(), column: column.to_owned(), row: row.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_claim_speaks_of_published_cells_and_holds_in_the_paper() {
        let claims = claims().unwrap();
        let ids: BTreeSet<&str> = claims.iter().map(|claim| claim.id.as_str()).collect();
        assert_eq!(ids.len(), claims.len());
        for benchmark in claims.iter().map(|claim| claim.benchmark.as_str()).collect::<BTreeSet<_>>() {
            for tested in test_claims(benchmark, &|_| Vec::new()).unwrap() {
                assert_eq!(tested.verdict, ClaimVerdict::NotMeasured);
                for comparison in tested.comparisons {
                    let difference = comparison.paper;
                    assert!(difference.is_some_and(|d| d > 0.0), "{}: {comparison:?}", tested.claim.id);
                }
            }
        }
    }

    /// Values around a mean per row of Table 1.
    fn table1(means: [(&str, f64); 7]) -> Vec<(String, ClaimVerdict)> {
        let values = |id: &CellId| {
            let mean = means.iter().find(|(row, _)| *row == id.row).map(|(_, mean)| *mean);
            mean.map_or(Vec::new(), |mean| [-0.2, -0.1, 0.0, 0.1, 0.2].map(|d| mean + d).to_vec())
        };
        let tested = test_claims("table1", &values).unwrap();
        tested.into_iter().map(|tested| (tested.claim.id, tested.verdict)).collect()
    }

    fn rows(image: f64, lf: f64, i2m2: f64) -> [(&'static str, f64); 7] {
        [
            ("image", image),
            ("audio", 39.6),
            ("intra", 68.6),
            ("inter-lf", lf),
            ("inter-lrtf", 71.5),
            ("i2m2-lf", i2m2),
            ("i2m2-lrtf", 72.4),
        ]
    }

    #[test]
    fn claims_are_supported_contradicted_or_undecided() {
        use ClaimVerdict::{Contradicted, Supported, Undecided};
        let verdicts = |rows| table1(rows).into_iter().map(|(_, verdict)| verdict).collect::<Vec<_>>();
        assert_eq!(verdicts(rows(64.7, 71.7, 72.4)), [Supported; 4]);
        assert_eq!(verdicts(rows(64.7, 71.7, 71.75)), [Supported, Supported, Supported, Undecided]);
        assert_eq!(verdicts(rows(69.9, 71.7, 70.9)), [Supported, Contradicted, Supported, Contradicted]);
    }
}
