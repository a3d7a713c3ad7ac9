//! Faults of an evaluation that break nothing: what the numbers would be if they had crept in. For the gate's self-test.
//!
//! Invariant: a fault of no examples changes no bit of any metric; which examples are hit follows from the seeds.

mod draw;

use std::collections::BTreeMap;

use super::measure;
use crate::protocol::{Evaluation, Task};
use crate::random::Seeds;

pub use draw::Struck;

/// What has gone wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
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

/// Metrics of the test split with a fault in a share of its examples, as a run's outcome names them: those that follow from
/// logits and labels alone.
pub fn metrics_with(
    logits: &[Vec<f32>],
    labels: &[u8],
    (task, evaluation): (Task, &Evaluation),
    (fault, share): (Fault, f64),
    seeds: &Seeds,
) -> BTreeMap<String, f64> {
    let hit = hit(labels.len(), share, seeds);
    let (mut logits, mut labels) = (logits.to_vec(), labels.to_vec());
    strike(&mut logits, &labels, task, fault, &hit);
    relabel(&mut labels, fault, &hit);
    let found = measure::summarise(task, (evaluation.combine, evaluation.ranking), &labels, &logits);
    found.into_iter().map(|(name, value)| (format!("test_{name}"), value)).collect()
}

/// The examples that a fault of this size hits.
fn hit(examples: usize, share: f64, seeds: &Seeds) -> Vec<u32> {
    let count = (share.clamp(0.0, 1.0) * examples as f64).round() as usize;
    seeds.stream().sample(examples, count)
}

/// Puts a fault into the labels of the examples that are hit: they pass them around.
fn relabel(labels: &mut [u8], fault: Fault, hit: &[u32]) {
    if fault != Fault::Labels {
        return;
    }
    let taken: Vec<u8> = hit.iter().map(|&n| labels[n as usize]).collect();
    for (place, &n) in hit.iter().enumerate() {
        labels[n as usize] = taken[(place + 1) % taken.len()];
    }
}

/// Puts a fault into the logits of the examples that are hit.
fn strike(logits: &mut [Vec<f32>], labels: &[u8], task: Task, fault: Fault, hit: &[u32]) {
    let width = task.logits();
    // The logits of every expert and head, with the number of the head.
    let each_head = |logits: &mut [Vec<f32>], change: &dyn Fn(usize, &mut [f32])| {
        for logits in logits {
            for &n in hit {
                let heads = logits[n as usize * width..][..width].chunks_exact_mut(task.classes());
                heads.enumerate().for_each(|(number, head)| change(number, head));
            }
        }
    };
    match fault {
        Fault::Dropped { expert } => {
            for &n in hit {
                logits[expert][n as usize * width..][..width].fill(0.0);
            }
        }
        Fault::ClassOrder => each_head(logits, &|_, head| head.rotate_right(1)),
        Fault::Constant => {
            let mut counts = [0usize; 256];
            labels.iter().for_each(|&label| counts[usize::from(label)] += 1);
            let most = (0..=255u8).max_by_key(|&label| counts[usize::from(label)]).unwrap_or(0);
            each_head(logits, &|number, head| {
                let class = if task.heads().is_empty() { most } else { most >> number & 1 };
                head.fill(0.0);
                head[usize::from(class)] = 1.0;
            });
        }
        Fault::Labels => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Combine, EvalNorm};

    /// Two experts that are right about every example, of two classes in turn.
    fn right(examples: usize) -> (Vec<Vec<f32>>, Vec<u8>) {
        let labels: Vec<u8> = (0..examples).map(|n| (n % 2) as u8).collect();
        let logits = labels.iter().flat_map(|&label| [1.0 - f32::from(label), f32::from(label)]).collect();
        (vec![logits; 2], labels)
    }

    fn accuracy(fault: Fault, share: f64) -> f64 {
        let (logits, labels) = right(1000);
        let (norm, combine) = (EvalNorm::Running, Combine::Product);
        let evaluation = Evaluation { norm, combine, ranking: None, noise: None };
        metrics_with(&logits, &labels, (Task::Neoplasms, &evaluation), (fault, share), &Seeds::root(1))["test_accuracy"]
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
