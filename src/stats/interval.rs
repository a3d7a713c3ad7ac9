//! Where a mean of new repetitions is expected.
//!
//! Invariant: an interval is symmetric around the stored mean and never narrower than its floor.

use super::student::student_quantile;
use super::summary::Summary;

/// A closed range of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

#[cfg(test)]
impl Interval {
    /// Whether a value lies inside, ends included.
    fn contains(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// The prediction interval of the mean of `new` further values after the `stored` ones:
/// mean +- t(1 - (1 - level) / 2, n - 1) * s * sqrt(1/n + 1/m), at least `floor` to either side.
///
/// `None` when fewer than two values are stored or none is new.
pub(crate) fn prediction_interval(stored: &Summary, new: usize, level: f64, floor: f64) -> Option<Interval> {
    let std = stored.std?;
    if new == 0 {
        return None;
    }
    let spread = (1.0 / stored.n as f64 + 1.0 / new as f64).sqrt();
    let half = (student_quantile(0.5 + level / 2.0, (stored.n - 1) as f64) * std * spread).max(floor);
    Some(Interval { low: stored.mean - half, high: stored.mean + half })
}

/// The confidence interval of a mean by Student's t: mean +- t(1 - (1 - level) / 2, n - 1) * s / sqrt(n).
///
/// `None` for a single value.
pub(crate) fn mean_interval(summary: &Summary, level: f64) -> Option<Interval> {
    let n = summary.n as f64;
    let half = student_quantile(0.5 + level / 2.0, n - 1.0) * summary.std? / n.sqrt();
    Some(Interval { low: summary.mean - half, high: summary.mean + half })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::golden::golden;

    #[test]
    fn agrees_with_scipy() {
        for case in golden()["prediction"].as_array().unwrap() {
            let number = |name: &str| case[name].as_f64().unwrap();
            let stored = Summary { n: number("n") as usize, mean: number("mean"), std: Some(number("std")) };
            let interval = prediction_interval(&stored, number("m") as usize, 0.99, 0.0).unwrap();
            assert!((interval.low - number("low")).abs() < 1e-8, "{interval:?}");
            assert!((interval.high - number("high")).abs() < 1e-8, "{interval:?}");
        }
    }

    /// t(0.975, 4) = 2.776445 and s = 1.581139: scipy.stats.t.interval(0.95, 4, 3, 1.581139 / sqrt(5)).
    #[test]
    fn the_interval_of_a_mean_is_students() {
        let interval = mean_interval(&Summary::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap(), 0.95).unwrap();
        assert!((interval.low - 1.036_756_838_522_439).abs() < 1e-9, "{interval:?}");
        assert!((interval.high - 4.963_243_161_477_561).abs() < 1e-9, "{interval:?}");
        assert_eq!(mean_interval(&Summary { n: 1, mean: 1.0, std: None }, 0.95), None);
    }

    #[test]
    fn the_floor_holds_and_its_ends_belong_to_it() {
        let stored = Summary { n: 5, mean: 70.0, std: Some(0.0) };
        let interval = prediction_interval(&stored, 5, 0.99, 0.5).unwrap();
        assert_eq!(interval, Interval { low: 69.5, high: 70.5 });
        assert!(interval.contains(69.5) && !interval.contains(69.4));
    }

    #[test]
    fn needs_two_stored_values_and_one_new() {
        assert_eq!(prediction_interval(&Summary { n: 1, mean: 1.0, std: None }, 5, 0.99, 0.5), None);
        assert_eq!(prediction_interval(&Summary { n: 2, mean: 1.0, std: Some(1.0) }, 0, 0.99, 0.5), None);
    }

    /// The promise of the formula, by simulation: 99 of 100 new means fall inside.
    #[test]
    fn covers_what_it_promises() {
        // A 64-bit linear congruential generator and Box-Muller: this folder imports nothing of ours.
        let mut state: u64 = 1;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        };
        let mut draw = |n: usize| -> Summary {
            let normal =
                |u: f64, v: f64| libm::sqrt(-2.0 * libm::log(u)) * libm::cos(std::f64::consts::TAU * v);
            let values: Vec<f64> = (0..n).map(|_| normal(uniform(), uniform())).collect();
            Summary::of(&values).unwrap()
        };
        let rounds = 20_000;
        let inside = (0..rounds)
            .filter(|_| {
                let interval = prediction_interval(&draw(5), 5, 0.99, 0.0).unwrap();
                interval.contains(draw(5).mean)
            })
            .count();
        let share = inside as f64 / f64::from(rounds);
        assert!((share - 0.99).abs() < 0.003, "{share}");
    }
}
