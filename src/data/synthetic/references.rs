//! Reference accuracies of a fixture at the population level, by enumeration of its finite tables.
//!
//! Invariant: `majority <= first_only, second_only <= log_additive <= bayes`, all of the same table.
//!
//! The latent states can be read exactly from the samples, and what else varies in a sample does not depend on the
//! label. So the posterior given (x, x') is that given (a, b) (Eq. 2), and no model can beat `bayes`.

use super::additive;
use super::joint::{Joint, Table};
use super::settings::{FixtureSettings, Layout};
use crate::data::error::SettingsError;

/// Accuracies in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct References {
    /// Of the posterior (Eq. 2): the best that any model of both modalities, inter-modality ones included, can do.
    pub bayes: f64,
    /// Of the best predictor f(x, y) + g(x', y) that was found (see [`additive`](super::additive)): what
    /// intra-modality models can do.
    pub log_additive: f64,
    /// Of the log-additive predictor with the least cross-entropy: what training an intra-modality model aims at.
    pub log_additive_by_likelihood: f64,
    /// Of the best predictor from x alone.
    pub first_only: f64,
    /// Of the best predictor from x' alone.
    pub second_only: f64,
    /// Of always predicting the most frequent label.
    pub majority: f64,
}

impl References {
    /// Enumerates a table.
    pub fn of(table: &Table) -> Self {
        let fit = additive::fit(table);
        let by_likelihood = fit.accuracy(table);
        let improved = additive::improve(table, fit).accuracy(table);
        // Predictors from one modality, or from none, are log-additive too.
        let [first, second, majority] =
            [table.best_given_first(), table.best_given_second(), table.majority()];
        References {
            bayes: 100.0 * table.bayes(),
            log_additive: 100.0 * improved.max(first).max(second),
            log_additive_by_likelihood: 100.0 * by_likelihood,
            first_only: 100.0 * first,
            second_only: 100.0 * second,
            majority: 100.0 * majority,
        }
    }
}

/// References of a task of a fixture.
///
/// # Errors
/// A task that the fixture does not have.
pub fn references<L: Layout>(settings: &FixtureSettings<L>, task: &str) -> Result<References, SettingsError> {
    Ok(References::of(&Joint::new(settings).table(task)?))
}

/// Standard error, in percent points, of an accuracy (percent) measured on `rows` independent examples.
pub fn standard_error(accuracy: f64, rows: usize) -> f64 {
    let share = (accuracy / 100.0).clamp(0.0, 1.0);
    100.0 * (share * (1.0 - share) / rows.max(1) as f64).sqrt()
}

impl Table {
    /// p(a, b, y).
    pub fn at(&self, a: usize, b: usize, y: usize) -> f64 {
        self.cells[(a * self.second + b) * self.classes + y]
    }

    fn bayes(&self) -> f64 {
        self.cells.chunks_exact(self.classes).map(largest).sum()
    }

    fn best_given_first(&self) -> f64 {
        let joint =
            |a| (0..self.classes).map(move |y| (0..self.second).map(|b| self.at(a, b, y)).sum::<f64>());
        (0..self.first).map(|a| joint(a).fold(0.0, f64::max)).sum()
    }

    fn best_given_second(&self) -> f64 {
        let joint =
            |b| (0..self.classes).map(move |y| (0..self.first).map(|a| self.at(a, b, y)).sum::<f64>());
        (0..self.second).map(|b| joint(b).fold(0.0, f64::max)).sum()
    }

    fn majority(&self) -> f64 {
        let label = |y| self.cells.iter().skip(y).step_by(self.classes).sum::<f64>();
        (0..self.classes).map(label).fold(0.0, f64::max)
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}
