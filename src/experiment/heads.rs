//! Several binary questions about one example, one head each: class weights, scores and metrics.
//!
//! Invariant: what ranks examples is the difference of two logits in `f64`, which no probability near 0 or 1 can round away;
//! where only one class occurs a head's metrics are absent, never a number.

use super::ranking::{Kept, auroc, balanced_accuracy, threshold};
use crate::metric::{AUROC, BALANCED_ACCURACY, LOSS, Metric, THRESHOLD};
use crate::study::{ClassWeights, Combine, Score};

/// Logits of every expert over a split (row-major, examples x heads x 2), and what they are measured against.
#[derive(Clone, Copy)]
pub(super) struct Scored<'a> {
    /// By expert.
    pub logits: &'a [Vec<f32>],
    /// Bit h says whether the answer to question h is yes.
    pub labels: &'a [u32],
    /// The questions, one head each.
    pub questions: &'a [String],
    /// How experts are combined.
    pub combine: Combine,
}

/// Weights of the two classes of each head, from the labels that are trained on. A class that does not occur has weight 1.
pub(super) fn class_weights(labels: &[u32], heads: usize, scheme: ClassWeights) -> Vec<f64> {
    let weight = |head: usize, class: u32| {
        let count = labels.iter().filter(|&&label| label >> head & 1 == class).count() as f64;
        match scheme {
            ClassWeights::Balanced if count > 0.0 => labels.len() as f64 / (2.0 * count),
            ClassWeights::Inverse if count > 0.0 => 1.0 / count,
            ClassWeights::Balanced | ClassWeights::Inverse | ClassWeights::None => 1.0,
        }
    };
    (0..heads).flat_map(|head| [weight(head, 0), weight(head, 1)]).collect()
}

/// Which examples have what a head asks for.
pub(super) fn positive(labels: &[u32], head: usize) -> Vec<bool> {
    labels.iter().map(|label| label >> head & 1 == 1).collect()
}

