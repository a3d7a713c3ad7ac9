//! Faults that no digest sees, in copies of stored test logits and labels: which of them the expected ranges catch, by size.
//!
//! Invariant: the gate's own range decides. A fault that moves a mean by three times what the range is sure to see must be caught
//! in 99 of 100 draws; where nothing is at fault, at most one check in a hundred fails.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::retrain::retrained;
use crate::cli::commands::check;
use crate::cli::datasets::Opened;
use crate::cli::failure::Failure;
use crate::cli::resolve::Resolved;
use crate::cli::stored::StoredRun;
use crate::engine::store::Store;
use crate::experiment::faults::{Fault, Struck};
use crate::gate::expected::Range;
use crate::random::Seeds;
use crate::report::{CellResult, Report};
use crate::stats::Summary;

/// Shares of the test split that are hit.
pub(super) const SHARES: [f64; 8] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];
/// What learning rates are multiplied by.
const FACTORS: [f64; 4] = [0.5, 0.3, 0.1, 0.03];
pub(super) const LEARNING_RATE: &str = "learning rate times";
/// Draws of the examples that are hit.
pub(super) const DRAWS: u64 = 100;
/// Draws of seeds per range where nothing is at fault: enough that a range alone shows whether they keep to one in a hundred.
const SOUND: u64 = 4000;
/// Cells of a benchmark that are trained anew, at most: spread evenly over those that have a range.
const MOST_RETRAINED: usize = 16;
/// z of 80 %.
const Z80: f64 = 0.841_621_233_572_914_3;

/// What came of all faults.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    /// Detection by fault and size: the power curve.
    pub(super) curve: Vec<Point>,
    /// Faults of three times the detectable size or more: caught, of how many.
    pub(super) large: [u64; 2],
    /// Checks of sound runs: false alarms, of how many.
    pub(super) alarms: [u64; 2],
    /// Cells in whose range a predictor that looks at nothing lies: their range cannot tell.
    pub(super) blind: Vec<String>,
    /// Cells that faults were put into.
    pub(super) cells: usize,
    /// Cells that have a range.
    pub(super) ranged: usize,
}

/// A point of the power curve.
#[derive(Debug, Serialize)]
pub(super) struct Point {
    pub(super) fault: &'static str,
    /// Share of the test split that is hit, or what the learning rate is multiplied by.
    pub(super) size: f64,
    pub(super) caught: u64,
    pub(super) injected: u64,
    /// Mean distance that the fault moved a cell's mean by, in the cells' units.
    pub(super) moved: f64,
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
) -> Result<Found, Failure> {
    let opened = Opened::new(resolved);
    let mut curve: BTreeMap<(&'static str, usize), Point> = BTreeMap::new();
    let mut found =
        Found { curve: Vec::new(), large: [0; 2], alarms: [0; 2], blind: Vec::new(), cells: 0, ranged: 0 };
    for report in reports {
        let Some(expected) = check::expected(folder, report)? else { continue };
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
                return Err(Failure::internal(anyhow::anyhow!(
                    "the stored logits of `{}` give another mean",
                    cell.id
                )));
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
                    let strike = |draw| drawn.mean(share, &seeds.child(draw));
                    let means: Vec<f64> = (0..DRAWS).into_par_iter().filter_map(strike).collect();
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

/// Counts what a range catches.
struct Tally<'a> {
    curve: &'a mut BTreeMap<(&'static str, usize), Point>,
    large: &'a mut [u64; 2],
    range: &'a Range,
    /// The mean without a fault.
    sound: f64,
}

impl Tally<'_> {
    /// Takes in the means of a cell under a fault of one size.
    fn add(&mut self, fault: &'static str, (index, size): (usize, f64), means: &[f64]) {
        if means.is_empty() {
            return;
        }
        // Beyond the range's end with 80 % power.
        let error = self.range.std.unwrap_or(0.0) / (self.range.new_seeds as f64).sqrt();
        let detectable = (self.range.high - self.range.mean) + Z80 * error;
        let count = means.len() as u64;
        let caught = means.iter().filter(|&&mean| !self.range.holds(mean)).count() as u64;
        let moved = means.iter().map(|mean| (mean - self.sound).abs()).sum::<f64>() / count as f64;
        let point = self.curve.entry((fault, index)).or_insert(Point {
            fault,
            size,
            caught: 0,
            injected: 0,
            moved: 0.0,
        });
        let before = point.injected as f64;
        point.caught += caught;
        point.injected += count;
        point.moved = (point.moved * before + moved * count as f64) / point.injected as f64;
        if moved >= 3.0 * detectable {
            self.large[0] += caught;
            self.large[1] += count;
        }
    }
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
fn runs(cell: &CellResult, store: &Store, opened: &Opened<'_>) -> Result<Vec<StoredRun>, Failure> {
    let runs = cell.values.iter().map(|value| StoredRun::read(value.key, store, opened));
    Ok(runs.collect::<Result<Option<Vec<_>>, Failure>>()?.unwrap_or_default())
}

/// Draws of a fault in every run of a cell.
struct Drawn(Vec<Struck>);

impl Drawn {
    /// `None` where the cell's metric says more than the stored logits do.
    fn of(runs: &[StoredRun], metric: &str, fault: Fault) -> Option<Self> {
        runs.iter().map(|run| run.struck(fault, metric)).collect::<Option<_>>().map(Drawn)
    }

    /// The cell's mean with the fault in a share of every run's test examples.
    fn mean(&self, share: f64, seeds: &Seeds) -> Option<f64> {
        let value = |(number, run): (usize, &Struck)| run.value(share, &seeds.child(number));
        let values: Vec<f64> = self.0.iter().enumerate().map(value).collect::<Option<_>>()?;
        Some(Summary::of(&values)?.mean)
    }
}

/// Ranges predicted from as many seeds as this one was, checked with as many as it is for, all drawn from one distribution.
fn count_alarms(range: &Range, seeds: &Seeds, alarms: &mut [u64; 2]) {
    let Some(std) = range.std else { return };
    for draw in 0..SOUND {
        let mut stream = seeds.child(draw).stream();
        let mut values =
            |count: usize| -> Vec<f64> { (0..count).map(|_| range.mean + std * stream.normal()).collect() };
        let stored = values(range.n);
        let new = values(range.new_seeds);
        let predicted = Range::predict(&stored, range.new_seeds, "percent", String::new(), Vec::new());
        let mean = new.iter().sum::<f64>() / new.len().max(1) as f64;
        alarms[0] += u64::from(predicted.is_some_and(|predicted| !predicted.holds(mean)));
        alarms[1] += 1;
    }
}
