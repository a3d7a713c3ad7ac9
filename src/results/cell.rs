//! One cell's results: its values, the paper's, and the verdict.
//!
//! Invariant: a cell has its values from stored runs alone; where some are missing, it says why.

use super::Observed;
use crate::benchmarks::Published;
use crate::digest::Digest;
use crate::engine::plan::{Cell, CellId, Plan};
use crate::gate::{Judgement, Sample, Verdict};
use crate::metric::{Metric, Unit};
use crate::stats::{Interval, Summary, bootstrap_mean, mean_interval};

/// One cell's results.
#[derive(Clone, Debug)]
pub(crate) struct CellResult {
    /// Its address.
    pub id: CellId,
    /// What is measured.
    pub metric: Metric,
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
pub(crate) struct SeedValue {
    /// Root seed.
    pub seed: u64,
    /// In the cell's unit.
    pub value: f64,
    /// The run.
    pub key: Digest,
}

impl CellResult {
    /// The cell with its values, not judged yet.
    pub(super) fn of(
        cell: &Cell,
        plan: &Plan,
        published: Option<Published>,
        observed: &Observed<'_>,
    ) -> Self {
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
            dataset: runs.clone().next().map(|run| run.data),
            judgement: Judgement::none(),
            values,
            configured: cell.configured,
            published,
            missing,
        }
    }

    /// The unit of its values.
    pub(crate) fn unit(&self) -> Unit {
        self.metric.unit()
    }

    /// Its values alone.
    pub(crate) fn numbers(&self) -> Vec<f64> {
        self.values.iter().map(|value| value.value).collect()
    }

    /// Its values by seed, for claims.
    pub(crate) fn sample(&self) -> Sample {
        Sample {
            values: self.values.iter().map(|value| (value.seed, value.value)).collect(),
            data: self.dataset,
        }
    }

    /// The 95 % interval of our mean over all resamples of the seeds; `None` for a single seed or very many.
    pub(crate) fn bootstrap(&self) -> Option<Interval> {
        bootstrap_mean(&self.numbers(), 0.95)
    }

    /// The 95 % confidence interval of our mean by Student's t; `None` for a single seed.
    pub(crate) fn interval(&self) -> Option<Interval> {
        mean_interval(&self.summary()?, 0.95)
    }

    /// Our value: the mean over the seeds, or the setting.
    pub(crate) fn mean(&self) -> Option<f64> {
        self.configured.or_else(|| self.summary().map(|summary| summary.mean))
    }

    /// The deviation of our values; `None` for a single seed.
    pub(crate) fn std(&self) -> Option<f64> {
        self.summary()?.std
    }

    /// Its verdict; none was measured where it has no value.
    pub(crate) fn verdict(&self) -> Verdict {
        if self.mean().is_none() { Verdict::NotMeasured } else { self.judgement.verdict }
    }

    /// Size, mean and deviation of our values; `None` without any.
    pub(crate) fn summary(&self) -> Option<Summary> {
        Summary::of(&self.numbers())
    }
}
