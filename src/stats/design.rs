//! How many seeds it takes: the smallest difference that can be seen, and the seeds for a wanted power.
//!
//! Invariant: a number of seeds is the smallest one whose power is at least what is asked for, by the same tests as the verdicts;
//! none is given where no number would do.

use super::noncentral::{power_of_difference, power_of_equivalence};
use super::student::student_quantile;
use super::summary::Summary;
use super::welch::{Difference, welch};

/// Power that is planned for.
pub(crate) const POWER: f64 = 0.8;
/// More seeds than anybody would train.
const MOST_SEEDS: usize = 1000;

/// The smallest true difference that a two-sided test at level `alpha` finds with [`POWER`], given what is known of its
/// standard error. Zero where nothing varies.
pub(crate) fn minimum_detectable(difference: &Difference, alpha: f64) -> f64 {
    if difference.standard_error == 0.0 {
        return 0.0;
    }
    let excess = |shift: f64| power_of_difference(shift, difference.df, alpha) - POWER;
    let (mut low, mut high) = (0.0, 4.0);
    let mut below = alpha - POWER;
    let mut above = excess(high);
    while above < 0.0 {
        (low, below) = (high, above);
        high *= 2.0;
        above = excess(high);
    }
    // False position (Illinois): a dozen integrals in place of fifty.
    for _ in 0..60 {
        let middle = high - above * (high - low) / (above - below);
        let found = excess(middle);
        if (found > 0.0) == (above > 0.0) {
            below *= 0.5;
        } else {
            (low, below) = (high, above);
        }
        (high, above) = (middle, found);
        if found.abs() < 1e-10 || (high - low).abs() < 1e-12 {
            break;
        }
    }
    high * difference.standard_error
}

/// Seeds that show equivalence within `margin` to a published mean with [`POWER`], if the means are truly equal and ours
/// deviate by `std`. `None` where the published mean itself is too uncertain for any number, or thousands would be needed.
pub(crate) fn seeds_for_equivalence(std: f64, published: &Summary, margin: f64, alpha: f64) -> Option<usize> {
    smallest(|n| {
        let Some(difference) = welch(&Summary { n, mean: published.mean, std: Some(std) }, published) else {
            return false;
        };
        let error = difference.standard_error;
        error == 0.0 || power_of_equivalence(margin / error, 0.0, difference.df, alpha) >= POWER
    })
}

/// Seeds of each of two methods that show a true difference of `size`, of the kind that `first` above `second` is (one-sided),
/// if their deviations are `first` and `second`.
pub(crate) fn seeds_for_difference(first: f64, second: f64, size: f64, alpha: f64) -> Option<usize> {
    smallest(|n| {
        let summary = |std| Summary { n, mean: 0.0, std: Some(std) };
        let Some(difference) = welch(&summary(first), &summary(second)) else { return false };
        shows(size, &difference, alpha)
    })
}

/// The same where the values of both methods belong together in pairs, whose differences deviate by `std`.
pub(crate) fn pairs_for_difference(std: f64, size: f64, alpha: f64) -> Option<usize> {
    smallest(|n| {
        let error = std / (n as f64).sqrt();
        shows(size, &Difference { value: size, standard_error: error, df: (n - 1) as f64 }, alpha)
    })
}

/// Whether a one-sided test finds a true difference of `size` with [`POWER`].
fn shows(size: f64, difference: &Difference, alpha: f64) -> bool {
    if size <= 0.0 {
        return false;
    }
    let error = difference.standard_error;
    if error == 0.0 {
        return true;
    }
    let (shift, t) = (size / error, student_quantile(1.0 - alpha, difference.df));
    1.0 - super::noncentral::noncentral_cdf(t, difference.df, shift) >= POWER
}

/// The smallest number from 2 on that is enough, given that more never is too little.
fn smallest(enough: impl Fn(usize) -> bool) -> Option<usize> {
    if !enough(MOST_SEEDS) {
        return None;
    }
    let (mut low, mut high) = (1, MOST_SEEDS);
    while low + 1 < high {
        let middle = usize::midpoint(low, high);
        if enough(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_detectable_difference_is_detected_with_the_power() {
        let difference = Difference { value: 0.3, standard_error: 0.2, df: 7.3 };
        let smallest = minimum_detectable(&difference, 0.05);
        assert!((power_of_difference(smallest / 0.2, 7.3, 0.05) - POWER).abs() < 1e-9);
        assert_eq!(minimum_detectable(&Difference { standard_error: 0.0, ..difference }, 0.05), 0.0);
    }

    /// Textbook values: 17 of each for a difference of one deviation at 80 %, two-sided 5 % (one-sided 2.5 %); 10 pairs.
    #[test]
    fn seeds_are_those_of_the_textbook() {
        assert_eq!(seeds_for_difference(1.0, 1.0, 1.0, 0.025), Some(17));
        assert_eq!(pairs_for_difference(1.0, 1.0, 0.025), Some(10));
        assert_eq!(seeds_for_difference(1.0, 1.0, 0.0, 0.025), None);
        assert_eq!(seeds_for_difference(0.0, 0.0, 0.1, 0.025), Some(2));
    }

    #[test]
    fn a_published_mean_that_is_too_uncertain_cannot_be_met() {
        let published = |std| Summary { n: 5, mean: 70.0, std: Some(std) };
        assert_eq!(seeds_for_equivalence(0.3, &published(2.0), 1.0, 0.05), None);
        let some = seeds_for_equivalence(0.3, &published(0.3), 1.0, 0.05);
        assert!(some.is_some_and(|n| (2..=5).contains(&n)), "{some:?}");
    }
}
