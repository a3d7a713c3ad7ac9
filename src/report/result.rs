//! What is reported: the cells of one benchmark with their values, the paper's and the verdicts.
//!
//! Invariant: a report is assembled from a plan and stored values alone; building it measures nothing.

use std::collections::BTreeMap;

use crate::benchmarks::{self, Benchmark, Published, PublishedError};
use crate::digest::Digest;
use crate::engine::plan::{Cell, CellId, Plan};
use crate::gate::{
    Case, ClaimError, Judgement, MarginError, Sample, TestedClaim, claims_about, judge, margins, test_claims,
};
use crate::protocol::{self, Change, ProtocolError, ProtocolName, Tier, deviations_of};
use crate::stats::{Interval, Summary, bootstrap_mean, mean_interval};

/// One benchmark's results.
#[derive(Clone, Debug)]
pub struct Report {
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

/// One cell's results.
#[derive(Clone, Debug)]
pub struct CellResult {
    /// Its address.
    pub id: CellId,
    /// Name of the run metric: `test_accuracy`.
    pub metric: String,
    /// `percent`, `nats`, `none`.
    pub unit: String,
    /// Digest of the prepared data behind its runs.
    pub dataset: Option<Digest>,
    /// One value per seed that is stored.
    pub values: Vec<SeedValue>,
    /// The value of a setting, which has no seeds.
    pub configured: Option<f64>,
    /// What the paper prints.
    pub published: Option<Published>,
    /// The verdict.
    pub judgement: Judgement,
    /// Why values are missing, if any are.
    pub missing: Option<String>,
}

/// The value of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeedValue {
    /// Root seed.
    pub seed: u64,
    /// In the cell's unit.
    pub value: f64,
    /// The run.
    pub key: Digest,
}

/// A known value of synthetic data: the Bayes optimum, the best log-additive predictor, a negative control.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// What it is.
    pub label: String,
    /// By column id, in the column's unit; of a figure of curves by `@<number>`, a place on the x axis of all its panels.
    pub values: BTreeMap<String, f64>,
    /// What kind of value it is.
    pub known: Known,
}

/// What is known of synthetic data beside the measured cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The best of its kind, which figures of curves show.
    Bound,
    /// The best of its kind.
    Optimum,
    /// What a predictor reaches that looks at nothing.
    Control,
}

/// What the caller knows beside the plan.
pub struct Observed<'a> {
    /// A stored metric by run key and metric name; `None` when the run is not stored.
    pub value: &'a dyn Fn(Digest, &str) -> Option<f64>,
    /// Whether the data was built with the published values of the cells that `paper/` marks as calibrated.
    pub calibrated_data: bool,
    /// What was found about repeating a run on this device.
    pub determinism: String,
    /// Known optima of synthetic data.
    pub references: Vec<Reference>,
}

