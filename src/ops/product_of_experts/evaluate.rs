//! What is done with logits after training, in `f64`: combining experts, their entropy, and how they do on soft targets.
//!
//! Invariant: logits are row-major, examples x classes; every result is finite for finite logits, however large.

/// Normalised log-probabilities of the product of experts, `log_softmax(sum_e log_softmax(z_e))`: examples x classes.
///
/// # Panics
/// If the experts differ in length, or a length is no multiple of `classes`: a bug of the caller.
pub fn log_probabilities(experts: &[&[f32]], classes: usize) -> Vec<f64> {
    let mut out = combine(experts, classes, |total, logit| *total += logit);
    out.chunks_exact_mut(classes).for_each(normalise);
    out
}

/// The arithmetic mean of the experts' softmaxes (deviation A4): examples x classes.
///
/// # Panics
/// As [`log_probabilities`].
pub fn mean_probabilities(experts: &[&[f32]], classes: usize) -> Vec<f64> {
    let share = 1.0 / experts.len() as f64;
    combine(experts, classes, |total, log_probability| *total += share * libm::exp(log_probability))
}

/// Entropy of each example's softmax, in nats.
///
/// # Panics
/// As [`log_probabilities`].
pub fn entropy(logits: &[f32], classes: usize) -> Vec<f64> {
    let entropy_of = |row: &[f64]| -> f64 {
        // A class whose probability underflows to 0 contributes its limit, 0.
        row.iter().map(|&l| if libm::exp(l) > 0.0 { -libm::exp(l) * l } else { 0.0 }).sum()
    };
    log_probabilities(&[logits], classes).chunks_exact(classes).map(entropy_of).collect()
}

/// What soft targets are compared with: the logits of one expert as they are, and the normalised log-probabilities of several
/// experts' product; examples x classes.
///
/// # Panics
/// As [`log_probabilities`].
pub fn soft_logits(experts: &[&[f32]], classes: usize) -> Vec<f64> {
    match experts {
        [one] => {
            assert!(one.len().is_multiple_of(classes), "an expert must have whole rows");
            one.iter().map(|&logit| f64::from(logit)).collect()
        }
        _ => log_probabilities(experts, classes),
    }
}

/// Mean over the examples of `softplus(z) - t z`, summed over the classes: binary cross-entropy against targets in `[0, 1]`.
/// Logits are those of [`soft_logits`], and targets examples x classes as they are.
///
/// # Panics
/// If logits and targets are not the same number of whole rows: a bug of the caller.
pub fn soft_loss(logits: &[f64], targets: &[f32], classes: usize) -> f64 {
    mean_of_rows(logits, targets, classes, |logits, targets| {
        let losses = logits.iter().zip(targets).map(|(&z, &t)| {
            // Nothing large is taken from something large.
            let (magnitude, t) = (z.abs(), f64::from(t));
            let share = if z > 0.0 { 1.0 - t } else { t };
            share * magnitude + libm::log1p(libm::exp(-magnitude))
        });
        losses.sum()
    })
}

/// Mean over the examples of the target at the class with the largest logit, the first of equal ones: what the model's answers
/// are worth, in `[0, 1]`.
///
/// # Panics
/// As [`soft_loss`].
pub fn soft_score(logits: &[f64], targets: &[f32], classes: usize) -> f64 {
    mean_of_rows(logits, targets, classes, |logits, targets| {
        let best = (1..classes).fold(0, |best, k| if logits[k] > logits[best] { k } else { best });
        f64::from(targets[best])
    })
}

/// The mean of something over rows, in their order.
fn mean_of_rows(
    logits: &[f64],
    targets: &[f32],
    classes: usize,
    of_row: impl Fn(&[f64], &[f32]) -> f64,
) -> f64 {
    assert!(
        logits.len() == targets.len() && logits.len().is_multiple_of(classes),
        "logits and targets must have the same number of whole rows"
    );
    let rows = logits.chunks_exact(classes).zip(targets.chunks_exact(classes));
    let total: f64 = rows.map(|(logits, targets)| of_row(logits, targets)).sum();
    total / (logits.len() / classes) as f64
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
    fn soft_targets_are_compared_with_raw_logits_of_one_expert_and_the_log_probabilities_of_a_product() {
        let (a, b) = ([3f32.ln(), 0.0], [0.0, 2f32.ln()]);
        close(&soft_logits(&[&a], 2), &a.map(f64::from));
        close(&soft_logits(&[&a, &b], 2), &log_probabilities(&[&a, &b], 2));
    }

    #[test]
    fn soft_loss_is_binary_cross_entropy_summed_over_classes() {
        let (logits, targets) = ([0.3, -1.2, 2.5, 0.0, -0.7, 4.0], [0.0, 1.0, 0.3, 0.6, 0.9, 1.0]);
        let of_class = |(&z, &t): (&f64, &f32)| {
            let (p, t) = (1.0 / (1.0 + libm::exp(-z)), f64::from(t));
            -t * libm::log(p) - (1.0 - t) * libm::log(1.0 - p)
        };
        let expected: f64 = logits.iter().zip(&targets).map(of_class).sum::<f64>() / 2.0;
        close(&[soft_loss(&logits, &targets, 3)], &[expected]);
        // Right and certain loses e^-|z|, wrong and certain |z|.
        close(&[1e9 * soft_loss(&[30.0, -30.0], &[1.0, 0.0], 2)], &[2e9 * libm::exp(-30.0)]);
        close(&[soft_loss(&[1e4, -1e4], &[0.0, 1.0], 2)], &[2e4]);
        close(&[soft_loss(&[0.0; 4], &[0.2; 4], 1)], &[std::f64::consts::LN_2]);
    }

    #[test]
    fn soft_score_is_that_of_the_first_of_the_largest() {
        let targets = [0.0, 0.3, 1.0, /* second row */ 0.5, 0.25, 0.0];
        assert_eq!(soft_score(&[-1.0, -2.0, -0.5, -3.0, -1.0, -1.0], &targets, 3), (1.0 + 0.25) / 2.0);
        assert_eq!(soft_score(&[0.0; 6], &targets, 3), 0.25);
        assert_eq!(soft_score(&[5.0, -5.0], &[0.5, 1.0], 1), 0.75);
    }

    #[test]
    #[should_panic(expected = "whole rows")]
    fn targets_of_another_length_are_a_bug() {
        soft_loss(&[0.0; 6], &[0.0; 3], 3);
    }

    #[test]
    #[should_panic(expected = "whole rows")]
    fn experts_of_different_length_are_a_bug() {
        log_probabilities(&[&[0.0; 6], &[0.0; 3]], 3);
    }
}
