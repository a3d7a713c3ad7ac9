//! Holm's correction for several tests.
//!
//! Invariant: adjusted p-values keep the order of the raw ones and never exceed 1.

/// Adjusted p-values (Holm 1979), in the order given: rejecting those at or under alpha keeps the chance of any false
/// rejection at alpha.
pub(crate) fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        largest = largest.max(p_values[index] * (p_values.len() - rank) as f64).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::golden::{cases, numbers};

    #[test]
    fn adjusts_a_worked_example() {
        let found = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in found.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
    }

    #[test]
    fn agrees_with_statsmodels() {
        for case in cases("holm") {
            for (found, expected) in holm(&numbers(&case, "p")).iter().zip(numbers(&case, "adjusted")) {
                assert!((found - expected).abs() < 1e-9, "{case}");
            }
        }
    }

    #[test]
    fn never_exceeds_one() {
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
