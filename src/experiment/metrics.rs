//! Numbers about predictions: accuracy, soft scores, losses, average precision, entropy of labels.
//!
//! Invariant: pure functions over row-major scores (examples x classes) and labels; the first of equal scores is the
//! prediction, and sums run in the order of the examples.

use std::collections::BTreeMap;

/// Percentage of rows whose largest score stands at the label; the first of equal scores counts.
pub(super) fn accuracy(scores: &[f64], classes: usize, labels: &[u32]) -> f64 {
    let correct = predictions(scores, classes).zip(labels).filter(|(best, label)| best == *label).count();
    100.0 * correct as f64 / labels.len() as f64
}

/// The class with the largest score of each row; the first of equal scores.
pub(super) fn predictions(scores: &[f64], classes: usize) -> impl Iterator<Item = u32> {
    let best =
        move |row: &[f64]| (1..classes).fold(0, |best, k| if row[k] > row[best] { k } else { best }) as u32;
    scores.chunks_exact(classes).map(best)
}

/// Mean cross-entropy in nats of log-probabilities.
pub(super) fn cross_entropy(log_probabilities: &[f64], classes: usize, labels: &[u32]) -> f64 {
    let rows = log_probabilities.chunks_exact(classes).zip(labels);
    let total: f64 = rows.map(|(row, label)| -row[*label as usize]).sum();
    total / labels.len() as f64
}

/// Area under the precision-recall curve as scikit-learn's `average_precision_score` computes it, in `[0, 1]`:
/// the sum of (recall step) x precision over the distinct scores, examples of equal score entering together.
/// 0 where no example is positive.
pub(super) fn average_precision(scores: &[f64], positive: &[bool]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let positives = positive.iter().filter(|&&is| is).count();
    if positives == 0 {
        return 0.0;
    }
    let (mut found, mut seen, mut area) = (0usize, 0usize, 0.0);
    for group in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let more = group.iter().filter(|&&index| positive[index]).count();
        found += more;
        seen += group.len();
        area += more as f64 / positives as f64 * (found as f64 / seen as f64);
    }
    area
}

/// Entropy in nats of the empirical label frequencies: H(y) of Table C.7.
pub(super) fn label_entropy(labels: &[u32]) -> f64 {
    let mut counts = BTreeMap::new();
    labels.iter().for_each(|&label| *counts.entry(label).or_insert(0usize) += 1);
    let shares = counts.values().map(|&count| count as f64 / labels.len() as f64);
    // Adding to +0 keeps a single class from giving -0.
    0.0 + shares.map(|share| -share * libm::log(share)).sum::<f64>()
}

/// The same of soft scores (examples x classes): of each class's share of all that was scored.
pub(super) fn soft_label_entropy(scores: &[f32], classes: usize) -> f64 {
    let totals = totals(scores, classes);
    let all: f64 = totals.iter().sum();
    let shares = totals.iter().filter(|&&total| total > 0.0).map(|total| total / all);
    0.0 + shares.map(|share| -share * libm::log(share)).sum::<f64>()
}

/// What each class scores over all examples.
pub(super) fn totals(scores: &[f32], classes: usize) -> Vec<f64> {
    let mut totals = vec![0.0; classes];
    for row in scores.chunks_exact(classes) {
        totals.iter_mut().zip(row).for_each(|(total, &score)| *total += f64::from(score));
    }
    totals
}

/// Mean soft score of the predicted class, in percent: the first of equal logits is predicted.
pub(super) fn soft_score(logits: &[f64], classes: usize, scores: &[f32]) -> f64 {
    let rows = scores.chunks_exact(classes);
    let (examples, rows) = (rows.len(), rows.zip(predictions(logits, classes)));
    100.0 * rows.map(|(row, best)| f64::from(row[best as usize])).sum::<f64>() / examples as f64
}

