//! Student's t distribution.
//!
//! Invariant: relative accuracy of the tail is better than 1e-10 for 1 to 1e6 degrees of freedom, held by golden
//! values from scipy.

/// P(T <= t) of Student's t with `df` > 0 degrees of freedom (need not be whole).
pub(super) fn student_cdf(t: f64, df: f64) -> f64 {
    let tail = upper_tail(t.abs(), df);
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// The t for which P(T <= t) = `p`. Infinite for `p` of 0 or 1, NaN outside of [0, 1].
pub(crate) fn student_quantile(p: f64, df: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) || df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    let tail = p.min(1.0 - p);
    let sign = if p < 0.5 { -1.0 } else { 1.0 };
    if tail == 0.0 {
        return sign * f64::INFINITY;
    }
    if tail == 0.5 {
        return 0.0;
    }
    // The tail falls monotonically: bracket, then halve until the ends are neighbours.
    let (mut low, mut high) = (0.0, 1.0);
    while upper_tail(high, df) > tail {
        low = high;
        high *= 2.0;
    }
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return sign * middle;
        }
        if upper_tail(middle, df) > tail { low = middle } else { high = middle }
    }
}

/// P(T > t) for t >= 0: half the regularised incomplete beta function I_x(df/2, 1/2) at x = df / (df + t^2).
fn upper_tail(t: f64, df: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
    // `x` and `1 - x` both without cancellation.
    let square = t * t;
    0.5 * incomplete_beta(df / 2.0, 0.5, df / (df + square), square / (df + square))
}

/// I_x(a, b) with y = 1 - x given separately.
fn incomplete_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if y <= 0.0 {
        return 1.0;
    }
    let log_beta = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    // ln x through ln(1 - y) where x is near 1: a may be large.
    let log_x = if y < 0.5 { libm::log1p(-y) } else { libm::log(x) };
    let log_y = if x < 0.5 { libm::log1p(-x) } else { libm::log(y) };
    let front = libm::exp(a * log_x + b * log_y - log_beta);
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(a, b, x) / a
    } else {
        1.0 - front * fraction(b, a, y) / b
    }
}

/// The continued fraction of the incomplete beta function (modified Lentz; DLMF 8.17.22).
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for step in 1..10_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        value *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        value *= d * c;
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::golden::golden;

    #[test]
    fn the_distribution_agrees_with_scipy() {
        for case in golden()["cdf"].as_array().unwrap() {
            let (t, df, expected) = (number(case, 0), number(case, 1), number(case, 2));
            let found = student_cdf(t, df);
            assert!((found - expected).abs() <= 1e-9 * expected, "t {t} df {df}: {found} is not {expected}");
        }
    }

    #[test]
    fn quantiles_agree_with_scipy() {
        for case in golden()["quantile"].as_array().unwrap() {
            let (p, df, expected) = (number(case, 0), number(case, 1), number(case, 2));
            let found = student_quantile(p, df);
            assert!(
                (found - expected).abs() <= 1e-8 * expected.abs().max(1e-12),
                "p {p} df {df}: {found} is not {expected}"
            );
        }
    }

    #[test]
    fn the_ends_are_where_they_belong() {
        assert_eq!(student_cdf(0.0, 4.0), 0.5);
        assert_eq!(student_cdf(f64::INFINITY, 4.0), 1.0);
        assert_eq!(student_cdf(f64::NEG_INFINITY, 4.0), 0.0);
        assert_eq!(student_quantile(0.5, 4.0), 0.0);
        assert_eq!(student_quantile(1.0, 4.0), f64::INFINITY);
        assert!(student_quantile(1.5, 4.0).is_nan());
    }

    fn number(case: &serde_json::Value, index: usize) -> f64 {
        case[index].as_f64().unwrap()
    }
}
