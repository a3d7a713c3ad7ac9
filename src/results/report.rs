//! One benchmark's results: what is reported, and everything that is decided about it.
//!
//! Invariant: a report is assembled from a plan and stored values alone; building it measures nothing. Renderings take from it
//! what they show, and decide nothing.

use super::judging::judge_cells;
use super::{CellResult, Observed, Reference, ResultsError};
use crate::benchmarks::{self, Benchmark, Published};
use crate::digest::Digest;
use crate::engine::plan::{CellId, Plan};
use crate::gate::{Sample, TestedClaim, claims, test_claims};
use crate::study::{self, Change, ProtocolName, Tier, deviations_of};

/// One benchmark's results.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// The benchmark.
    pub benchmark: &'static Benchmark,
    /// Smoke, reduced or paper.
    pub tier: Tier,
    /// Paper or released.
    pub protocol: ProtocolName,
    /// Values of the protocol that were changed on the command line; such a report is compared with nothing.
    pub changes: Vec<Change>,
    /// `cpu`, or the GPU model.
    pub device_class: String,
    /// What was found about repeating a run on this device: `bitwise`, `same-device`, `statistical`.
    pub determinism: String,
    /// In the plan's order.
    pub cells: Vec<CellResult>,
    /// Known optima of synthetic data and negative controls, printed beside the table; empty for real data.
    pub references: Vec<Reference>,
    /// Ids of the deviations that touch this benchmark.
    pub deviations: Vec<String>,
    /// The paper's claims about this benchmark, tested; empty where its values decide none.
    pub claims: Vec<TestedClaim>,
}

impl Report {
    /// The report of one benchmark from the cells that a plan holds of it, each judged.
    pub(crate) fn assemble(
        benchmark: &'static Benchmark,
        plan: &Plan,
        observed: &Observed<'_>,
    ) -> Result<Self, ResultsError> {
        let published = benchmarks::published(benchmark)?;
        let declared = benchmark.seeds(observed.declared);
        let mut cells: Vec<CellResult> = plan
            .cells
            .iter()
            .filter(|cell| cell.id.benchmark == benchmark.id)
            .map(|cell| CellResult::of(cell, plan, (published.get(&cell.id).cloned(), declared), observed))
            .collect();
        let rebuilt = cells.iter().any(|cell| cell.sample.rebuilt);
        let judged = |(id, published): &(&CellId, &Published)| {
            benchmark.is_a_result(id) && !(rebuilt && published.calibrated.is_some())
        };
        judge_cells(&mut cells, plan, published.iter().filter(judged).count())?;
        let values = |id: &CellId| Some(cells.iter().find(|cell| cell.id == *id)?.sample.clone());
        let claims = if decides_claims(benchmark, plan.tier, &plan.changes) {
            // All that is said of this table: its family is whole.
            let said = claims()?.into_iter().filter(|claim| claim.touches(benchmark.id));
            let mut tested = test_claims(said.collect(), &values)?;
            tested.retain(|tested| tested.claim.is_about(benchmark.id));
            tested
        } else {
            Vec::new()
        };
        Ok(Report {
            benchmark,
            tier: plan.tier,
            protocol: plan.protocol,
            changes: plan.changes.clone(),
            device_class: plan.device_class.clone(),
            determinism: observed.determinism.clone(),
            cells,
            references: Vec::new(),
            deviations: deviations_of(benchmark.id)?.into_iter().map(|deviation| deviation.id).collect(),
            claims,
        })
    }

    /// What claims of the paper are tested on: nothing where its values decide none.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (&CellId, Sample)> {
        let decides = decides_claims(self.benchmark, self.tier, &self.changes);
        self.cells.iter().filter(move |_| decides).map(|cell| (&cell.id, cell.sample.clone()))
    }

    /// Whether it is compared with the paper's numbers: at the paper tier alone.
    pub(crate) fn is_comparable(&self) -> bool {
        self.tier == Tier::Paper
    }

    /// Whether any of its runs is in the store.
    pub(crate) fn is_measured(&self) -> bool {
        self.cells.iter().any(|cell| !cell.values.is_empty())
    }

    /// Its folder within the results folder; what was changed stands beside what was not, never in its place.
    pub(crate) fn folder(&self) -> String {
        let protocol = match self.protocol {
            ProtocolName::Paper => "",
            ProtocolName::Released => ".released",
        };
        let changed = match &self.changes[..] {
            [] => String::new(),
            _ => format!(".changed-{}", Digest::of(self.protocol_words().as_bytes()).short()),
        };
        format!("{}.{}{protocol}{changed}", self.benchmark.id, self.tier)
    }

    /// The protocol with its changes.
    pub(crate) fn protocol_words(&self) -> String {
        study::words(self.protocol, &self.changes)
    }

    /// The cell at a row and column of the layout, if the plan held it.
    pub(crate) fn cell(&self, row: &str, column: &str) -> Option<&CellResult> {
        self.cells.iter().find(|cell| cell.id.row == row && cell.id.column == column)
    }
}

/// Claims are about the paper's budget on real data, and its generative model is what it is: other tiers and changed protocols
/// say nothing about them.
fn decides_claims(benchmark: &Benchmark, tier: Tier, changes: &[Change]) -> bool {
    changes.is_empty() && (tier == Tier::Paper || benchmark.is_synthetic())
}
