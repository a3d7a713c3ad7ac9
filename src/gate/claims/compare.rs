//! From the values of two cells to what they say about a statement.
//!
//! Invariant: values that share their data and their seeds are compared in pairs, all others by Welch's test; a statement with a
//! size is shown by two one-sided tests around it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bound, ClaimError, ClaimVerdict, Comparison, Statement, TestedClaim, Undecided};
use crate::benchmarks::Published;
use crate::digest::Digest;
use crate::engine::plan::CellId;
use crate::stats::{
    Difference, Summary, holm, jackknife, paired, pairs_for_difference, seeds_for_difference, welch,
};

/// Chance of supporting (or contradicting) any claim of a family wrongly.
const ALPHA: f64 = 0.05;

/// What a cell has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    /// Values with the seeds behind each: one, or those of an ensemble's members.
    pub values: Vec<(BTreeSet<u64>, f64)>,
    /// The data behind them.
    pub data: Option<Digest>,
    /// The number of seeds that they are tested with, declared before any was run; more decide nothing.
    pub declared: usize,
    /// Whether the data was tuned until this very cell agreed with the paper.
    pub tuned: bool,
    /// Whether the data stands in for the published files.
    pub rebuilt: bool,
}

impl Sample {
    /// The values that are tested: those of the first seeds, as many as were declared; `None` where there are fewer.
    fn tested(&self) -> Option<Self> {
        let seeds: BTreeSet<u64> = self.values.iter().flat_map(|(seeds, _)| seeds.iter().copied()).collect();
        let first: BTreeSet<u64> = seeds.into_iter().take(self.declared).collect();
        let values = self.values.iter().filter(|(seeds, _)| seeds.is_subset(&first)).cloned();
        (first.len() == self.declared && self.declared > 0)
            .then(|| Sample { values: values.collect(), ..self.clone() })
    }

    /// The same number in place of each value.
    fn all(&self, number: f64) -> Self {
        let values = self.values.iter().map(|(seeds, _)| (seeds.clone(), number)).collect();
        Sample { values, tuned: false, ..self.clone() }
    }

    fn numbers(&self, factor: f64) -> Vec<f64> {
        self.values.iter().map(|(_, value)| factor * value).collect()
    }

    /// Whether each value is that of one seed, and of another than the others.
    pub(crate) fn is_one_per_seed(&self) -> bool {
        let seeds: BTreeSet<&BTreeSet<u64>> = self.values.iter().map(|(seeds, _)| seeds).collect();
        seeds.len() == self.values.len() && seeds.iter().all(|seeds| seeds.len() == 1)
    }

    /// Mean and deviation over seeds: where values are not one for each, the jackknife's.
    pub(crate) fn summary(&self, factor: f64) -> Option<Summary> {
        if self.is_one_per_seed() {
            return Summary::of(&self.numbers(factor));
        }
        let values: Vec<_> = self.values.iter().map(|(seeds, value)| (seeds, factor * value)).collect();
        jackknife(&values)
    }

    /// Whether seed for seed the same data was used.
    fn pairs_with(&self, other: &Sample) -> bool {
        let seeds =
            |sample: &Sample| sample.values.iter().map(|(seeds, _)| seeds.clone()).collect::<Vec<_>>();
        let one_each = self.is_one_per_seed() && other.is_one_per_seed();
        one_each && self.data.is_some() && self.data == other.data && seeds(self) == seeds(other)
    }
}

