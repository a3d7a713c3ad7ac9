//! How often a product of experts is right where each of them is wrong (Section 4.6, Figure 5).
//!
//! Invariant: of soft scores alone. An answer is right if it scores above 0; by the other reading (deviation V21), if it is the one
//! that scores most.

use super::metrics::predictions;
use crate::metric::{FAILED, Metric, RESCUED, RESCUED_BEST};

/// The share of examples that the product answers right, of those that all experts answer wrong, in percent, by both readings of
/// right; and how many those are. `experts` and `product` are examples x classes. A share of no examples is left out.
pub(super) fn rescued(
    experts: &[Vec<f32>],
    product: &[f64],
    classes: usize,
    scores: &[f32],
) -> Vec<(Metric, f64)> {
    let answers: Vec<Vec<u32>> = experts
        .iter()
        .map(|logits| {
            let logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
            predictions(&logits, classes).collect()
        })
        .collect();
    let product: Vec<u32> = predictions(product, classes).collect();
    let above_zero = |row: &[f32], answer: u32| row[answer as usize] > 0.0;
    let best = |row: &[f32], answer: u32| {
        let best = row.iter().copied().fold(0.0, f32::max);
        best > 0.0 && row[answer as usize] == best
    };
    let count = |is_right: &dyn Fn(&[f32], u32) -> bool| {
        let (mut failed, mut saved) = (0u32, 0u32);
        for (example, row) in scores.chunks_exact(classes).enumerate() {
            if answers.iter().all(|answers| !is_right(row, answers[example])) {
                failed += 1;
                saved += u32::from(is_right(row, product[example]));
            }
        }
        (f64::from(failed), f64::from(saved))
    };
    let (failed, saved) = count(&above_zero);
    let mut found = vec![(Metric::new(&FAILED), failed)];
    for (measure, (failed, saved)) in [(&RESCUED, (failed, saved)), (&RESCUED_BEST, count(&best))] {
        if failed > 0.0 {
            found.push((Metric::new(measure), 100.0 * saved / failed));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_examples_that_all_experts_get_wrong_count() {
        // Three answers. Scores: the first example likes 2 most, and 1 a little.
        let scores = [0.0, 0.3, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.6, 0.0, 0.0, 0.0];
        let says = |answers: [usize; 4]| -> Vec<f32> {
            answers.iter().flat_map(|&answer| (0..3).map(move |k| f32::from(u8::from(k == answer)))).collect()
        };
        let experts = [says([0, 1, 0, 0]), says([0, 0, 1, 1])];
        let product: Vec<f64> = says([1, 0, 2, 2]).iter().map(|&x| f64::from(x)).collect();
        let found: Vec<(String, f64)> =
            rescued(&experts, &product, 3, &scores).into_iter().map(|(m, v)| (m.name(), v)).collect();
        // All fail on the first, the third and the fourth; the product is right on the first two of these, or by the best answer on
        // the third alone.
        assert_eq!(
            found,
            [
                ("failed".to_owned(), 3.0),
                ("rescued".to_owned(), 200.0 / 3.0),
                ("rescued_best".to_owned(), 100.0 / 3.0)
            ]
        );
        assert!(rescued(&[says([2, 0, 2, 0])], &product, 3, &scores[..9]).len() == 1, "nothing failed");
    }
}
