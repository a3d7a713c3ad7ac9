//! Numbers about binary rankings: area under the ROC curve, operating point, balanced accuracy.
//!
//! Invariant: everything follows from counts of examples, so nothing depends on their order, and what is undefined (one
//! class, no examples, a score that is no number) is `None`, never a value that could be averaged.
//!
//! The operating point is the official code's as far as that is known. Three of its properties look like slips and
//! are kept, because they decide the published numbers:
//!
//! - Thresholds are those that scikit-learn's `roc_curve` lists, and by default it leaves out points between collinear
//!   neighbours ([`Kept::Corners`]). The threshold found can then be lower than the highest that meets the rule.
//! - Where no threshold has a false-negative rate below 0.1, the first with a false-positive rate above 0.25 is meant to
//!   stand in. That cannot happen: the last threshold is the lowest score, and there the true-positive rate is 1.
//! - The curve counts `score >= threshold`, the prediction asks for `score > threshold`. Examples that score exactly the
//!   threshold are thus negative, and sensitivity usually ends at or just under 0.9.

use std::cmp::Ordering;

/// Which points of a ROC curve are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Those at which the curve turns: scikit-learn's `drop_intermediate=True`, its default.
    #[default]
    Corners,
    /// One for each distinct score: `drop_intermediate=False`.
    All,
}

/// One point of a ROC curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// Examples that score at least this are called positive; infinite at the first point.
    pub threshold: f64,
    /// Positive examples among them.
    pub true_positives: usize,
    /// Negative examples among them.
    pub false_positives: usize,
}

/// A ROC curve of examples of both classes, from (0, 0) to (1, 1).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Roc {
    /// By falling threshold.
    pub points: Vec<Point>,
    /// Positive examples; at least 1.
    pub positives: usize,
    /// Negative examples; at least 1.
    pub negatives: usize,
}

/// Area under the ROC curve in `[0, 1]`: how often a positive example scores above a negative one, ties counting half.
///
/// The pairs are counted, so the result is the exact fraction, rounded once. `None` without examples of both classes, or
/// with a score that is no number.
pub(crate) fn auroc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let roc = roc_curve(scores, positive, Kept::All)?;
    let halves: u128 = roc
        .points
        .windows(2)
        .map(|pair| {
            let wide = (pair[1].false_positives - pair[0].false_positives) as u128;
            wide * (pair[0].true_positives + pair[1].true_positives) as u128
        })
        .sum();
    Some(halves as f64 / (2 * roc.positives as u128 * roc.negatives as u128) as f64)
}

/// The ROC curve as scikit-learn's `roc_curve` lists it: distinct scores falling, after an infinite one.
///
/// `None` without examples of both classes, or with a score that is no number.
pub(crate) fn roc_curve(scores: &[f64], positive: &[bool], kept: Kept) -> Option<Roc> {
    let examples = Examples::of(scores, positive)?;
    let (mut true_positives, mut false_positives) = (0, 0);
    let mut points: Vec<Point> = Vec::new();
    for tied in examples.falling.chunk_by(|a, b| a.0 == b.0) {
        let hits = tied.iter().filter(|example| example.1).count();
        true_positives += hits;
        false_positives += tied.len() - hits;
        points.push(Point { threshold: tied[0].0, true_positives, false_positives });
    }
    if kept == Kept::Corners {
        points = corners(&points);
    }
    points.insert(0, Point { threshold: f64::INFINITY, true_positives: 0, false_positives: 0 });
    Some(Roc { points, positives: examples.positives, negatives: examples.negatives })
}

/// The highest threshold among the curve's whose true-positive rate is above 0.9, strictly.
///
/// `None` without examples of both classes, or with a score that is no number; else there is always one.
pub(crate) fn threshold(scores: &[f64], positive: &[bool], kept: Kept) -> Option<f64> {
    let roc = roc_curve(scores, positive, kept)?;
    // In whole numbers, as `tpr > 0.9` decides it. `1 - tpr < 0.1` in floating point also takes a rate of exactly 0.9, and
    // with it another threshold in 25 of the 839 golden cases that are defined.
    let sensitive = |point: &&Point| 10 * point.true_positives > 9 * roc.positives;
    let permissive = |point: &&Point| 4 * point.false_positives > roc.negatives;
    let chosen = roc.points.iter().find(sensitive).or_else(|| roc.points.iter().find(permissive));
    chosen.map(|point| point.threshold)
}