pub(super) fn compare(
    statement: &Statement,
    values: &dyn Fn(&CellId) -> Option<Sample>,
) -> Result<Comparison, ClaimError> {
    let above = values(&statement.above);
    let (below, published) = match &statement.below {
        Bound::Cell(cell) => (values(cell), Published::of(cell)?.map(|published| published.mean)),
        // A number has no deviation: seed for seed it is the same.
        &Bound::Number(number) => (above.as_ref().map(|sample| sample.all(number)), Some(number)),
    };
    let paper = Published::of(&statement.above)?.zip(published);
    let paper = paper.map(|(above, below)| statement.quantity(above.mean, below));
    let mut comparison = Comparison {
        statement: statement.clone(),
        ours: None,
        paper,
        paired: false,
        p_for: None,
        p_against: None,
        seeds: None,
        undecided: None,
        rebuilt: false,
    };
    let (Some(above), Some(below)) = (above, below) else { return Ok(comparison) };
    let (Some(first), Some(second)) = (above.summary(1.0), below.summary(1.0)) else { return Ok(comparison) };
    comparison.rebuilt = above.rebuilt || below.rebuilt;
    comparison.ours = Some(statement.quantity(first.mean, second.mean));
    if above.tuned && below.tuned {
        comparison.undecided = Some(Undecided::Calibrated);
        return Ok(comparison);
    }
    let (Some(above), Some(below)) = (above.tested(), below.tested()) else {
        comparison.undecided =
            Some(Undecided::Incomplete { seeds: first.n.min(second.n), of: above.declared });
        return Ok(comparison);
    };
    comparison.paired = above.pairs_with(&below);

    // above - factor * below - shift is 0 where the statement holds exactly.
    let by = statement.by.unwrap_or(0.0);
    let factor = if statement.relative { 1.0 + by / 100.0 } else { 1.0 };
    let difference = if comparison.paired {
        paired(&above.numbers(1.0), &below.numbers(factor))
    } else {
        above.summary(1.0).zip(below.summary(factor)).and_then(|(a, b)| welch(&a, &b))
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
        comparison.seeds = seeds(&comparison, &difference, &above, &below, factor);
    }
    Ok(comparison)
}

fn shifted(difference: Difference, by: f64) -> Difference {
    Difference { value: difference.value + by, ..difference }
}

/// Seeds for a difference as large as the paper's, or as ours where the paper prints none.
fn seeds(
    comparison: &Comparison,
    difference: &Difference,
    above: &Sample,
    below: &Sample,
    factor: f64,
) -> Option<usize> {
    let size = comparison.paper.or(comparison.ours).filter(|size| *size > 0.0)?;
    if comparison.paired {
        return pairs_for_difference(
            difference.standard_error * (above.values.len() as f64).sqrt(),
            size,
            ALPHA,
        );
    }
    seeds_for_difference(above.summary(1.0)?.std?, below.summary(factor)?.std?, size, ALPHA)
}

/// Replaces the raw p-values by Holm's. A family is what the ledger says of the cells of one table, measured or not, or of two: a table's
/// own family is the same wherever it is looked at. What several sentences say of the same cells is one test.
pub(super) fn correct(ledger: &mut [TestedClaim], p: impl Fn(&mut Comparison) -> &mut Option<f64>) {
    let mut families: BTreeMap<[String; 2], Vec<(Statement, f64)>> = BTreeMap::new();
    let mut all: Vec<&mut Comparison> = ledger.iter_mut().flat_map(|claim| &mut claim.tested).collect();
    for comparison in &mut all {
        let statement = comparison.statement.clone();
        let family = families.entry(tables(&statement)).or_default();
        if !family.iter().any(|(known, _)| *known == statement) {
            // What is not measured has shown nothing.
            family.push((statement, p(comparison).unwrap_or(1.0)));
        }
    }
    for family in families.values_mut() {
        let adjusted = holm(&family.iter().map(|(_, p)| *p).collect::<Vec<_>>());
        family.iter_mut().zip(adjusted).for_each(|((_, p), adjusted)| *p = adjusted);
    }
    for comparison in all {
        let statement = comparison.statement.clone();
        let family = &families[&tables(&statement)];
        if let (Some(p), Some((_, adjusted))) =
            (p(comparison), family.iter().find(|(known, _)| *known == statement))
        {
            *p = *adjusted;
        }
    }
}

/// The tables of a statement's cells.
fn tables(statement: &Statement) -> [String; 2] {
    let below = statement.below.cell().unwrap_or(&statement.above);
    [&statement.above, below].map(|cell| cell.benchmark.clone())
}

pub(super) fn decide(claim: &TestedClaim) -> ClaimVerdict {
    let below = |p: Option<f64>| p.is_some_and(|p| p < ALPHA);
    let tested = &claim.tested;
    if tested.is_empty() {
        ClaimVerdict::NotDecidable
    } else if tested.iter().any(|comparison| below(comparison.p_against)) {
        ClaimVerdict::Contradicted
    } else if tested.iter().any(|comparison| comparison.undecided == Some(Undecided::Calibrated)) {
        ClaimVerdict::Calibrated
    } else if tested.iter().any(|comparison| comparison.undecided.is_some()) {
        ClaimVerdict::Incomplete
    } else if tested.iter().any(|comparison| comparison.p_for.is_none()) {
        ClaimVerdict::NotMeasured
    } else if tested.iter().all(|comparison| below(comparison.p_for)) {
        ClaimVerdict::Supported
    } else {
        ClaimVerdict::NotDecidable
    }
}
