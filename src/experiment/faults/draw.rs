//! Many draws of one fault of one run: what does not change from draw to draw is computed once.
//!
//! Invariant: a draw gives the very value of [`metrics_with`](super::metrics_with) with the same seeds.

use std::collections::BTreeMap;

use super::{Fault, hit, relabel, strike};
use crate::experiment::heads::{Scored, positive};
use crate::experiment::ranking::{auroc, balanced_accuracy};
use crate::experiment::{evaluate, metrics};
use crate::protocol::{Evaluation, Finding, Task};
use crate::random::Seeds;

/// A run's test split as one metric sees it: sound, and with a fault in every example. Draws mix the two.
pub struct Struck {
    labels: Vec<u8>,
    fault: Fault,
    seen: Seen,
}

/// What a metric sees of each example.
enum Seen {
    /// The predicted class.
    Classes(Mixed<u8>),
    /// What ranks it, for each head that counts.
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
    struck: Vec<T>,
}

impl<T: Copy> Mixed<T> {
    fn of(&self, hit: &[u32]) -> Vec<T> {
        let mut values = self.sound.clone();
        hit.iter().for_each(|&n| values[n as usize] = self.struck[n as usize]);
        values
    }
}

impl Struck {
    /// Prepares draws of a fault; `None` for a metric that does not follow from logits, labels and the thresholds among
    /// `stored` metrics.
    pub fn new(
        logits: &[Vec<f32>],
        labels: &[u8],
        (task, evaluation): (Task, &Evaluation),
        fault: Fault,
        (metric, stored): (&str, &BTreeMap<String, f64>),
    ) -> Option<Self> {
        let everything: Vec<u32> = (0..labels.len() as u32).collect();
        let mut struck = logits.to_vec();
        strike(&mut struck, labels, task, fault, &everything);
        let (heads, combine) = (task.heads(), evaluation.combine);
        let seen = if heads.is_empty() {
            let classes = |logits: &[Vec<f32>]| {
                let scores = evaluate::scores(logits, task.classes(), combine);
                metrics::predictions(&scores, task.classes()).collect()
            };
            let only = (metric == "test_accuracy")
                .then(|| Mixed { sound: classes(logits), struck: classes(&struck) });
            Seen::Classes(only?)
        } else {
            let score = evaluation.ranking.unwrap_or_default().score;
            let head = |number: usize, threshold| {
                let scores =
                    |logits: &[Vec<f32>]| Scored { logits, labels, heads, combine }.scores(number, score);
                Head { number, scores: Mixed { sound: scores(logits), struck: scores(&struck) }, threshold }
            };
            let named = |name: &str| heads.iter().position(|finding: &Finding| finding.name() == name);
            Seen::Scores(match metric.strip_prefix("test_")?.split_once('.') {
                None if metric == "test_auroc" => (0..heads.len()).map(|number| head(number, None)).collect(),
                Some(("auroc", name)) => vec![head(named(name)?, None)],
                Some(("balanced_accuracy", name)) => {
                    let threshold = stored.get(&format!("threshold.{name}")).copied()?;
                    vec![head(named(name)?, Some(threshold))]
                }
                _ => return None,
            })
        };
        Some(Struck { labels: labels.to_vec(), fault, seen })
    }

    /// The metric with the fault in a share of the examples; `None` where it is not defined.
    pub fn value(&self, share: f64, seeds: &Seeds) -> Option<f64> {
        let hit = hit(self.labels.len(), share, seeds);
        let mut labels = self.labels.clone();
        relabel(&mut labels, self.fault, &hit);
        match &self.seen {
            Seen::Classes(classes) => {
                let right =
                    classes.of(&hit).iter().zip(&labels).filter(|(class, label)| class == label).count();
                Some(100.0 * right as f64 / labels.len() as f64)
            }
            Seen::Scores(heads) => {
                let one = |head: &Head| {
                    let (scores, positive) = (head.scores.of(&hit), positive(&labels, head.number));
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
    use crate::protocol::{Combine, EvalNorm};

    /// Random logits of three experts and random labels.
    fn random(task: Task, examples: usize) -> (Vec<Vec<f32>>, Vec<u8>) {
        let mut stream = Seeds::root(3).child(task).stream();
        let mut logits = || (0..examples * task.logits()).map(|_| stream.normal() as f32).collect();
        let logits = vec![logits(), logits(), logits()];
        let mut stream = Seeds::root(4).child(task).stream();
        let labels = (0..examples).map(|_| stream.below(task.labels() as u64) as u8).collect();
        (logits, labels)
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
            (Task::Mortality, "test_accuracy"),
            (Task::Neoplasms, "test_accuracy"),
            (Task::Knee, "test_auroc"),
            (Task::Knee, "test_auroc.acl"),
        ] {
            let (logits, labels) = random(task, 211);
            for combine in [Combine::Product, Combine::Mean] {
                let evaluation = Evaluation { norm: EvalNorm::Running, combine, ranking: None, noise: None };
                for fault in faults {
                    let how = (task, &evaluation);
                    let struck =
                        Struck::new(&logits, &labels, how, fault, (metric, &BTreeMap::new())).unwrap();
                    for (number, share) in [0.0, 0.004, 0.1, 0.5, 1.0].into_iter().enumerate() {
                        let seeds = Seeds::root(5).child(number);
                        let whole = metrics_with(&logits, &labels, how, (fault, share), &seeds);
                        let drawn = struck.value(share, &seeds);
                        assert_eq!(drawn, whole.get(metric).copied(), "{task} {metric} {fault:?} {share}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_balanced_accuracy_takes_the_stored_threshold() {
        let (logits, labels) = random(Task::Knee, 211);
        let evaluation =
            Evaluation { norm: EvalNorm::Running, combine: Combine::Product, ranking: None, noise: None };
        let metric = "test_balanced_accuracy.acl";
        let at = |stored: &BTreeMap<String, f64>| {
            Struck::new(&logits, &labels, (Task::Knee, &evaluation), Fault::ClassOrder, (metric, stored))
        };
        assert!(at(&BTreeMap::new()).is_none());
        let struck = at(&BTreeMap::from([("threshold.acl".to_owned(), 0.3)])).unwrap();
        let scored =
            Scored { logits: &logits, labels: &labels, heads: Task::Knee.heads(), combine: Combine::Product };
        let number = Task::Knee.heads().iter().position(|finding| *finding == Finding::Acl).unwrap();
        let scores = scored.scores(number, evaluation.ranking.unwrap_or_default().score);
        let expected = 100.0 * balanced_accuracy(&scores, &positive(&labels, number), 0.3).unwrap();
        assert_eq!(struck.value(0.0, &Seeds::root(1)), Some(expected));
        // With the classes exchanged everywhere the scores change their sign.
        let exchanged: Vec<f64> = scores.iter().map(|score| -score).collect();
        let expected = 100.0 * balanced_accuracy(&exchanged, &positive(&labels, number), 0.3).unwrap();
        assert_eq!(struck.value(1.0, &Seeds::root(1)), Some(expected));
    }
}
