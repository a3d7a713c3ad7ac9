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
    /// What claims are tested with: the values with the seeds behind them.
    pub sample: Sample,
}

/// The value of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SeedValue {
    /// Root seed; of an ensemble its number among those of its kind.
    pub seed: u64,
    /// In the cell's unit.
    pub value: f64,
    /// The run.
    pub key: Digest,
}

impl CellResult {
    /// The cell with its values, not judged yet; it is judged by as many seeds as were `declared`.
    pub(super) fn of(
        cell: &Cell,
        plan: &Plan,
        (published, declared): (Option<Published>, usize),
        observed: &Observed<'_>,
    ) -> Self {
        let data = cell.runs.first().map(|index| plan.runs[index.0].data);
        let rebuilt = data.is_some_and(|data| observed.rebuilt.contains(&data));
        let tuned = rebuilt && published.as_ref().is_some_and(|published| published.tuned);
        let mut sample = Sample { values: Vec::new(), data, declared, tuned, rebuilt };
        let mut values = Vec::new();
        for &index in &cell.runs {
            let run = &plan.runs[index.0];
            if let Some(value) = (observed.value)(run.key, &cell.metric) {
                values.push(SeedValue { seed: run.seed, value, key: run.key });
                sample.values.push((plan.seeds_behind(index), value));
            }
        }
        let missing = cell.unmeasured.clone().or_else(|| {
            let (found, wanted) = (values.len(), cell.runs.len());
            (found < wanted).then(|| format!("{found} of {wanted} runs are in the store"))
        });
        CellResult {
            id: cell.id.clone(),
            metric: cell.metric.clone(),
            judgement: Judgement::none(),
            values,
            configured: cell.configured,
            published,
            missing,
            sample,
        }
    }

    /// Whether the data was built with its published number in view.
    pub(super) fn is_calibrated(&self) -> bool {
        self.sample.rebuilt && self.published.as_ref().is_some_and(|published| published.calibrated.is_some())
    }

    /// The unit of its values.
    pub(crate) fn unit(&self) -> Unit {
        self.metric.unit()
    }

    /// Its values alone.
    pub(crate) fn numbers(&self) -> Vec<f64> {
        self.values.iter().map(|value| value.value).collect()
    }

    /// The 95 % interval of our mean over all resamples of the seeds; `None` for a single seed or very many, and where values are
    /// not one per seed.
    pub(crate) fn bootstrap(&self) -> Option<Interval> {
        self.sample.is_one_per_seed().then(|| bootstrap_mean(&self.numbers(), 0.95))?
    }

    /// The 95 % confidence interval of our mean over seeds by Student's t; `None` for a single seed.
    pub(crate) fn interval(&self) -> Option<Interval> {
        mean_interval(&self.sample.summary(1.0)?, 0.95)
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