/// Why a report could not be assembled.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file of published values.
    #[error(transparent)]
    Published(#[from] PublishedError),
    /// The margins.
    #[error(transparent)]
    Margin(#[from] MarginError),
    /// The claims.
    #[error(transparent)]
    Claims(#[from] ClaimError),
    /// The deviations.
    #[error(transparent)]
    Deviations(#[from] ProtocolError),
}

impl Report {
    /// The report of one benchmark from the cells that a plan holds of it, each judged.
    pub fn assemble(
        benchmark: &'static Benchmark,
        plan: &Plan,
        observed: &Observed<'_>,
    ) -> Result<Self, ReportError> {
        let mut published = benchmarks::published(benchmark)?;
        let mut cells: Vec<CellResult> = plan
            .cells
            .iter()
            .filter(|cell| cell.id.benchmark == benchmark.id)
            .map(|cell| CellResult::of(cell, plan, published.get(&cell.id).cloned(), observed))
            .collect();
        published.retain(|_, published| !observed.calibrated(published));
        judge_cells(&mut cells, plan, observed, published.len())?;
        let values = |id: &CellId| cells.iter().find(|cell| cell.id == *id).map(CellResult::sample);
        let claims = if decides_claims(benchmark, plan.tier, &plan.changes) {
            test_claims(claims_about(benchmark.id)?, &values)?
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
            references: observed.references.clone(),
            deviations: deviations_of(benchmark.id)?.into_iter().map(|deviation| deviation.id).collect(),
            claims,
        })
    }

    /// What claims of the paper are tested on: nothing where its values decide none.
    pub fn samples(&self) -> impl Iterator<Item = (&CellId, Sample)> {
        let decides = decides_claims(self.benchmark, self.tier, &self.changes);
        self.cells.iter().filter(move |_| decides).map(|cell| (&cell.id, cell.sample()))
    }

    /// The protocol with its changes.
    pub fn protocol_words(&self) -> String {
        protocol::words(self.protocol, &self.changes)
    }

    /// The cell at a row and column of the layout, if the plan held it.
    pub fn cell(&self, row: &str, column: &str) -> Option<&CellResult> {
        self.cells.iter().find(|cell| cell.id.row == row && cell.id.column == column)
    }
}

/// Claims are about the paper's budget on real data, and its generative model is what it is: other tiers and changed protocols
/// say nothing about them.
fn decides_claims(benchmark: &Benchmark, tier: Tier, changes: &[Change]) -> bool {
    changes.is_empty() && (tier == Tier::Paper || benchmark.is_synthetic())
}

impl Observed<'_> {
    /// Whether the data was built with this number in view.
    fn calibrated(&self, published: &Published) -> bool {
        self.calibrated_data && published.calibrated.is_some()
    }
}

/// Judges all cells of a table together; `family` of its cells can have a verdict.
fn judge_cells(
    cells: &mut [CellResult],
    plan: &Plan,
    observed: &Observed<'_>,
    family: usize,
) -> Result<(), ReportError> {
    let margins = margins()?;
    let ours: Vec<Vec<f64>> =
        cells.iter().map(|cell| cell.values.iter().map(|value| value.value).collect()).collect();
    let cases: Vec<Case<'_>> = cells
        .iter()
        .zip(&ours)
        .map(|(cell, ours)| Case {
            ours,
            published: cell.published.as_ref(),
            calibrated: cell.published.as_ref().is_some_and(|published| observed.calibrated(published)),
            margin: margins.iter().find(|margin| margin.holds(&cell.id)).map(|margin| margin.margin),
        })
        .collect();
    let mut judged = judge(&cases, plan.tier, family);
    for ((judged, cell), ours) in judged.iter_mut().zip(cells.iter()).zip(&ours) {
        if let Some(setting) = cell.configured {
            *judged = Judgement::of_a_setting(setting, cell.published.as_ref());
        } else if !plan.changes.is_empty() && !ours.is_empty() {
            *judged = Judgement::of_a_changed_protocol(ours, cell.published.as_ref(), plan.tier);
        }
    }
    for (cell, judged) in cells.iter_mut().zip(judged) {
        cell.judgement = judged;
    }
    Ok(())
}

impl CellResult {
    /// The cell with its values, not judged yet.
    fn of(cell: &Cell, plan: &Plan, published: Option<Published>, observed: &Observed<'_>) -> Self {
        let runs = cell.runs.iter().map(|index| &plan.runs[index.0]);
        let values: Vec<SeedValue> = runs
            .clone()
            .filter_map(|run| {
                let value = (observed.value)(run.key, &cell.metric)?;
                Some(SeedValue { seed: run.seed, value, key: run.key })
            })
            .collect();
        let missing = cell.unmeasured.clone().or_else(|| {
            let (found, wanted) = (values.len(), cell.runs.len());
            (found < wanted).then(|| format!("{found} of {wanted} runs are in the store"))
        });
        CellResult {
            id: cell.id.clone(),
            metric: cell.metric.clone(),
            unit: published.as_ref().map_or_else(|| unit(&cell.metric).to_owned(), |p| p.unit.clone()),
            dataset: runs.clone().next().map(|run| run.data),
            judgement: Judgement::none(),
            values,
            configured: cell.configured,
            published,
            missing,
        }
    }

    /// Its values by seed, for claims.
    pub fn sample(&self) -> Sample {
        Sample {
            values: self.values.iter().map(|value| (value.seed, value.value)).collect(),
            data: self.dataset,
        }
    }

    /// The 95 % interval of our mean over all resamples of the seeds; `None` for a single seed or very many.
    pub fn bootstrap(&self) -> Option<Interval> {
        let values: Vec<f64> = self.values.iter().map(|value| value.value).collect();
        bootstrap_mean(&values, 0.95)
    }

    /// The 95 % confidence interval of our mean by Student's t; `None` for a single seed.
    pub fn interval(&self) -> Option<Interval> {
        mean_interval(&self.summary()?, 0.95)
    }

    /// Our value: the mean over the seeds, or the setting.
    pub fn mean(&self) -> Option<f64> {
        self.configured.or_else(|| self.summary().map(|summary| summary.mean))
    }

    /// Size, mean and deviation of our values; `None` without any.
    pub fn summary(&self) -> Option<Summary> {
        let values: Vec<f64> = self.values.iter().map(|value| value.value).collect();
        Summary::of(&values)
    }
}

/// The unit of a metric that the paper plots without printing it.
fn unit(metric: &str) -> &'static str {
    let percent = ["accuracy", "auroc"].iter().any(|name| metric.contains(name));
    if percent { "percent" } else { "none" }
}
