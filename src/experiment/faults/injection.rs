//! Many draws of one fault of one run: what does not change from draw to draw is computed once.
//!
//! Invariant: a draw gives the very value of [`metrics_with`](super::metrics_with) with the same seeds.

use super::{Fault, affected, inject, relabelled};
use crate::data::{Targets, TargetsBuf, Task};
use crate::experiment::heads::{Scored, positive};
use crate::experiment::measure::about;
use crate::experiment::ranking::{auroc, balanced_accuracy};
use crate::experiment::{evaluate, metrics};
use crate::metric::{ACCURACY, AUROC, BALANCED_ACCURACY, Metric, Metrics, SCORE, THRESHOLD};
use crate::random::Seeds;
use crate::study::Evaluation;

/// A run's test split as one metric sees it: sound, and with a fault in every example. Draws mix the two.
pub(crate) struct FaultInjection {
    targets: TargetsBuf,
    fault: Fault,
    seen: Seen,
}

/// What a metric sees of each example.
enum Seen {
    /// The predicted class.
    Classes(Mixed<u32>),
    /// What ranks it, for each question that counts.
    Scores(Vec<Head>),
}

struct Head {
    number: usize,
    scores: Mixed<f64>,
    /// Where the balanced accuracy is asked for, and not the area under the ROC curve.
    threshold: Option<f64>,
}

/// One value per example.
struct Mixed<T> {
    sound: Vec<T>,
    faulty: Vec<T>,
}

impl<T: Copy> Mixed<T> {
    fn of(&self, affected: &[u32]) -> Vec<T> {
        let mut values = self.sound.clone();
        affected.iter().for_each(|&n| values[n as usize] = self.faulty[n as usize]);
        values
    }
}

impl FaultInjection {
    /// Prepares draws of a fault in the examples of a test split; `None` for a metric that is no outcome on it, or does not
    /// follow from logits, targets and the thresholds among `stored` metrics.
    pub(crate) fn new(
        (split, logits): (&str, &[Vec<f32>]),
        targets: Targets<'_>,
        (task, evaluation): (&Task, &Evaluation),
        fault: Fault,
        (metric, stored): (&Metric, &Metrics),
    ) -> Option<Self> {
        if metric.split.as_deref() != Some(split) {
            return None;
        }
        let everything: Vec<u32> = (0..targets.len() as u32).collect();
        let mut faulty = logits.to_vec();
        inject(&mut faulty, targets, task, fault, &everything);
        let (questions, combine) = (task.questions(), evaluation.combine);
        let seen = if questions.is_empty() {
            let classes = |logits: &[Vec<f32>]| {
                let scores = match targets {
                    Targets::Labels(_) => evaluate::scores(logits, task.classes(), combine),
                    Targets::Soft { .. } => evaluate::soft_logits(logits, task.classes(), combine),
                };
                metrics::predictions(&scores, task.classes()).collect()
            };
            let wanted = match targets {
                Targets::Labels(_) => &ACCURACY,
                Targets::Soft { .. } => &SCORE,
            };
            let only = (metric.measure == wanted && metric.head.is_none())
                .then(|| Mixed { sound: classes(logits), faulty: classes(&faulty) });
            Seen::Classes(only?)
        } else {
            let (score, labels) = (evaluation.ranking.unwrap_or_default().score, targets.labels());
            let head = |number: usize, threshold| {
                let scores =
                    |logits: &[Vec<f32>]| Scored { logits, labels, questions, combine }.scores(number, score);
                Head { number, scores: Mixed { sound: scores(logits), faulty: scores(&faulty) }, threshold }
            };
            let number = |name: &str| questions.iter().position(|question| question == name);
            Seen::Scores(match &metric.head {
                None if metric.measure == &AUROC => {
                    (0..questions.len()).map(|number| head(number, None)).collect()
                }
                Some(name) if metric.measure == &AUROC => vec![head(number(name)?, None)],
                Some(name) if metric.measure == &BALANCED_ACCURACY => {
                    let threshold = Metric::new(&THRESHOLD).of(name);
                    let stored = stored.value(&threshold).or_else(|| stored.value(&about(threshold, split)));
                    vec![head(number(name)?, Some(stored?))]
                }
                _ => return None,
            })
        };
        Some(FaultInjection { targets: targets.pick(&everything), fault, seen })
    }

