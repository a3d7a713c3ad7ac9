//! Percentile intervals of a mean by resampling, without a random number: for a few seeds all resamples are taken.
//!
//! Invariant: a resample is weighed by how often it would be drawn; the interval does not depend on the order of the values.

use super::Interval;

/// Values from which on all resamples are too many.
const FEW: usize = 10;

/// The percentile interval of the mean, of this confidence, over all n^n resamples (Efron), with linear interpolation between
/// their means as NumPy has it. `None` for fewer than two values or more than ten.
pub(crate) fn bootstrap_mean(values: &[f64], confidence: f64) -> Option<Interval> {
    let n = values.len();
    if !(2..=FEW).contains(&n) || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut means = Vec::new();
    resamples(&sorted, n, 0.0, factorial(n), &mut means);
    means.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (mean, _) in &mut means {
        *mean /= n as f64;
    }
    let total: f64 = means.iter().map(|(_, weight)| weight).sum();
    let quantile = |q: f64| {
        // Ranks of n^n sorted means, counted from 0; equal ones stand in a row.
        let rank = q * (total - 1.0);
        let at = |rank: f64| {
            let mut passed = 0.0;
            let found = means.iter().find(|(_, weight)| {
                passed += weight;
                rank < passed
            });
            found.or(means.last()).map_or(f64::NAN, |(mean, _)| *mean)
        };
        let (low, high) = (at(rank.floor()), at(rank.ceil()));
        low + (high - low) * (rank - rank.floor())
    };
    let tail = (1.0 - confidence) / 2.0;
    Some(Interval { low: quantile(tail), high: quantile(1.0 - tail) })
}

fn factorial(n: usize) -> f64 {
    (1..=n).map(|k| k as f64).product()
}

/// Every choice of how often each value is drawn: the mean, and the number of orders of drawing.
fn resamples(values: &[f64], left: usize, sum: f64, orders: f64, means: &mut Vec<(f64, f64)>) {
    let Some((value, rest)) = values.split_first() else { return };
    if rest.is_empty() {
        let drawn: f64 = sum + value * left as f64;
        means.push((drawn, (orders / factorial(left)).round()));
        return;
    }
    for times in 0..=left {
        resamples(rest, left - times, sum + value * times as f64, orders / factorial(times), means);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::golden::{cases, number, numbers};

    #[test]
    fn agrees_with_numpy_over_all_resamples() {
        for case in cases("bootstrap") {
            let values = numbers(&case, "values");
            let found = bootstrap_mean(&values, number(&case, "confidence")).unwrap();
            assert!((found.low - number(&case, "low")).abs() < 1e-9, "{case} {found:?}");
            assert!((found.high - number(&case, "high")).abs() < 1e-9, "{case} {found:?}");
        }
    }

    #[test]
    fn the_order_does_not_matter_and_equal_values_have_no_width() {
        let a = bootstrap_mean(&[1.0, 5.0, 2.0, 4.5], 0.95).unwrap();
        assert_eq!(a, bootstrap_mean(&[5.0, 4.5, 1.0, 2.0], 0.95).unwrap());
        assert!(a.low < 3.125 && 3.125 < a.high);
        assert_eq!(bootstrap_mean(&[2.0; 5], 0.95), Some(Interval { low: 2.0, high: 2.0 }));
        assert!(bootstrap_mean(&[1.0], 0.95).is_none() && bootstrap_mean(&[1.0; 11], 0.95).is_none());
        assert!(bootstrap_mean(&[1.0, f64::NAN], 0.95).is_none());
    }
}
