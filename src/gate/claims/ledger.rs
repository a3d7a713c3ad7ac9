//! The file: sentences, and what they say of which cells.
//!
//! Invariant: every claim says something of cells or says what it would need; addresses have three parts, sizes a tolerance.

use serde::{Deserialize, Serialize};

use super::ClaimError;
use crate::benchmarks::{self, Benchmark};
use crate::engine::plan::CellId;

/// A sentence of the paper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claim {
    /// A short name.
    pub id: String,
    /// The paper's words.
    pub sentence: String,
    /// Where the paper says it.
    #[serde(rename = "where")]
    pub place: String,
    /// What it says of cells; empty where no cell of a table or figure holds it.
    #[serde(default)]
    pub comparisons: Vec<Statement>,
    /// What would have to be measured or obtained to decide it, where there are no comparisons.
    pub needs: Option<String>,
    /// Which numbers that the paper itself prints say otherwise.
    pub printed: Option<String>,
    /// How the sentence became comparisons, where that is not obvious.
    pub note: Option<String>,
}

/// What a cell is compared with: another cell, or a number that the sentence names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Bound {
    /// In the unit of the cell above it.
    Number(f64),
    /// `benchmark:column:row`.
    Cell(CellId),
}

impl Bound {
    /// The cell, if it is one.
    pub(crate) fn cell(&self) -> Option<&CellId> {
        match self {
            Bound::Cell(cell) => Some(cell),
            Bound::Number(_) => None,
        }
    }
}

/// What is said of two cells: the first lies above the second, or above it by a size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Statement {
    /// `benchmark:column:row`.
    pub above: CellId,
    /// `benchmark:column:row`, or a number.
    pub below: Bound,
    /// By how much, in the cells' unit, or in percent of the second.
    pub by: Option<f64>,
    /// How far from that it may lie.
    pub within: Option<f64>,
    /// Whether `by` is in percent of the second.
    #[serde(default)]
    pub relative: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ledger {
    claim: Vec<Claim>,
}

impl Claim {
    /// Whether it speaks of cells of this benchmark.
    pub(crate) fn touches(&self, benchmark: &str) -> bool {
        self.cells().any(|cell| cell.benchmark == benchmark)
    }

    /// Whether it speaks of cells of this benchmark and of no other.
    pub(crate) fn is_about(&self, benchmark: &str) -> bool {
        !self.comparisons.is_empty() && self.cells().all(|cell| cell.benchmark == benchmark)
    }

    /// Whether it speaks of the paper's generative model alone, which is synthetic by nature: what its runs say is said of a
    /// model, never of the paper's data.
    pub(crate) fn is_about_the_model(&self) -> bool {
        let synthetic = |cell: &CellId| benchmarks::find(&cell.benchmark).is_ok_and(Benchmark::is_synthetic);
        !self.comparisons.is_empty() && self.cells().all(synthetic)
    }

    fn cells(&self) -> impl Iterator<Item = &CellId> {
        self.comparisons.iter().flat_map(Statement::cells)
    }
}

impl Statement {
    /// The cells that it speaks of.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &CellId> {
        std::iter::once(&self.above).chain(self.below.cell())
    }

    /// What the statement is about: the difference, in percent of the second where it is relative.
    pub(crate) fn quantity(&self, above: f64, below: f64) -> f64 {
        if self.relative { 100.0 * (above / below - 1.0) } else { above - below }
    }
}

/// Every claim, in the file's order.
///
/// # Errors
/// A file that is no such ledger.
pub(crate) fn claims() -> Result<Vec<Claim>, ClaimError> {
    read(include_str!("../../../paper/claims.toml"))
}

pub(super) fn read(text: &str) -> Result<Vec<Claim>, ClaimError> {
    let bad = |found: String, expected| ClaimError::File { found, expected };
    let ledger: Ledger =
        toml::from_str(text).map_err(|error| bad(error.to_string(), "a list of [[claim]]"))?;
    for claim in &ledger.claim {
        if claim.comparisons.is_empty() != claim.needs.is_some() {
            let found = format!("claim `{}`", claim.id);
            return Err(bad(found, "either comparisons or what it needs"));
        }
        for statement in &claim.comparisons {
            let finite = !matches!(statement.below, Bound::Number(number) if !number.is_finite());
            let sized = finite
                && match (statement.by, statement.within) {
                    (Some(by), Some(within)) => by.is_finite() && within.is_finite() && within > 0.0,
                    (None, None) => !statement.relative,
                    _ => false,
                };
            if !sized {
                let found = format!("a comparison of claim `{}`", claim.id);
                return Err(bad(found, "a size `by` together with a tolerance `within` above 0, or neither"));
            }
        }
    }
    Ok(ledger.claim)
}