    /// The metric with the fault in a share of the examples; `None` where it is not defined.
    pub(crate) fn value(&self, share: f64, seeds: &Seeds) -> Option<f64> {
        let targets = self.targets.as_targets();
        let affected = affected(targets.len(), share, seeds);
        let relabelled = relabelled(targets, self.fault, &affected);
        let targets = relabelled.as_ref().map_or(targets, TargetsBuf::as_targets);
        match &self.seen {
            Seen::Classes(classes) => {
                let classes = classes.of(&affected);
                Some(match targets {
                    Targets::Labels(labels) => {
                        let right =
                            classes.iter().zip(labels).filter(|(class, label)| class == label).count();
                        100.0 * right as f64 / labels.len() as f64
                    }
                    Targets::Soft { scores, classes: width } => {
                        let rows = scores.chunks_exact(width).zip(&classes);
                        let sum: f64 = rows.map(|(row, &class)| f64::from(row[class as usize])).sum();
                        100.0 * sum / classes.len() as f64
                    }
                })
            }
            Seen::Scores(heads) => {
                let one = |head: &Head| {
                    let (scores, positive) =
                        (head.scores.of(&affected), positive(targets.labels(), head.number));
                    Some(
                        100.0
                            * match head.threshold {
                                None => auroc(&scores, &positive)?,
                                Some(threshold) => balanced_accuracy(&scores, &positive, threshold)?,
                            },
                    )
                };
                let values: Vec<f64> = heads.iter().filter_map(one).collect();
                (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::metrics_with;
    use super::*;
    use crate::data::Target;
    use crate::study::{Combine, EvalNorm};

    fn knee() -> Task {
        Task::new("knee", Target::binary(["others", "meniscus", "acl", "cartilage"]))
    }

    /// Random logits of three experts and random targets.
    fn random(task: &Task, examples: usize) -> (Vec<Vec<f32>>, TargetsBuf) {
        let mut stream = Seeds::root(3).child(&task.id).stream();
        let mut logits = || (0..examples * task.logits()).map(|_| stream.normal() as f32).collect();
        let logits = vec![logits(), logits(), logits()];
        let mut stream = Seeds::root(4).child(&task.id).stream();
        let targets = match task.target.labels() {
            Some(below) => TargetsBuf::Labels((0..examples).map(|_| stream.below(below) as u32).collect()),
            None => {
                let classes = task.classes();
                let scores = (0..examples * classes).map(|_| stream.below(4) as f32 / 3.0).collect();
                TargetsBuf::Soft { scores, classes }
            }
        };
        (logits, targets)
    }

    #[test]
    fn a_draw_is_what_the_whole_evaluation_gives() {
        let faults = [
            Fault::Dropped { expert: 0 },
            Fault::Dropped { expert: 2 },
            Fault::ClassOrder,
            Fault::Labels,
            Fault::Constant,
        ];
        for (task, metric) in [
            (Task::new("mortality", Target::classes_of(6)), Metric::test(&ACCURACY)),
            (Task::new("icd9-140-239", Target::classes_of(2)), Metric::test(&ACCURACY)),
            (Task::new("answers", Target::Soft { classes: 7 }), Metric::test(&SCORE)),
            (knee(), Metric::test(&AUROC)),
            (knee(), Metric::test(&AUROC).of("acl")),
        ] {
            let (logits, targets) = random(&task, 211);
            let (test, targets) = (("test", &logits[..]), targets.as_targets());
            for combine in [Combine::Product, Combine::Mean] {
                let evaluation = Evaluation { norm: EvalNorm::Running, combine, ranking: None, noise: None };
                for fault in faults {
                    let how = (&task, &evaluation);
                    let none = Metrics::default();
                    let faulty = FaultInjection::new(test, targets, how, fault, (&metric, &none)).unwrap();
                    for (number, share) in [0.0, 0.004, 0.1, 0.5, 1.0].into_iter().enumerate() {
                        let seeds = Seeds::root(5).child(number);
                        let whole = metrics_with(test, targets, how, (fault, share), &seeds);
                        let drawn = faulty.value(share, &seeds);
                        assert_eq!(drawn, whole.value(&metric), "{} {metric} {fault:?} {share}", task.id);
                    }
                    let elsewhere = Metric { split: Some("other".to_owned()), ..metric.clone() };
                    assert!(FaultInjection::new(test, targets, how, fault, (&elsewhere, &none)).is_none());
                }
            }
        }
    }

    #[test]
    fn a_balanced_accuracy_takes_the_stored_threshold() {
        let task = knee();
        let (logits, targets) = random(&task, 211);
        let targets = targets.as_targets();
        let labels = targets.labels();
        let evaluation =
            Evaluation { norm: EvalNorm::Running, combine: Combine::Product, ranking: None, noise: None };
        let metric = Metric::test(&BALANCED_ACCURACY).of("acl");
        let at = |stored: &Metrics| {
            let how = (&task, &evaluation);
            FaultInjection::new(("test", &logits), targets, how, Fault::ClassOrder, (&metric, stored))
        };
        assert!(at(&Metrics::default()).is_none());
        let faulty = at(&[(Metric::new(&THRESHOLD).of("acl"), 0.3)].into_iter().collect()).unwrap();
        let questions = task.questions();
        let scored = Scored { logits: &logits, labels, questions, combine: Combine::Product };
        let number = questions.iter().position(|question| question == "acl").unwrap();
        let scores = scored.scores(number, evaluation.ranking.unwrap_or_default().score);
        let expected = 100.0 * balanced_accuracy(&scores, &positive(labels, number), 0.3).unwrap();
        assert_eq!(faulty.value(0.0, &Seeds::root(1)), Some(expected));
        // With the classes exchanged everywhere the scores change their sign.
        let exchanged: Vec<f64> = scores.iter().map(|score| -score).collect();
        let expected = 100.0 * balanced_accuracy(&exchanged, &positive(labels, number), 0.3).unwrap();
        assert_eq!(faulty.value(1.0, &Seeds::root(1)), Some(expected));
    }
}
