//! Faults that no digest sees, in copies of stored test logits and labels: which of them the expected ranges catch, by size.
//!
//! Invariant: the gate's own range decides. A fault that moves a mean by three times what the range is sure to see must be caught
//! in 99 of 100 draws; where nothing is at fault, at most one check in a hundred fails.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::alarms::count_alarms;
use super::retrain::retrained;
use super::tally::{Point, Tally};
use crate::engine::store::Store;
use crate::experiment::faults::{Fault, FaultInjection};
use crate::gate::expected::Range;
use crate::metric::Metric;
use crate::random::Seeds;
use crate::results::ranges::expected;
use crate::results::stored::StoredRun;
use crate::results::{CellResult, Opened, Report, Resolved, ResultsError};
use crate::stats::Summary;

/// Shares of the test split that are hit.
pub(crate) const SHARES: [f64; 8] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];
/// What learning rates are multiplied by.
const FACTORS: [f64; 4] = [0.5, 0.3, 0.1, 0.03];
/// The fault of training, which is no share of the test split.
pub(crate) const LEARNING_RATE: &str = "learning rate times";
/// Draws of the examples that are hit.
pub(crate) const DRAWS: u64 = 100;
/// Cells of a benchmark that are trained anew, at most: spread evenly over those that have a range.
const MOST_RETRAINED: usize = 16;

/// What came of all faults.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    /// Detection by fault and size: the power curve.
    pub curve: Vec<Point>,
    /// Faults of three times the detectable size or more: caught, of how many.
    pub large: [u64; 2],
    /// Checks of sound runs: false alarms, of how many.
    pub alarms: [u64; 2],
    /// Cells in whose range a predictor that looks at nothing lies: their range cannot tell.
    pub blind: Vec<String>,
    /// Cells that faults were put into.
    pub cells: usize,
    /// Cells that have a range.
    pub ranged: usize,
}

impl Found {
    pub(super) fn passed(&self) -> bool {
        let [caught, large] = self.large;
        let [alarms, checks] = self.alarms;
        100 * caught >= 99 * large && 100 * alarms <= checks
    }
}

/// Puts faults of every kind and size into the runs behind every cell that has a range.
pub(super) fn inject(
    resolved: &Resolved,
    reports: &[Report],
    folder: &Path,
    store: &Store,
) -> Result<Found, ResultsError> {
    let opened = Opened::new(resolved);
    let mut curve: BTreeMap<(&'static str, usize), Point> = BTreeMap::new();
    let mut found =
        Found { curve: Vec::new(), large: [0; 2], alarms: [0; 2], blind: Vec::new(), cells: 0, ranged: 0 };
    for report in reports {
        let Some(expected) = expected(folder, report)? else { continue };
        let range = |cell| -> Option<(&CellResult, &Range)> {
            let cell: &CellResult = cell;
            Some((cell, expected.cells.get(&cell.id.to_string())?))
        };
        let ranged: Vec<_> = report.cells.iter().filter_map(range).collect();
        let apart = ranged.len().div_ceil(MOST_RETRAINED).max(1);
        found.ranged += ranged.len();
        for (number, (cell, range)) in ranged.into_iter().enumerate() {
            let seeds = Seeds::root(0).child("self-test").child(cell.id.to_string().as_str());
            count_alarms(range, &seeds.child("sound"), &mut found.alarms);
            let runs = runs(cell, store, &opened)?;
            if runs.is_empty() || cell.values.len() < range.new_seeds {
                continue;
            }
            let Some(shuffled) = Drawn::of(&runs, &cell.metric, Fault::Labels) else { continue };
            let Some(sound) = shuffled.mean(0.0, &seeds) else { continue };
            // What follows is about faults: without one, logits and labels must give what is stored.
            if cell.mean().is_none_or(|stored| (stored - sound).abs() > 1e-9) {
                let found = format!("the stored logits of `{}` give another mean", cell.id);
                return Err(ResultsError::Unsound(found));
            }
            found.cells += 1;
            let control = |drawn: &Drawn| {
                drawn.mean(1.0, &seeds.child("control")).is_some_and(|mean| range.holds(mean))
            };
            let constant = Drawn::of(&runs, &cell.metric, Fault::Constant);
            if control(&shuffled) || constant.as_ref().is_some_and(control) {
                found.blind.push(cell.id.to_string());
            }
            let mut tally = Tally { curve: &mut curve, large: &mut found.large, range, sound };
            for (name, fault) in faults(&runs) {
                let Some(drawn) = Drawn::of(&runs, &cell.metric, fault) else { continue };
                for (index, &share) in SHARES.iter().enumerate() {
                    let seeds = seeds.child(name).child(index);
                    let faulty = |draw| drawn.mean(share, &seeds.child(draw));
                    let means: Vec<f64> = (0..DRAWS).into_par_iter().filter_map(faulty).collect();
                    tally.add(name, (index, share), &means);
                }
            }
            for (index, factor) in FACTORS.into_iter().enumerate().filter(|_| number % apart == 0) {
                if let Some(mean) = retrained(resolved, &runs, &cell.metric, factor)? {
                    tally.add(LEARNING_RATE, (index, factor), &[mean]);
                }
            }
        }
    }
    found.curve = curve.into_values().collect();
    Ok(found)
}

/// Faults that these runs can have: an expert can only be missing where there are others.
fn faults(runs: &[StoredRun]) -> Vec<(&'static str, Fault)> {
    let mut faults = vec![("labels shuffled", Fault::Labels), ("class order", Fault::ClassOrder)];
    let experts = runs.iter().map(|run| run.logits.len()).min().unwrap_or(0);
    const DROPPED: [&str; 3] = ["first expert dropped", "second expert dropped", "third expert dropped"];
    if experts > 1 {
        faults.extend(
            DROPPED
                .into_iter()
                .take(experts)
                .enumerate()
                .map(|(expert, name)| (name, Fault::Dropped { expert })),
        );
    }
    faults
}

/// The stored runs of a cell, with logits and labels; none where one of them is not whole.
fn runs(cell: &CellResult, store: &Store, opened: &Opened<'_>) -> Result<Vec<StoredRun>, ResultsError> {
    let runs = cell.values.iter().map(|value| StoredRun::read(value.key, store, opened));
    Ok(runs.collect::<Result<Option<Vec<_>>, ResultsError>>()?.unwrap_or_default())
}

/// Draws of a fault in every run of a cell.
struct Drawn(Vec<FaultInjection>);

impl Drawn {
    /// `None` where the cell's metric says more than the stored logits do.
    fn of(runs: &[StoredRun], metric: &Metric, fault: Fault) -> Option<Self> {
        runs.iter().map(|run| run.inject(fault, metric)).collect::<Option<_>>().map(Drawn)
    }

    /// The cell's mean with the fault in a share of every run's test examples.
    fn mean(&self, share: f64, seeds: &Seeds) -> Option<f64> {
        let value = |(number, run): (usize, &FaultInjection)| run.value(share, &seeds.child(number));
        let values: Vec<f64> = self.0.iter().enumerate().map(value).collect::<Option<_>>()?;
        Some(Summary::of(&values)?.mean)
    }
}
