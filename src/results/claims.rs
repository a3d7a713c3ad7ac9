//! The paper's claims, tested on what reports hold.

use std::collections::BTreeMap;

use super::{Report, ResultsError};
use crate::engine::plan::CellId;
use crate::gate::{self, Claim, ClaimVerdict, Sample, TestedClaim, test_claims};

/// Tests the ledger on the reports whose values decide any claim, and gives those that were asked for.
///
/// # Errors
/// Published values that cannot be read.
pub(crate) fn test<'r>(
    asked: &[Claim],
    reports: impl IntoIterator<Item = &'r Report>,
) -> Result<Vec<TestedClaim>, ResultsError> {
    let samples: BTreeMap<&CellId, Sample> = reports.into_iter().flat_map(Report::samples).collect();
    let mut tested = test_claims(gate::claims()?, &|id| samples.get(id).cloned())?;
    tested.retain(|tested| asked.iter().any(|claim| claim.id == tested.claim.id));
    Ok(tested)
}

/// Counts of verdicts, and of claims that the printed numbers contradict.
pub(crate) fn counts(tested: &[TestedClaim]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for claim in tested {
        *counts.entry(claim.words()).or_default() += 1;
        if claim.claim.printed.is_some() {
            *counts.entry("contradicted in print".to_owned()).or_default() += 1;
        }
    }
    counts
}

/// Whether the runs decide a claim.
pub(crate) fn is_decided(claim: &TestedClaim) -> bool {
    matches!(claim.verdict, ClaimVerdict::Supported | ClaimVerdict::Contradicted)
}
