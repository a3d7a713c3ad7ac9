//! Reference AUROCs of the synthetic fastMRI at the population level, by enumeration of its tables.
//!
//! Invariant: the states can be read from the slices, and nothing else in a slice depends on the findings; so no model can
//! beat `bayes`, whose score is the posterior.

use super::settings::{FindingSettings, KneeSettings, STATES};
use crate::data::synthetic::additive;
use crate::data::synthetic::joint::Table;
use crate::protocol::Finding;

/// AUROCs in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KneeReferences {
    /// Of which finding.
    pub finding: Finding,
    /// Of the posterior p(y | a, b): the best that inter-modality models and I2M2 can do.
    pub bayes: f64,
    /// Of the log-additive score f(a) + g(b) with the least cross-entropy: what training an intra-modality model aims at.
    pub log_additive: f64,
    /// Of the best score from the magnitude alone.
    pub first_only: f64,
    /// Of the best score from the phase alone.
    pub second_only: f64,
    /// Share of slices with the finding, in percent.
    pub prevalence: f64,
}

/// References of every finding, in the order of the heads.
pub fn references(settings: &KneeSettings) -> Vec<KneeReferences> {
    settings.findings.iter().map(of).collect()
}

fn of(settings: &FindingSettings) -> KneeReferences {
    let table = settings.table();
    let fit = additive::fit(&Table {
        first: STATES,
        second: STATES,
        classes: 2,
        cells: table.iter().flatten().flatten().copied().collect(),
    });
    let odds = |[absent, present]: [f64; 2]| present / absent;
    let sum = |cells: [[f64; 2]; STATES]| cells.into_iter().fold([0.0; 2], |s, c| [s[0] + c[0], s[1] + c[1]]);
    let by_first = table.map(|row| odds(sum(row)));
    let by_second: [f64; STATES] = std::array::from_fn(|b| odds(sum(table.map(|row| row[b]))));
    KneeReferences {
        finding: settings.finding,
        bayes: auroc(&table, |a, b| odds(table[a][b])),
        log_additive: auroc(&table, |a, b| fit.margin(a, b)),
        first_only: auroc(&table, |a, _| by_first[a]),
        second_only: auroc(&table, |_, b| by_second[b]),
        prevalence: 100.0 * table.iter().flatten().map(|cell| cell[1]).sum::<f64>(),
    }
}

/// AUROC of a score of the states, in percent; scores within rounding of each other are ties, which count half.
fn auroc(table: &[[[f64; 2]; STATES]; STATES], score: impl Fn(usize, usize) -> f64) -> f64 {
    let states: Vec<(f64, [f64; 2])> = (0..STATES * STATES)
        .map(|i| (score(i / STATES, i % STATES), table[i / STATES][i % STATES]))
        .collect();
    let (mut above, mut pairs) = (0.0, 0.0);
    for (positive, [_, present]) in &states {
        for (negative, [absent, _]) in &states {
            let apart = positive - negative;
            let wins = if apart.abs() <= 1e-9 * positive.abs().max(negative.abs()) {
                0.5
            } else {
                f64::from(u8::from(apart > 0.0))
            };
            above += present * absent * wins;
            pairs += present * absent;
        }
    }
    100.0 * above / pairs
}

/// Standard error, in percent points, of an AUROC (percent) measured on so many independent slices of each class: Hanley
/// and McNeil's formula, with their distribution-free bounds of its two terms.
pub fn standard_error(auroc: f64, positive: usize, negative: usize) -> f64 {
    let a = (auroc / 100.0).clamp(0.0, 1.0);
    let (q1, q2) = (a / (2.0 - a), 2.0 * a * a / (1.0 + a));
    let (m, n) = (positive.max(1) as f64, negative.max(1) as f64);
    let variance = (a * (1.0 - a) + (m - 1.0) * (q1 - a * a) + (n - 1.0) * (q2 - a * a)) / (m * n);
    100.0 * variance.max(0.0).sqrt()
}