/// Mean of sensitivity and specificity in `[0, 1]`, calling positive what scores above the threshold, strictly.
///
/// `None` without examples of both classes, or with a score or threshold that is no number.
pub(crate) fn balanced_accuracy(scores: &[f64], positive: &[bool], threshold: f64) -> Option<f64> {
    let examples = Examples::of(scores, positive)?;
    if threshold.is_nan() {
        return None;
    }
    let above = examples.falling.partition_point(|example| example.0 > threshold);
    let hits = examples.falling[..above].iter().filter(|example| example.1).count();
    let alarms = above - hits;
    let sensitivity = hits as f64 / examples.positives as f64;
    let specificity = (examples.negatives - alarms) as f64 / examples.negatives as f64;
    Some(f64::midpoint(sensitivity, specificity))
}

/// Examples of both classes whose scores are numbers.
struct Examples {
    /// Score and class, by falling score.
    falling: Vec<(f64, bool)>,
    positives: usize,
    negatives: usize,
}

impl Examples {
    fn of(scores: &[f64], positive: &[bool]) -> Option<Self> {
        debug_assert_eq!(scores.len(), positive.len(), "one class per score");
        let mut falling: Vec<(f64, bool)> = scores.iter().copied().zip(positive.iter().copied()).collect();
        if falling.iter().any(|example| example.0.is_nan()) {
            return None;
        }
        falling.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal));
        let positives = falling.iter().filter(|example| example.1).count();
        let negatives = falling.len() - positives;
        (positives > 0 && negatives > 0).then_some(Examples { falling, positives, negatives })
    }
}

