//! What is done with logits after training, in `f64`: combining experts, and their entropy.
//!
//! Invariant: logits are row-major, examples x classes; every result is finite for finite logits, however large.

/// Normalised log-probabilities of the product of experts, `log_softmax(sum_e log_softmax(z_e))`: examples x classes.
///
/// # Panics
/// If the experts differ in length, or a length is no multiple of `classes`: a bug of the caller.
pub(crate) fn log_probabilities(experts: &[&[f32]], classes: usize) -> Vec<f64> {
    let mut out = combine(experts, classes, |total, logit| *total += logit);
    out.chunks_exact_mut(classes).for_each(normalise);
    out
}

/// The arithmetic mean of the experts' softmaxes (deviation A4): examples x classes.
///
/// # Panics
/// As [`log_probabilities`].
pub(crate) fn mean_probabilities(experts: &[&[f32]], classes: usize) -> Vec<f64> {
    let share = 1.0 / experts.len() as f64;
    combine(experts, classes, |total, log_probability| *total += share * libm::exp(log_probability))
}

/// Entropy of each example's softmax, in nats.
///
/// # Panics
/// As [`log_probabilities`].
pub(crate) fn entropy(logits: &[f32], classes: usize) -> Vec<f64> {
    let entropy_of = |row: &[f64]| -> f64 {
        // A class whose probability underflows to 0 contributes its limit, 0.
        row.iter().map(|&l| if libm::exp(l) > 0.0 { -libm::exp(l) * l } else { 0.0 }).sum()
    };
    log_probabilities(&[logits], classes).chunks_exact(classes).map(entropy_of).collect()
}

/// Adds up something over every expert's `log_softmax`.
fn combine(experts: &[&[f32]], classes: usize, add: impl Fn(&mut f64, f64)) -> Vec<f64> {
    let len = experts.first().map_or(0, |logits| logits.len());
    let mut out = vec![0.0; len];
    let mut row = vec![0.0; classes];
    for logits in experts {
        assert!(
            logits.len() == len && len.is_multiple_of(classes),
            "experts must have the same number of whole rows"
        );
        for (logits, out) in logits.chunks_exact(classes).zip(out.chunks_exact_mut(classes)) {
            row.iter_mut().zip(logits).for_each(|(value, &logit)| *value = f64::from(logit));
            normalise(&mut row);
            out.iter_mut().zip(&row).for_each(|(total, &value)| add(total, value));
        }
    }
    out
}

/// Turns one row of logits into its `log_softmax`.
fn normalise(row: &mut [f64]) {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|&value| libm::exp(value - largest)).sum();
    let shift = largest + libm::log(sum);
    row.iter_mut().for_each(|value| *value -= shift);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 1e-12, "{found:?} {expected:?}");
        }
    }

    #[test]
    fn two_experts_multiply_or_average() {
        // Odds of 3:1 and 1:2 multiply to 3:2.
        let (a, b) = ([3f32.ln(), 0.0], [0.0, 2f32.ln()]);
        let product: Vec<f64> =
            log_probabilities(&[&a, &b], 2).into_iter().map(|l| (libm::exp(l) * 1e6).round() / 1e6).collect();
        close(&product, &[0.6, 0.4]);
        let mean: Vec<f64> =
            mean_probabilities(&[&a, &b], 2).into_iter().map(|p| (p * 1e6).round() / 1e6).collect();
        close(&mean, &[((0.75 + 1.0 / 3.0) / 2.0 * 1e6f64).round() / 1e6, 0.458_333]);
    }

    #[test]
    fn entropy_is_in_nats() {
        close(&entropy(&[7.0; 20], 10), &[libm::log(10.0); 2]);
        close(&entropy(&[1e4, -1e4, 0.0], 3), &[0.0]);
    }

    #[test]
    fn large_logits_stay_finite() {
        let logits = [1e4, -1e4, 3.0, -1e4, 1e4, 9999.0];
        assert!(log_probabilities(&[&logits, &logits, &logits], 3).iter().all(|l| l.is_finite()));
        assert!(mean_probabilities(&[&logits, &logits], 3).iter().all(|p| p.is_finite()));
    }

    #[test]
    #[should_panic(expected = "whole rows")]
    fn experts_of_different_length_are_a_bug() {
        log_probabilities(&[&[0.0; 6], &[0.0; 3]], 3);
    }
}
