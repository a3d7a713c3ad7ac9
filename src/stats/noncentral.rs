//! Student's t distribution away from its centre, and the joint event of the two one-sided tests.
//!
//! Invariant: both are integrals over the scale s of the sample deviation (chi with `df` degrees of freedom, divided by its
//! root), taken by the trapezoidal rule in ln s, where the integrand and all its derivatives vanish at both ends; absolute
//! accuracy better than 1e-10, held by golden values.

use libm::{erfc, exp, lgamma, log, log1p};

/// Standard normal P(Z <= z).
fn normal_cdf(z: f64) -> f64 {
    0.5 * erfc(-z / std::f64::consts::SQRT_2)
}

/// The mean of `f(s)` where s^2 has the distribution of chi^2 / df. `steepness` bounds how fast `f` changes with ln s;
/// beyond `end`, if there is one, `f` is zero.
fn over_scale(df: f64, steepness: f64, end: Option<f64>, f: impl Fn(f64) -> f64) -> f64 {
    // ln of the density of u = ln s: constant + df (u - e^(2u) / 2).
    let constant = log(2.0) + 0.5 * df * log(0.5 * df) - lgamma(0.5 * df);
    let at = |u: f64| exp(constant + df * (u - 0.5 * exp(2.0 * u))) * f(exp(u));
    // The density is about as wide as a normal one of variance 1 / (2 df), with a long tail to the left for small df.
    let width = 1.0 / (2.0 * df).sqrt();
    let step = (0.25 * width.min(1.0 / steepness.max(1.0))).min(0.05);
    let (left, right) = (-(40.0 / df).max(14.0 * width), (14.0 * width).min(3.0));
    let trapezoids = |from: f64, to: f64, integrand: &dyn Fn(f64) -> f64| -> f64 {
        let steps = ((to - from) / step).ceil().max(1.0) as u32;
        let step = (to - from) / f64::from(steps);
        (0..=steps).map(|n| integrand(from + f64::from(n) * step)).sum::<f64>() * step
    };
    match end.map(log) {
        // u = end - ln(1 + e^v): all derivatives vanish at the end, too.
        Some(end) if end < right => {
            let from = log(1e-14 * width);
            let to = (end - left).max(1.0);
            trapezoids(from, to, &|v| at(end - log1p(exp(v))) / (1.0 + exp(-v)))
        }
        _ => trapezoids(left, right, &at),
    }
}

/// P(T <= t) where T = (Z + shift) / s: Student's t with `df` > 0 degrees of freedom and noncentrality `shift`.
pub(super) fn noncentral_cdf(t: f64, df: f64, shift: f64) -> f64 {
    over_scale(df, t.abs() + shift.abs(), None, |s| normal_cdf(t * s - shift)).clamp(0.0, 1.0)
}

/// Power of the two-sided t test at level `alpha` where the true difference is `shift` standard errors.
pub(super) fn power_of_difference(shift: f64, df: f64, alpha: f64) -> f64 {
    let t = super::student_quantile(1.0 - alpha / 2.0, df);
    (1.0 - noncentral_cdf(t, df, shift) + noncentral_cdf(-t, df, shift)).clamp(0.0, 1.0)
}

/// Power of the equivalence test (TOST) at level `alpha`: margin and true difference in standard errors.
pub(super) fn power_of_equivalence(margin: f64, shift: f64, df: f64, alpha: f64) -> f64 {
    let t = super::student_quantile(1.0 - alpha, df);
    let both = |s: f64| {
        let room = margin - t * s;
        if room > 0.0 { normal_cdf(room - shift) - normal_cdf(-room - shift) } else { 0.0 }
    };
    over_scale(df, t.abs() + shift.abs(), Some(margin / t), both).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::golden::{cases, number};

    #[test]
    fn the_noncentral_distribution_agrees_with_scipy() {
        for case in cases("noncentral") {
            let (t, df, shift) = (number(&case, "t"), number(&case, "df"), number(&case, "shift"));
            let (found, expected) = (noncentral_cdf(t, df, shift), number(&case, "p"));
            assert!((found - expected).abs() < 1e-9, "{case}: {found}");
        }
    }

    #[test]
    fn power_agrees_with_statsmodels_and_with_numerical_integration() {
        for case in cases("power") {
            let (df, shift, alpha) = (number(&case, "df"), number(&case, "shift"), number(&case, "alpha"));
            let found = power_of_difference(shift, df, alpha);
            assert!((found - number(&case, "difference")).abs() < 1e-9, "{case}: {found}");
            let found = power_of_equivalence(number(&case, "margin"), shift, df, alpha);
            assert!((found - number(&case, "equivalence")).abs() < 1e-9, "{case}: {found}");
        }
    }

    #[test]
    fn without_a_shift_it_is_students_and_power_is_the_level() {
        for df in [1.0, 3.7, 8.0, 60.0, 1e5] {
            for t in [-3.0, -0.2, 0.0, 1.5, 6.0] {
                let (found, expected) =
                    (noncentral_cdf(t, df, 0.0), crate::stats::student::student_cdf(t, df));
                assert!((found - expected).abs() < 1e-10, "{t} {df}: {found} {expected}");
            }
            assert!((power_of_difference(0.0, df, 0.05) - 0.05).abs() < 1e-9);
            assert!(power_of_equivalence(1e-3, 0.0, df, 0.05) < 1e-3);
        }
    }
}
