//! Faults of an evaluation that break nothing: what the numbers would be if they had crept in. For the gate's self-test.
//!
//! Invariant: a fault of no examples changes no bit of any metric; which examples it affects follows from the seeds.

mod injection;

use std::collections::BTreeMap;

use super::measure;
use super::metrics::totals;
use crate::data::{Targets, TargetsBuf, Task};
use crate::metric::Metrics;
use crate::random::Seeds;
use crate::study::Evaluation;

pub(crate) use injection::FaultInjection;

/// What has gone wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The logits of one expert are not there (zeros).
    Dropped {
        /// Its number among the experts.
        expert: usize,
    },
    /// Classes are taken for their neighbours.
    ClassOrder,
    /// Labels belong to other examples.
    Labels,
    /// Every example gets the most frequent label, whatever it shows.
    Constant,
}

/// Outcomes on a test split with a fault in a share of its examples, as a run's outcome names them: those that follow from
/// logits and targets alone.
pub(crate) fn metrics_with(
    (split, logits): (&str, &[Vec<f32>]),
    targets: Targets<'_>,
    (task, evaluation): (&Task, &Evaluation),
    (fault, share): (Fault, f64),
    seeds: &Seeds,
) -> Metrics {
    let affected = affected(targets.len(), share, seeds);
    let mut logits = logits.to_vec();
    inject(&mut logits, targets, task, fault, &affected);
    let relabelled = relabelled(targets, fault, &affected);
    let targets = relabelled.as_ref().map_or(targets, TargetsBuf::as_targets);
    let found = measure::summarise(task, (evaluation.combine, evaluation.ranking), targets, &logits);
    found.into_iter().map(|(metric, value)| (metric.on(split), value)).collect()
}

/// The examples that a fault of this size affects.
fn affected(examples: usize, share: f64, seeds: &Seeds) -> Vec<u32> {
    let count = (share.clamp(0.0, 1.0) * examples as f64).round() as usize;
    seeds.stream().sample(examples, count)
}

/// The targets with a fault in those of the affected examples, which pass them around; `None` where the fault leaves
/// targets alone.
fn relabelled(targets: Targets<'_>, fault: Fault, affected: &[u32]) -> Option<TargetsBuf> {
    if fault != Fault::Labels {
        return None;
    }
    let mut rows: Vec<u32> = (0..targets.len() as u32).collect();
    for (index, &n) in affected.iter().enumerate() {
        rows[n as usize] = affected[(index + 1) % affected.len()];
    }
    Some(targets.pick(&rows))
}

/// The label that most examples have, the last of equally frequent ones; of soft scores the class that scores most.
fn most_frequent(targets: Targets<'_>) -> u32 {
    match targets {
        Targets::Labels(labels) => {
            let mut counts = BTreeMap::new();
            labels.iter().for_each(|&label| *counts.entry(label).or_insert(0usize) += 1);
            counts.into_iter().max_by_key(|&(_, count)| count).map_or(0, |(label, _)| label)
        }
        Targets::Soft { scores, classes } => {
            let totals = totals(scores, classes).into_iter().enumerate();
            totals.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(class, _)| class as u32)
        }
    }
}

/// Puts a fault into the logits of the affected examples.
fn inject(logits: &mut [Vec<f32>], targets: Targets<'_>, task: &Task, fault: Fault, affected: &[u32]) {
    let width = task.logits();
    // The logits of every expert and head, with the number of the head.
    let each_head = |logits: &mut [Vec<f32>], change: &dyn Fn(usize, &mut [f32])| {
        for logits in logits {
            for &n in affected {
                let heads = logits[n as usize * width..][..width].chunks_exact_mut(task.classes());
                heads.enumerate().for_each(|(number, head)| change(number, head));
            }
        }
    };
    match fault {
        Fault::Dropped { expert } => {
            for &n in affected {
                logits[expert][n as usize * width..][..width].fill(0.0);
            }
        }
        Fault::ClassOrder => each_head(logits, &|_, head| head.rotate_right(1)),
        Fault::Constant => {
            let most = most_frequent(targets);
            each_head(logits, &|number, head| {
                let class = if task.questions().is_empty() { most } else { most >> number & 1 };
                head.fill(0.0);
                head[class as usize] = 1.0;
            });
        }
        Fault::Labels => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Target;
    use crate::study::{Combine, EvalNorm};

    /// Two experts that are right about every example, of two classes in turn.
    fn right(examples: usize) -> (Vec<Vec<f32>>, Vec<u32>) {
        let labels: Vec<u32> = (0..examples as u32).map(|n| n % 2).collect();
        let logits = labels.iter().flat_map(|&label| [1.0 - label as f32, label as f32]).collect();
        (vec![logits; 2], labels)
    }

    fn accuracy(fault: Fault, share: f64) -> f64 {
        let (logits, labels) = right(1000);
        let (norm, combine) = (EvalNorm::Running, Combine::Product);
        let evaluation = Evaluation { norm, combine, ranking: None, noise: None };
        let task = Task::new("either", Target::classes_of(2));
        let targets = Targets::Labels(&labels);
        let how = (&task, &evaluation);
        metrics_with(("test", &logits), targets, how, (fault, share), &Seeds::root(1))["test_accuracy"]
    }

    #[test]
    fn faults_cost_what_they_must() {
        for fault in [Fault::Dropped { expert: 0 }, Fault::ClassOrder, Fault::Labels, Fault::Constant] {
            assert_eq!(accuracy(fault, 0.0), 100.0, "{fault:?}");
        }
        assert_eq!(accuracy(Fault::ClassOrder, 0.25), 75.0);
        assert_eq!(accuracy(Fault::Constant, 1.0), 50.0);
        // The other expert is right, too.
        assert_eq!(accuracy(Fault::Dropped { expert: 1 }, 1.0), 100.0);
        // Half of the labels that are passed around come from the same class.
        let shuffled = accuracy(Fault::Labels, 0.4);
        assert!((shuffled - 80.0).abs() < 4.0, "{shuffled}");
    }
}