impl Scored<'_> {
    /// Each expert's logit of class 1 less that of class 0, for one example and head.
    fn margins(&self, example: usize, head: usize) -> impl Iterator<Item = f64> {
        let first = (example * self.questions.len() + head) * 2;
        self.logits.iter().map(move |logits| f64::from(logits[first + 1]) - f64::from(logits[first]))
    }

    /// Probability of class 1 as log-odds (product) or as it is (mean).
    fn combined(&self, example: usize, head: usize) -> f64 {
        let margins = self.margins(example, head);
        match self.combine {
            Combine::Product => margins.sum(),
            Combine::Mean => {
                margins.map(|margin| 1.0 / (1.0 + libm::exp(-margin))).sum::<f64>() / self.logits.len() as f64
            }
        }
    }

    /// What examples are ranked by for one head (deviation F6).
    pub(super) fn scores(&self, head: usize, score: Score) -> Vec<f64> {
        let examples = 0..self.labels.len();
        match (score, self.logits) {
            (Score::Class1Logit, [only]) => {
                examples.map(|n| f64::from(only[(n * self.questions.len() + head) * 2 + 1])).collect()
            }
            _ => examples.map(|n| self.combined(n, head)).collect(),
        }
    }

    fn positive(&self, head: usize) -> Vec<bool> {
        positive(self.labels, head)
    }

    /// Sum over the heads of the mean cross-entropy in nats, unweighted.
    fn loss(&self) -> f64 {
        let examples = 0..self.labels.len();
        let cross_entropy = |n: usize, head: usize| {
            let positive = self.labels[n] >> head & 1 == 1;
            let combined = self.combined(n, head);
            match self.combine {
                // ln(1 + exp(-m)) without overflow.
                Combine::Product => {
                    let margin = if positive { combined } else { -combined };
                    (-margin).max(0.0) + libm::log1p(libm::exp(-margin.abs()))
                }
                Combine::Mean => -libm::log(if positive { combined } else { 1.0 - combined }),
            }
        };
        let total: f64 = examples
            .flat_map(|n| (0..self.questions.len()).map(move |h| (n, h)))
            .map(|(n, h)| cross_entropy(n, h))
            .sum();
        total / self.labels.len() as f64
    }

    /// Loss, the AUROC of each question, and their mean; of no split.
    pub(super) fn summarise(&self, score: Score) -> Vec<(Metric, f64)> {
        let mut found = vec![(Metric::new(&LOSS), self.loss())];
        let mut areas = Vec::new();
        for (head, question) in self.questions.iter().enumerate() {
            if let Some(area) = auroc(&self.scores(head, score), &self.positive(head)) {
                areas.push(100.0 * area);
                found.push((Metric::new(&AUROC).of(question), 100.0 * area));
            }
        }
        if !areas.is_empty() {
            found.push((Metric::new(&AUROC), areas.iter().sum::<f64>() / areas.len() as f64));
        }
        found
    }

    /// The threshold of each head (deviation F7).
    fn thresholds(&self, score: Score) -> Vec<Option<f64>> {
        let of = |head| threshold(&self.scores(head, score), &self.positive(head), Kept::default());
        (0..self.questions.len()).map(of).collect()
    }

    /// The balanced accuracy of each question, and the threshold that it is at; of no split. `chosen_on` is what the
    /// thresholds are chosen on.
    pub(super) fn at_operating_points(&self, score: Score, chosen_on: Scored<'_>) -> Vec<(Metric, f64)> {
        let mut found = Vec::new();
        let thresholds = chosen_on.thresholds(score);
        for (head, (question, threshold)) in self.questions.iter().zip(thresholds).enumerate() {
            let Some(threshold) = threshold else { continue };
            let scores = self.scores(head, score);
            if let Some(accuracy) = balanced_accuracy(&scores, &self.positive(head), threshold) {
                found.push((Metric::new(&THRESHOLD).of(question), threshold));
                found.push((Metric::new(&BALANCED_ACCURACY).of(question), 100.0 * accuracy));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Metrics;

    fn questions() -> Vec<String> {
        ["others", "meniscus", "acl", "cartilage"].map(str::to_owned).to_vec()
    }

    fn summary(logits: &[Vec<f32>], labels: &[u32], score: Score) -> Metrics {
        let questions = questions();
        let scored = Scored { logits, labels, questions: &questions, combine: Combine::Product };
        scored.summarise(score).into_iter().collect()
    }

    #[test]
    fn weights_balance_the_classes_of_each_head() {
        // Head 0: one of four; head 1: two of four; head 2: none; head 3: all.
        let labels = [0b1000, 0b1010, 0b1011, 0b1000];
        assert_eq!(
            class_weights(&labels, 4, ClassWeights::Balanced),
            [4.0 / 6.0, 2.0, 1.0, 1.0, 0.5, 1.0, 1.0, 0.5]
        );
        assert_eq!(class_weights(&labels, 2, ClassWeights::Inverse), [1.0 / 3.0, 1.0, 0.5, 0.5]);
        assert_eq!(class_weights(&labels, 2, ClassWeights::None), [1.0; 4]);
    }

    /// Two examples of which head 0 ranks the positive one first only by both experts together.
    #[test]
    fn experts_are_combined_head_by_head() {
        let row = |margins: [f32; 4]| margins.into_iter().flat_map(|m| [0.5, 0.5 + m]).collect::<Vec<f32>>();
        let first = [row([2.0, 1.0, 0.0, 1.0]), row([1.0, 2.0, 0.0, 2.0])].concat();
        let second = [row([-3.0, 0.0, 0.0, 0.0]), row([0.5, 0.0, 0.0, 0.0])].concat();
        let logits = [first.clone(), second];
        let labels = [0b0010, 0b1001];
        let both = summary(&logits, &labels, Score::Probability);
        assert_eq!(both["auroc.others"], 100.0);
        assert_eq!(both["auroc.meniscus"], 0.0);
        assert!(!both.contains_key("auroc.acl"), "one class alone has no AUROC");
        assert_eq!(both["auroc.cartilage"], 100.0);
        assert!((both["auroc"] - 200.0 / 3.0).abs() < 1e-12);
        let alone = [first];
        assert_eq!(summary(&alone, &labels, Score::Probability)["auroc.others"], 0.0);
    }

    #[test]
    fn the_raw_logit_ranks_otherwise_than_the_probability() {
        // Class 1 is likelier for the second example, whose logits are both low.
        let logits = [vec![3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -5.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]];
        assert_eq!(summary(&logits, &[0, 1], Score::Probability)["auroc.others"], 100.0);
        assert_eq!(summary(&logits, &[0, 1], Score::Class1Logit)["auroc.others"], 0.0);
    }

    #[test]
    fn loss_is_finite_for_large_logits() {
        let logits = [[0.0, 1e6].repeat(4)];
        assert_eq!(summary(&logits, &[0], Score::Probability)["loss"], 4e6);
    }
}
