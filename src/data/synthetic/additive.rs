//! The best log-additive predictor argmax over y of f(a, y) + g(b, y): the bound of every intra-modality model.
//!
//! Invariant: deterministic, and an improved predictor is never worse than the one it started from.
//!
//! Two steps. [`fit`] finds the log-additive posterior of least cross-entropy: a convex problem, solved by iterative
//! proportional fitting of the model without three-way interaction to convergence. Least cross-entropy is not best
//! accuracy, so [`improve`] then climbs on the accuracy itself: exact line searches along single scores f(a, y) and
//! g(b, y) (the accuracy is a step function of each), from the fit and from perturbations of the best one found.
//! The result is the best found, not a proven maximum.

use super::joint::Table;
use crate::random::{Seeds, Stream};

/// Sweeps of proportional fitting at most; it stops when no cell changes by more than 1e-14.
const FIT_SWEEPS: usize = 20_000;
/// Perturbed starts of the search.
const STARTS: usize = 60;
/// Standard deviation of a perturbed start, in the units of the scores (nats).
const PERTURBATION: f64 = 1.0;
/// Smaller gains of accuracy are rounding.
const GAIN: f64 = 1e-12;

/// Scores of a log-additive predictor.
#[derive(Clone)]
pub(crate) struct Additive {
    classes: usize,
    /// `[a][y]`, flat.
    first: Vec<f64>,
    /// `[b][y]`, flat.
    second: Vec<f64>,
}

impl Additive {
    /// Of two classes: how much more the pair of states speaks for the second.
    pub(crate) fn margin(&self, a: usize, b: usize) -> f64 {
        let difference = |scores: &[f64], state: usize| scores[2 * state + 1] - scores[2 * state];
        difference(&self.first, a) + difference(&self.second, b)
    }

    /// The label that the pair of states speaks for; of equal ones the first.
    pub(crate) fn best(&self, a: usize, b: usize) -> usize {
        let f = &self.first[a * self.classes..][..self.classes];
        let g = &self.second[b * self.classes..][..self.classes];
        (1..self.classes).fold(0, |best, y| if f[y] + g[y] > f[best] + g[best] { y } else { best })
    }

    /// Share of right predictions; of equal scores the first label wins.
    pub(crate) fn accuracy(&self, table: &Table) -> f64 {
        let hit = |(pair, cells): (usize, &[f64])| cells[self.best(pair / table.second, pair % table.second)];
        table.cells.chunks_exact(self.classes).enumerate().map(hit).sum()
    }
}

/// The log-additive posterior of least cross-entropy under a table of positive cells.
pub(crate) fn fit(table: &Table) -> Additive {
    let Table { first, second, classes, .. } = *table;
    let index = |a: usize, b: usize, y: usize| (a * second + b) * classes + y;
    // The three two-way margins, as lists of the cells that each of their entries sums.
    let mut margins: Vec<Vec<usize>> = Vec::new();
    for a in 0..first {
        margins.extend((0..second).map(|b| (0..classes).map(|y| index(a, b, y)).collect()));
    }
    for y in 0..classes {
        margins.extend((0..first).map(|a| (0..second).map(|b| index(a, b, y)).collect()));
        margins.extend((0..second).map(|b| (0..first).map(|a| index(a, b, y)).collect()));
    }
    let sum = |cells: &[f64], members: &[usize]| members.iter().map(|&i| cells[i]).sum::<f64>();
    let targets: Vec<f64> = margins.iter().map(|members| sum(&table.cells, members)).collect();
    let mut cells = vec![1.0 / table.cells.len() as f64; table.cells.len()];
    for _ in 0..FIT_SWEEPS {
        let before = cells.clone();
        for (members, target) in margins.iter().zip(&targets) {
            let factor = target / sum(&cells, members);
            members.iter().for_each(|&i| cells[i] *= factor);
        }
        if cells.iter().zip(&before).all(|(new, old)| (new - old).abs() <= 1e-14) {
            break;
        }
    }
    // log q = f(a, y) + g(b, y) + h(a, b), so differences against a base pair give f and g up to what no argmax sees.
    let log: Vec<f64> = cells.iter().map(|&cell| libm::log(cell)).collect();
    let mut scores = Additive { classes, first: Vec::new(), second: Vec::new() };
    for a in 0..first {
        scores.first.extend((0..classes).map(|y| log[index(a, 0, y)] - log[index(a, 0, 0)]));
    }
    for b in 0..second {
        let base = |y: usize| log[index(0, b, y)] - log[index(0, 0, y)];
        scores.second.extend((0..classes).map(|y| base(y) - base(0)));
    }
    scores
}