/// Binary cross-entropy with logits in nats, added up over the classes, mean over the examples.
pub(super) fn soft_loss(logits: &[f64], classes: usize, scores: &[f32]) -> f64 {
    let terms = logits.iter().zip(scores).map(|(&logit, &score)| {
        // -s ln sigma(z) - (1 - s) ln sigma(-z) without overflow; nothing is asked of a class that scores 0.
        let right = if score > 0.0 { logit * f64::from(score) } else { 0.0 };
        logit.max(0.0) - right + libm::log1p(libm::exp(-logit.abs()))
    });
    terms.sum::<f64>() / (scores.len() / classes) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_scores_is_the_prediction() {
        let scores = [1.0, 1.0, 0.0, /* second row */ 0.0, 2.0, 2.0, /* third */ -1.0, -2.0, -3.0];
        assert_eq!(accuracy(&scores, 3, &[0, 1, 0]), 100.0);
        assert!((accuracy(&scores, 3, &[1, 1, 0]) - 200.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn cross_entropy_is_the_mean_over_examples() {
        assert_eq!(cross_entropy(&[-0.5, -1.0, -2.0, -0.25], 2, &[0, 1]), 0.375);
    }

    /// Values of `sklearn.metrics.average_precision_score` (1.9), ties included.
    #[test]
    fn average_precision_is_scikit_learns() {
        let cases: [(&[f64], &[u8], f64); 5] = [
            (&[0.1, 0.4, 0.35, 0.8], &[0, 0, 1, 1], 0.833_333_333_333_333_3),
            (&[0.5, 0.5, 0.5, 0.5], &[1, 0, 0, 0], 0.25),
            (&[0.9, 0.9, 0.2, 0.2, 0.1], &[1, 0, 1, 1, 0], 0.666_666_666_666_666_6),
            (&[3.0, 2.0, 1.0], &[1, 1, 0], 1.0),
            (&[3.0, 2.0, 1.0], &[0, 0, 0], 0.0),
        ];
        for (scores, labels, expected) in cases {
            let positive: Vec<bool> = labels.iter().map(|&y: &u8| y == 1).collect();
            let found = average_precision(scores, &positive);
            assert!((found - expected).abs() < 1e-15, "{scores:?}: {found}");
        }
    }

    #[test]
    fn label_entropy_ignores_absent_classes() {
        assert!((label_entropy(&[0, 1, 2, 3]) - libm::log(4.0)).abs() < 1e-15);
        assert_eq!(label_entropy(&[3, 3]).to_bits(), 0.0f64.to_bits());
        let even = [1.0, 0.0, 0.5, 0.0, 0.5, 1.0];
        assert!((soft_label_entropy(&even, 3) - share_entropy(&[1.0, 0.5, 1.5])).abs() < 1e-15);
        assert_eq!(soft_label_entropy(&[0.0, 0.7], 2).to_bits(), 0.0f64.to_bits());
    }

    fn share_entropy(totals: &[f64]) -> f64 {
        let all: f64 = totals.iter().sum();
        totals.iter().map(|total| -total / all * (total / all).ln()).sum()
    }

    #[test]
    fn soft_scores_are_those_of_the_predicted_class() {
        let logits = [0.0, 2.0, 1.0, /* second */ 3.0, 3.0, 0.0];
        assert!((soft_score(&logits, 3, &[0.9, 0.3, 0.0, 0.6, 1.0, 0.0]) - 45.0).abs() < 1e-5);
    }

    #[test]
    fn the_soft_loss_is_binary_cross_entropy_with_logits() {
        let by_hand = |z: f64, s: f64| {
            let p = 1.0 / (1.0 + (-z).exp());
            -s * p.ln() - (1.0 - s) * (1.0 - p).ln()
        };
        let (logits, scores) = ([0.5, -1.0, 2.0, 0.0], [1.0f32, 0.0, 0.25, 0.75]);
        let expected: f64 =
            logits.iter().zip(scores).map(|(&z, s)| by_hand(z, f64::from(s))).sum::<f64>() / 2.0;
        assert!((soft_loss(&logits, 2, &scores) - expected).abs() < 1e-14);
        assert_eq!(soft_loss(&[1e6, -1e6], 2, &[0.0, 1.0]), 2e6);
    }
}
