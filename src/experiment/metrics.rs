//! Numbers about predictions: accuracy, cross-entropy, average precision, entropy of labels.
//!
//! Invariant: pure functions over row-major scores (examples x classes) and labels; the first of equal scores is the
//! prediction, and sums run in the order of the examples.

/// Percentage of rows whose largest score stands at the label; the first of equal scores counts.
pub fn accuracy(scores: &[f64], classes: usize, labels: &[u8]) -> f64 {
    let correct = predictions(scores, classes).zip(labels).filter(|(best, label)| best == *label).count();
    100.0 * correct as f64 / labels.len() as f64
}

/// The class with the largest score of each row; the first of equal scores.
pub fn predictions(scores: &[f64], classes: usize) -> impl Iterator<Item = u8> {
    let best =
        move |row: &[f64]| (1..classes).fold(0, |best, k| if row[k] > row[best] { k } else { best }) as u8;
    scores.chunks_exact(classes).map(best)
}

/// Mean cross-entropy in nats of log-probabilities.
pub fn cross_entropy(log_probabilities: &[f64], classes: usize, labels: &[u8]) -> f64 {
    let rows = log_probabilities.chunks_exact(classes).zip(labels);
    let total: f64 = rows.map(|(row, label)| -row[usize::from(*label)]).sum();
    total / labels.len() as f64
}

/// Area under the precision-recall curve as scikit-learn's `average_precision_score` computes it, in `[0, 1]`:
/// the sum of (recall step) x precision over the distinct scores, examples of equal score entering together.
/// 0 where no example is positive.
pub fn average_precision(scores: &[f64], positive: &[bool]) -> f64 {
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
pub fn label_entropy(labels: &[u8], classes: usize) -> f64 {
    let mut counts = vec![0usize; classes];
    labels.iter().for_each(|&label| counts[usize::from(label)] += 1);
    let shares = counts.iter().filter(|&&count| count > 0).map(|&count| count as f64 / labels.len() as f64);
    // Adding to +0 keeps a single class from giving -0.
    0.0 + shares.map(|share| -share * libm::log(share)).sum::<f64>()
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
            let positive: Vec<bool> = labels.iter().map(|&y| y == 1).collect();
            let found = average_precision(scores, &positive);
            assert!((found - expected).abs() < 1e-15, "{scores:?}: {found}");
        }
    }

    #[test]
    fn label_entropy_ignores_absent_classes() {
        assert!((label_entropy(&[0, 1, 2, 3], 10) - libm::log(4.0)).abs() < 1e-15);
        assert_eq!(label_entropy(&[3, 3], 10).to_bits(), 0.0f64.to_bits());
    }
}
