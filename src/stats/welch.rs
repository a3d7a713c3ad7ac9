//! The difference of two means with unequal variances: Welch's test and the equivalence test built on it (TOST).
//!
//! Invariant: both tests of one comparison read the same difference, standard error and degrees of freedom.

use super::student::{student_cdf, student_quantile};
use super::summary::Summary;

/// The difference of two means and what is known about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Difference {
    /// First mean minus second mean.
    pub value: f64,
    /// Its standard error; zero when neither sample varies.
    pub standard_error: f64,
    /// Welch-Satterthwaite degrees of freedom.
    pub df: f64,
}

/// Compares two samples; `None` when one of them has fewer than two values.
pub(crate) fn welch(first: &Summary, second: &Summary) -> Option<Difference> {
    let (a, b) = (variance_of_mean(first)?, variance_of_mean(second)?);
    let (n, m) = (first.n as f64, second.n as f64);
    // Without any variance the ratio is 0 / 0; its limit for equal variances stands in.
    let df =
        if a + b > 0.0 { (a + b) * (a + b) / (a * a / (n - 1.0) + b * b / (m - 1.0)) } else { n + m - 2.0 };
    Some(Difference { value: first.mean - second.mean, standard_error: (a + b).sqrt(), df })
}

/// Compares two samples whose values belong together in pairs; `None` when their numbers differ or are less than two.
pub(crate) fn paired(first: &[f64], second: &[f64]) -> Option<Difference> {
    if first.len() != second.len() {
        return None;
    }
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    let summary = Summary::of(&differences)?;
    let error = variance_of_mean(&summary)?.sqrt();
    Some(Difference { value: summary.mean, standard_error: error, df: (summary.n - 1) as f64 })
}

impl Difference {
    /// Two-sided p-value of "the means are equal" (Welch's t-test).
    pub(crate) fn p_equal(&self) -> f64 {
        2.0 * student_cdf(-self.statistic(self.value.abs()), self.df)
    }

    /// One-sided p-value of "the first mean does not lie above the second". Small means above.
    pub(crate) fn p_not_above(&self) -> f64 {
        student_cdf(-self.statistic(self.value), self.df)
    }

    /// With the degrees of freedom rounded down, as tables of t once made everybody do: Welch's approximation finds a little too
    /// much in the far tails, which is where corrections for many tests look.
    pub(crate) fn cautious(self) -> Self {
        Difference { df: self.df.floor().max(1.0), ..self }
    }

    /// The same comparison the other way round.
    pub(crate) fn reversed(self) -> Self {
        Difference { value: -self.value, ..self }
    }

    /// p-value of "the means lie `margin` or more apart": the larger of two one-sided tests (TOST). Small means
    /// equivalent. `margin` must be positive.
    pub(crate) fn p_apart(&self, margin: f64) -> f64 {
        student_cdf(-self.statistic(margin - self.value.abs()), self.df)
    }

    /// Half-width of the confidence interval of the difference.
    pub(crate) fn half_width(&self, confidence: f64) -> f64 {
        student_quantile(0.5 + confidence / 2.0, self.df) * self.standard_error
    }

    fn statistic(&self, distance: f64) -> f64 {
        if self.standard_error > 0.0 {
            distance / self.standard_error
        } else if distance == 0.0 {
            0.0
        } else {
            distance * f64::INFINITY
        }
    }
}

fn variance_of_mean(summary: &Summary) -> Option<f64> {
    summary.std.map(|std| std * std / summary.n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::stats::golden::{cases, number, numbers};

    #[track_caller]
    fn near(case: &serde_json::Value, found: f64, name: &str) {
        let expected = number(case, name);
        assert!(
            (found - expected).abs() <= 1e-9 * expected.abs().max(1e-3),
            "{name}: {found} is not {expected}: {case}"
        );
    }

    #[test]
    fn agrees_with_scipy() {
        for case in cases("welch") {
            let sample = |name: &str| Summary::of(&numbers(&case, name)).unwrap();
            let difference = welch(&sample("a"), &sample("b")).unwrap();
            near(&case, difference.df, "df");
            near(&case, difference.p_equal(), "p_equal");
            near(&case, difference.p_not_above(), "p_not_above");
            near(&case, 1.0 - difference.reversed().p_not_above(), "p_not_above");
            near(&case, difference.p_apart(number(&case, "margin")), "p_apart");
            near(&case, difference.half_width(0.95), "half_width");
        }
    }

    #[test]
    fn pairs_agree_with_scipy() {
        for case in cases("paired") {
            let difference = paired(&numbers(&case, "a"), &numbers(&case, "b")).unwrap();
            near(&case, difference.df, "df");
            near(&case, difference.p_equal(), "p_equal");
            near(&case, difference.p_not_above(), "p_not_above");
        }
        assert_eq!(paired(&[1.0, 2.0], &[1.0]), None);
        assert_eq!(paired(&[1.0], &[1.0]), None);
    }

    #[test]
    fn samples_without_variance_are_equal_or_they_are_not() {
        let still = |mean| Summary { n: 5, mean, std: Some(0.0) };
        let same = welch(&still(91.42), &still(91.42)).unwrap();
        assert_eq!((same.p_equal(), same.p_apart(1.0)), (1.0, 0.0));
        let apart = welch(&still(90.0), &still(91.42)).unwrap();
        assert_eq!((apart.p_equal(), apart.p_apart(1.0)), (0.0, 1.0));
        assert_eq!(
            (same.p_not_above(), apart.p_not_above(), apart.reversed().p_not_above()),
            (0.5, 1.0, 0.0)
        );
    }

    #[test]
    fn one_value_cannot_be_compared() {
        let single = Summary::of(&[1.0]).unwrap();
        assert_eq!(welch(&single, &Summary { n: 5, mean: 1.0, std: Some(1.0) }), None);
    }
}
