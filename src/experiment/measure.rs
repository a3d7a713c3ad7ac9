//! The numbers of a job: what logits over a split come to, for one head or several.
//!
//! Invariant: every metric that a recipe's task has is named here; the training loop and evaluations of stored runs agree
//! on them.

use std::collections::BTreeMap;

use super::heads::Scored;
use super::{Job, evaluate, metrics};
use crate::data::Split;
use crate::ops::product_of_experts::evaluate::entropy;
use crate::protocol::{Combine, Ranking, Task};

/// Logits with the labels of a split, where the task has several heads.
fn scored<'a>(job: &Job<'a>, split: Split, combine: Combine, logits: &'a [Vec<f32>]) -> Option<Scored<'a>> {
    let heads = job.recipe.task.heads();
    let labels = job.data.labels(split);
    (!heads.is_empty()).then_some(Scored { logits, labels, heads, combine })
}

/// Metrics of combined experts over a split, by name.
pub(super) fn split<'a>(
    job: &Job<'a>,
    split: Split,
    combine: Combine,
    logits: &'a [Vec<f32>],
) -> BTreeMap<String, f64> {
    let (task, ranking) = (job.recipe.task, job.recipe.evaluation.ranking);
    summarise(task, (combine, ranking), job.data.labels(split), logits)
}

/// Metrics that follow from the logits of every expert and the labels alone, by name.
pub(super) fn summarise(
    task: Task,
    (combine, ranking): (Combine, Option<Ranking>),
    labels: &[u8],
    logits: &[Vec<f32>],
) -> BTreeMap<String, f64> {
    let heads = task.heads();
    if heads.is_empty() {
        return evaluate::summarise(logits, task.classes(), labels, combine);
    }
    Scored { logits, labels, heads, combine }.summarise(ranking.unwrap_or_default().score)
}

/// Metrics of the test split: `test_<name>`, entropies, and where `valid` has the validation logits of the same weights,
/// what depends on thresholds.
pub(super) fn test<'a>(
    job: &Job<'a>,
    logits: &'a [Vec<f32>],
    valid: Option<&'a [Vec<f32>]>,
) -> BTreeMap<String, f64> {
    let recipe = job.recipe;
    let (task, combine) = (recipe.task, recipe.evaluation.combine);
    let labels = job.data.labels(Split::Test);
    let found = split(job, Split::Test, combine, logits);
    let mut all: BTreeMap<String, f64> =
        found.into_iter().map(|(name, value)| (format!("test_{name}"), value)).collect();
    all.insert("label_entropy".to_owned(), metrics::label_entropy(labels, task.labels()));
    for (spec, logits) in recipe.experts.iter().zip(logits) {
        let mean = entropy(logits, task.classes()).iter().sum::<f64>() / labels.len() as f64;
        all.insert(format!("entropy.{}", spec.name), mean);
    }
    if let Some(test) = scored(job, Split::Test, combine, logits) {
        let valid = valid.and_then(|logits| scored(job, Split::Valid, combine, logits));
        all.extend(test.at_operating_points(recipe.evaluation.ranking.unwrap_or_default(), valid));
    }
    all
}