/// The first and the last point, and those whose step from the point before differs from the step to the point after.
fn corners(points: &[Point]) -> Vec<Point> {
    let step = |from: Point, to: Point| {
        (to.true_positives - from.true_positives, to.false_positives - from.false_positives)
    };
    let turns = points.windows(3).filter(|three| step(three[0], three[1]) != step(three[1], three[2]));
    let (first, last) = match points {
        [] | [_] => return points.to_vec(),
        [first, .., last] => (*first, *last),
    };
    std::iter::once(first).chain(turns.map(|three| three[1])).chain(std::iter::once(last)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::data::formats::npy::Dim;
    use crate::data::formats::npz::Npz;

    /// One case of `scripts/golden_ranking.py`: both kinds of curve, in the order of `Kept`.
    struct Case {
        scores: Vec<f64>,
        positive: Vec<bool>,
        auroc: Option<f64>,
        curves: [Vec<f64>; 2],
        threshold: [Option<f64>; 2],
        balanced: [Option<f64>; 2],
    }

    const KEPT: [Kept; 2] = [Kept::Corners, Kept::All];

    fn cases() -> Vec<Case> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/ranking.npz");
        let mut file = Npz::open(&path).unwrap();
        let mut numbers = |name: &str| -> Vec<f64> {
            let array = file.array(name, &[Dim::UpTo(1 << 24)]).unwrap();
            let mut all = vec![0.0; array.elements()];
            array.read_f64(0, &mut all);
            all
        };
        let (sizes, scores, positive) = (numbers("size"), numbers("score"), numbers("positive"));
        let (lengths, curves) = (numbers("curve_size"), numbers("curve"));
        let (auroc, threshold, balanced) = (numbers("auroc"), numbers("threshold"), numbers("balanced"));
        let defined = |value: f64| (!value.is_nan()).then_some(value);
        let (mut at, mut on) = (0, 0);
        let mut cases = Vec::new();
        for (i, &size) in sizes.iter().enumerate() {
            let of = at..at + size as usize;
            at = of.end;
            let curves = [0, 1].map(|k| {
                let of = on..on + lengths[2 * i + k] as usize;
                on = of.end;
                curves[of].to_vec()
            });
            cases.push(Case {
                scores: scores[of.clone()].to_vec(),
                positive: positive[of].iter().map(|&class| class == 1.0).collect(),
                auroc: defined(auroc[i]),
                curves,
                threshold: [0, 1].map(|k| defined(threshold[2 * i + k])),
                balanced: [0, 1].map(|k| defined(balanced[2 * i + k])),
            });
        }
        assert_eq!((at, on, cases.len()), (scores.len(), curves.len(), 1000));
        cases
    }

    fn close(ours: Option<f64>, golden: Option<f64>) -> bool {
        match (ours, golden) {
            (Some(ours), Some(golden)) => (ours - golden).abs() <= 1e-12,
            (ours, golden) => ours == golden,
        }
    }

    #[test]
    fn agrees_with_scikit_learn_and_numpy() {
        let (mut undefined, mut apart) = (0, 0);
        for (i, case) in cases().iter().enumerate() {
            let Case { scores, positive, .. } = case;
            let ours = auroc(scores, positive);
            assert!(close(ours, case.auroc), "case {i}: {ours:?}, {:?}", case.auroc);
            undefined += usize::from(ours.is_none());
            for (k, kept) in KEPT.into_iter().enumerate() {
                let ours = roc_curve(scores, positive, kept);
                let listed: Vec<f64> =
                    ours.iter().flat_map(|roc| &roc.points).map(|point| point.threshold).collect();
                assert_eq!(listed, case.curves[k], "case {i}, {kept:?}");
                let chosen = threshold(scores, positive, kept);
                assert_eq!(chosen, case.threshold[k], "case {i}, {kept:?}");
                let ours = chosen.and_then(|threshold| balanced_accuracy(scores, positive, threshold));
                assert!(close(ours, case.balanced[k]), "case {i}, {kept:?}: {ours:?}");
            }
            apart += usize::from(case.threshold[0] != case.threshold[1]);
        }
        // The vectors hold what they are for: undefined cases, and cases that the choice of points decides.
        assert!(undefined >= 30 && apart >= 10, "{undefined} undefined, {apart} apart");
    }

    #[test]
    fn the_order_of_the_examples_does_not_matter() {
        for case in cases().iter().step_by(7) {
            let (scores, positive): (Vec<f64>, Vec<bool>) =
                case.scores.iter().copied().zip(case.positive.iter().copied()).rev().unzip();
            assert_eq!(auroc(&scores, &positive), auroc(&case.scores, &case.positive));
            for kept in KEPT {
                assert_eq!(
                    roc_curve(&scores, &positive, kept),
                    roc_curve(&case.scores, &case.positive, kept)
                );
            }
        }
    }

    #[test]
    fn a_true_positive_rate_of_exactly_nine_tenths_is_not_enough() {
        let scores: Vec<f64> = (0..11).map(|i| 10.0 - f64::from(i)).collect();
        let mut positive = [true; 11];
        positive[9] = false;
        // Nine of ten positives score 2 or more; the tenth scores 0, below the negative.
        assert_eq!(threshold(&scores, &positive, Kept::All), Some(0.0));
        assert_eq!(balanced_accuracy(&scores, &positive, 0.0), Some(0.45));
    }

    #[test]
    fn one_class_no_examples_and_scores_that_are_no_numbers_are_undefined() {
        let cases: [(&[f64], &[bool]); 5] = [
            (&[], &[]),
            (&[0.5], &[true]),
            (&[0.5, 0.7], &[false, false]),
            (&[0.5, f64::NAN], &[true, false]),
            (&[f64::NAN, f64::NAN, 1.0], &[true, false, true]),
        ];
        for (scores, positive) in cases {
            assert_eq!(auroc(scores, positive), None);
            assert_eq!(balanced_accuracy(scores, positive, 0.0), None);
            for kept in KEPT {
                assert_eq!(roc_curve(scores, positive, kept), None);
                assert_eq!(threshold(scores, positive, kept), None);
            }
        }
        assert_eq!(balanced_accuracy(&[0.5, 0.7], &[false, true], f64::NAN), None);
    }

    #[test]
    fn infinite_scores_and_signed_zeros_are_numbers() {
        let infinity = f64::INFINITY;
        assert_eq!(auroc(&[infinity, -infinity, infinity], &[true, false, false]), Some(0.75));
        assert_eq!(auroc(&[0.0, -0.0], &[true, false]), Some(0.5));
    }
}
