//! The power curve: how often the ranges catch faults of each size.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::gate::expected::Range;

/// z of 80 %.
const Z80: f64 = 0.841_621_233_572_914_3;

/// A point of the power curve.
#[derive(Debug, Serialize)]
pub(crate) struct Point {
    /// What was put in.
    pub fault: &'static str,
    /// Share of the test split that is hit, or what the learning rate is multiplied by.
    pub size: f64,
    /// How often a range caught it.
    pub caught: u64,
    /// How often it was put in.
    pub injected: u64,
    /// Mean distance that the fault moved a cell's mean by, in the cells' units.
    pub moved: f64,
}

impl Point {
    /// How often it was caught, in percent.
    pub(crate) fn rate(&self) -> f64 {
        100.0 * self.caught as f64 / self.injected.max(1) as f64
    }
}

/// Counts what a range catches.
pub(super) struct Tally<'a> {
    pub(super) curve: &'a mut BTreeMap<(&'static str, usize), Point>,
    pub(super) large: &'a mut [u64; 2],
    pub(super) range: &'a Range,
    /// The mean without a fault.
    pub(super) sound: f64,
}

impl Tally<'_> {
    /// Takes in the means of a cell under a fault of one size.
    pub(super) fn add(&mut self, fault: &'static str, (index, size): (usize, f64), means: &[f64]) {
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
