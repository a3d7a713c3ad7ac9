//! How many seeds a verdict or a claim would take, from what the paper prints alone or from deviations of our own.
//!
//! Invariant: the same tests as the verdicts' are planned for, each cell on its own; a number is the smallest that reaches 80 %.

use serde::Serialize;

use super::claims::{Claim, ClaimError};
use super::verdict::readings;
use crate::benchmarks::Published;
use crate::engine::plan::CellId;
use crate::stats::{Summary, minimum_detectable, seeds_for_difference, seeds_for_equivalence, welch};

/// Level of every test.
const ALPHA: f64 = 0.05;

/// What the verdict on a cell takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CellPower {
    /// The cell.
    pub cell: CellId,
    /// How far the means may lie apart.
    pub margin: f64,
    /// The deviation that is planned with.
    pub std: f64,
    /// Whether that is ours, from stored runs, or the paper's.
    pub measured: bool,
    /// Seeds that show agreement within the margin if there is; `None` where no number does, because the published mean itself is
    /// too uncertain.
    pub seeds: Option<usize>,
    /// The smallest difference that as many seeds as the paper has would show.
    pub detectable: f64,
}

/// What a comparison of a claim takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ClaimPower {
    /// The claim.
    pub claim: String,
    /// Said to lie above.
    pub above: CellId,
    /// Said to lie below.
    pub below: CellId,
    /// The published difference.
    pub difference: f64,
    /// Seeds of each that show it, without pairing; `None` where it points the other way or thousands would not do.
    pub seeds: Option<usize>,
}

/// Plans a cell; `std` is ours where runs are stored. `None` where the paper prints no deviation of several runs.
pub(crate) fn cell_power(
    cell: &CellId,
    published: &Published,
    margin: f64,
    std: Option<f64>,
) -> Option<CellPower> {
    // The wider reading of the published deviation.
    let [_, (_, theirs)] = readings(published)?;
    let planned = std.or(theirs.std)?;
    let as_many = Summary { n: theirs.n, mean: theirs.mean, std: Some(planned) };
    Some(CellPower {
        cell: cell.clone(),
        margin,
        std: planned,
        measured: std.is_some(),
        seeds: seeds_for_equivalence(planned, &theirs, margin, ALPHA),
        detectable: minimum_detectable(&welch(&as_many, &theirs)?.cautious(), ALPHA),
    })
}

/// Plans the comparisons of claims whose cells are published; `std` gives our deviation of a cell where runs are stored.
///
/// # Errors
/// Published values that cannot be read.
pub(crate) fn claim_power(
    claims: &[Claim],
    std: &dyn Fn(&CellId) -> Option<f64>,
) -> Result<Vec<ClaimPower>, ClaimError> {
    let mut planned = Vec::new();
    for claim in claims {
        for statement in &claim.comparisons {
            let above = &statement.above;
            // Against a number no difference is printed that seeds could be planned for.
            let Some(below) = statement.below.cell() else { continue };
            let (Some(first), Some(second)) = (Published::of(above)?, Published::of(below)?) else {
                continue;
            };
            let known = |cell: &CellId, published: &Published| std(cell).or(published.std);
            let (Some(a), Some(b)) = (known(above, &first), known(below, &second)) else { continue };
            let difference = first.mean - second.mean;
            planned.push(ClaimPower {
                claim: claim.id.clone(),
                above: above.clone(),
                below: below.clone(),
                difference,
                seeds: seeds_for_difference(a, b, difference, ALPHA),
            });
        }
    }
    Ok(planned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmarks;

    #[test]
    fn every_published_cell_with_a_margin_can_be_planned() {
        let margins = crate::gate::margins().unwrap();
        for id in ["table1", "table2", "table5"] {
            let benchmark = benchmarks::find(id).unwrap();
            for (cell, published) in benchmarks::published(benchmark).unwrap() {
                let margin = margins.iter().find(|margin| margin.holds(&cell)).unwrap().margin;
                let plain = cell_power(&cell, &published, margin, None).unwrap();
                assert!(plain.detectable > 0.0 && !plain.measured, "{plain:?}");
                // Scattering more takes at least as many.
                let wider = cell_power(&cell, &published, margin, Some(3.0 * plain.std)).unwrap();
                assert!(wider.measured && wider.detectable > plain.detectable);
                assert!(wider.seeds.unwrap_or(usize::MAX) >= plain.seeds.unwrap_or(usize::MAX), "{wider:?}");
            }
        }
        // Audio deviates by 1.44 over five runs: no number of our seeds shows agreement within a point.
        let audio = benchmarks::find("table1").unwrap().cell_id("accuracy", "audio");
        let published = Published::of(&audio).unwrap().unwrap();
        assert_eq!(cell_power(&audio, &published, 1.0, None).unwrap().seeds, None);
    }

    #[test]
    fn large_published_differences_take_few_seeds_and_small_ones_many() {
        let claims = crate::gate::claims().unwrap();
        let planned = claim_power(&claims, &|_| None).unwrap();
        let seeds = |above: &str, below: &str| {
            let name = |cell: &CellId| cell.to_string();
            let found = planned.iter().find(|p| name(&p.above) == above && name(&p.below) == below);
            found.unwrap().seeds
        };
        assert_eq!(seeds("table1:accuracy:image", "table1:accuracy:audio"), Some(2));
        assert!(seeds("table2:icd9-140-239:i2m2", "table2:icd9-140-239:inter").is_some_and(|n| n > 20));
    }
}