/// Climbs from `start`, and from perturbations of the best predictor so far.
pub(crate) fn improve(table: &Table, start: Additive) -> Additive {
    let mut stream = Seeds::root(0).child("log-additive search").stream();
    let (mut best, mut accuracy) = climb(table, start);
    for _ in 0..STARTS {
        let (found, reached) = climb(table, perturb(&best, &mut stream));
        if reached > accuracy + GAIN {
            (best, accuracy) = (found, reached);
        }
    }
    best
}

fn perturb(scores: &Additive, stream: &mut Stream) -> Additive {
    let mut moved = scores.clone();
    let values = moved.first.iter_mut().chain(&mut moved.second);
    values.for_each(|score| *score += PERTURBATION * stream.normal());
    moved
}

/// Exact line searches along every score in turn until none improves.
fn climb(table: &Table, mut scores: Additive) -> (Additive, f64) {
    let classes = table.classes;
    let mut accuracy = scores.accuracy(table);
    loop {
        let before = accuracy;
        for which in 0..scores.first.len() + scores.second.len() {
            let old = *scores.score(which);
            let Some(value) = line_search(table, &scores, which, classes) else { continue };
            *scores.score(which) = value;
            let reached = scores.accuracy(table);
            if reached > accuracy + GAIN {
                accuracy = reached;
            } else {
                *scores.score(which) = old;
            }
        }
        if accuracy <= before + GAIN {
            return (scores, accuracy);
        }
    }
}

impl Additive {
    fn score(&mut self, which: usize) -> &mut f64 {
        let firsts = self.first.len();
        if which < firsts { &mut self.first[which] } else { &mut self.second[which - firsts] }
    }
}

/// The value of one score, all others held, at which the accuracy is largest: the middle of the best interval
/// between the thresholds at which the label overtakes the best other label of a pair of states.
fn line_search(table: &Table, scores: &Additive, which: usize, classes: usize) -> Option<f64> {
    let of_first = which < scores.first.len();
    let (own, others) =
        if of_first { (which, table.second) } else { (which - scores.first.len(), table.first) };
    let (state, y) = (own / classes, own % classes);
    let (mine, theirs) =
        if of_first { (&scores.first, &scores.second) } else { (&scores.second, &scores.first) };
    let mine = &mine[state * classes..][..classes];
    // Per other state: the threshold, and what winning it gains.
    let mut thresholds: Vec<(f64, f64)> = Vec::with_capacity(others);
    for other in 0..others {
        let g = &theirs[other * classes..][..classes];
        let rival = (0..classes)
            .filter(|&k| k != y)
            .reduce(|best, k| if mine[k] + g[k] > mine[best] + g[best] { k } else { best })?;
        let p = |label| if of_first { table.at(state, other, label) } else { table.at(other, state, label) };
        thresholds.push((mine[rival] + g[rival] - g[y], p(y) - p(rival)));
    }
    thresholds.sort_by(|left, right| left.0.total_cmp(&right.0));
    // Passing the first k thresholds wins their gains.
    let (mut best, mut best_gain, mut gain) = (0, 0.0, 0.0);
    for (k, threshold) in thresholds.iter().enumerate() {
        gain += threshold.1;
        if gain > best_gain {
            (best, best_gain) = (k + 1, gain);
        }
    }
    let below = |k: usize| thresholds[k - 1].0;
    Some(match best {
        0 => thresholds.first()?.0 - 1.0,
        k if k == thresholds.len() => below(k) + 1.0,
        k => 0.5 * (below(k) + thresholds[k].0),
    })
}
