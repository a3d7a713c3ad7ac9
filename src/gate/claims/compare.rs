//! From the values of two cells to what they say about a statement.
//!
//! Invariant: values that share their data and their seeds are compared in pairs, all others by Welch's test; a statement with a
//! size is shown by two one-sided tests around it.

use super::{ClaimError, ClaimVerdict, Comparison, Statement, TestedClaim};
use crate::benchmarks::Published;
use crate::digest::Digest;
use crate::engine::plan::CellId;
use crate::stats::{Difference, Summary, holm, paired, pairs_for_difference, seeds_for_difference, welch};

/// Chance of supporting (or contradicting) any claim of a family wrongly.
const ALPHA: f64 = 0.05;

/// What a cell has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    /// One value per seed.
    pub values: Vec<(u64, f64)>,
    /// The data behind them.
    pub data: Option<Digest>,
}

impl Sample {
    fn numbers(&self, factor: f64) -> Vec<f64> {
        self.values.iter().map(|(_, value)| factor * value).collect()
    }

    /// Whether seed for seed the same data was used.
    fn pairs_with(&self, other: &Sample) -> bool {
        let seeds = |sample: &Sample| sample.values.iter().map(|(seed, _)| *seed).collect::<Vec<_>>();
        self.data.is_some() && self.data == other.data && seeds(self) == seeds(other)
    }
}

pub(super) fn compare(
    statement: &Statement,
    values: &dyn Fn(&CellId) -> Option<Sample>,
) -> Result<Comparison, ClaimError> {
    let (above, below) = (values(&statement.above), values(&statement.below));
    let paper = match (Published::of(&statement.above)?, Published::of(&statement.below)?) {
        (Some(above), Some(below)) => Some(statement.quantity(above.mean, below.mean)),
        _ => None,
    };
    let mut comparison = Comparison {
        statement: statement.clone(),
        ours: None,
        paper,
        paired: false,
        p_for: None,
        p_against: None,
        seeds: None,
    };
    let (Some(above), Some(below)) = (above, below) else { return Ok(comparison) };
    let means = (Summary::of(&above.numbers(1.0)), Summary::of(&below.numbers(1.0)));
    let (Some(first), Some(second)) = means else { return Ok(comparison) };
    comparison.ours = Some(statement.quantity(first.mean, second.mean));
    comparison.paired = above.pairs_with(&below);

    // above - factor * below - shift is 0 where the statement holds exactly.
    let by = statement.by.unwrap_or(0.0);
    let factor = if statement.relative { 1.0 + by / 100.0 } else { 1.0 };
    let (above, below) = (above.numbers(1.0), below.numbers(factor));
    let difference = if comparison.paired {
        paired(&above, &below)
    } else {
        Summary::of(&above).zip(Summary::of(&below)).and_then(|(a, b)| welch(&a, &b))
    };
    let Some(difference) = difference else { return Ok(comparison) };
    let difference = if statement.relative { difference } else { shifted(difference, -by) };
    let (p_for, p_against) = match statement.within {
        None => (difference.p_not_above(), difference.reversed().p_not_above()),
        Some(within) => {
            let margin = if statement.relative { within / 100.0 * second.mean.abs() } else { within };
            let beyond = shifted(difference, -margin).p_not_above();
            let short = shifted(difference, margin).reversed().p_not_above();
            (difference.p_apart(margin), (2.0 * beyond.min(short)).min(1.0))
        }
    };
    (comparison.p_for, comparison.p_against) = (Some(p_for), Some(p_against));
    if statement.within.is_none() && p_for >= ALPHA && p_against >= ALPHA {
        comparison.seeds = seeds(&comparison, &difference, &above, &below);
    }
    Ok(comparison)
}

fn shifted(difference: Difference, by: f64) -> Difference {
    Difference { value: difference.value + by, ..difference }
}

/// Seeds for a difference as large as the paper's, or as ours where the paper prints none.
fn seeds(comparison: &Comparison, difference: &Difference, above: &[f64], below: &[f64]) -> Option<usize> {
    let size = comparison.paper.or(comparison.ours).filter(|size| *size > 0.0)?;
    if comparison.paired {
        return pairs_for_difference(difference.standard_error * (above.len() as f64).sqrt(), size, ALPHA);
    }
    seeds_for_difference(Summary::of(above)?.std?, Summary::of(below)?.std?, size, ALPHA)
}

/// Replaces the raw p-values that are there by Holm's. What several sentences say of the same cells is one test.
pub(super) fn correct(claims: &mut [TestedClaim], p: impl Fn(&mut Comparison) -> &mut Option<f64>) {
    let mut found: Vec<(Statement, &mut f64)> = claims
        .iter_mut()
        .flat_map(|claim| claim.tested.iter_mut())
        .filter_map(|comparison| {
            let statement = comparison.statement.clone();
            Some((statement, p(comparison).as_mut()?))
        })
        .collect();
    let mut tests: Vec<(Statement, f64)> = Vec::new();
    for (statement, value) in &found {
        if !tests.iter().any(|(known, _)| known == statement) {
            tests.push((statement.clone(), **value));
        }
    }
    let adjusted = holm(&tests.iter().map(|(_, p)| *p).collect::<Vec<_>>());
    for (statement, value) in &mut found {
        let place = tests.iter().position(|(known, _)| known == statement);
        **value = place.map_or(1.0, |place| adjusted[place]);
    }
}

pub(super) fn decide(claim: &TestedClaim) -> ClaimVerdict {
    let below = |p: Option<f64>| p.is_some_and(|p| p < ALPHA);
    let tested = &claim.tested;
    if tested.is_empty() {
        ClaimVerdict::NotDecidable
    } else if tested.iter().any(|comparison| below(comparison.p_against)) {
        ClaimVerdict::Contradicted
    } else if tested.iter().any(|comparison| comparison.p_for.is_none()) {
        ClaimVerdict::NotMeasured
    } else if tested.iter().all(|comparison| below(comparison.p_for)) {
        ClaimVerdict::Supported
    } else {
        ClaimVerdict::NotDecidable
    }
}
