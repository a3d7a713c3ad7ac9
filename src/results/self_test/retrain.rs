//! A fault of training: the same runs at another learning rate.
//!
//! Invariant: nothing is stored; only runs that take a second at most and start from no other are trained anew.

use rayon::prelude::*;

use crate::experiment::{self, EpochReport, Job, Observer, TrainError};
use crate::metric::Metric;
use crate::results::stored::StoredRun;
use crate::results::{Resolved, ResultsError};
use crate::stats::Summary;

/// Seconds of a run that is trained anew for this, at most.
const CHEAP: f64 = 1.0;

/// Nobody is told, nothing is kept.
struct NoProgress;

impl Observer for NoProgress {
    fn epoch(&mut self, _: &EpochReport, _: &[u8]) -> Result<(), std::io::Error> {
        Ok(())
    }
}

/// The cell's mean with every run trained anew at another learning rate; `None` where that takes long or starts from others.
pub(super) fn retrained(
    resolved: &Resolved,
    runs: &[StoredRun],
    metric: &Metric,
    factor: f64,
) -> Result<Option<f64>, ResultsError> {
    let cheap = |run: &StoredRun| {
        let manifest = &run.manifest;
        let alone = manifest.upstream.is_empty() && manifest.recipe.pretrained().is_none();
        manifest.recipe.trains() && alone && manifest.spent.wall_seconds < CHEAP
    };
    if !runs.iter().all(cheap) {
        return Ok(None);
    }
    let values: Vec<Option<f64>> = runs
        .par_iter()
        .map(|run| {
            let mut recipe = run.manifest.recipe.clone();
            if let Some(training) = &mut recipe.training {
                training.learning_rate *= factor;
            }
            let job = Job {
                recipe: &recipe,
                data: &*run.data,
                seed: run.manifest.seed,
                upstream: &[],
                pretrained: None,
            };
            let outcome = experiment::train(resolved.device.device, &job, None, &mut NoProgress)?;
            Ok(outcome.metrics.value(metric))
        })
        .collect::<Result<_, TrainError>>()?;
    let values: Option<Vec<f64>> = values.into_iter().collect();
    Ok(values.and_then(|values| Summary::of(&values)).map(|summary| summary.mean))
}
