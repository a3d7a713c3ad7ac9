//! The numbers of a job: what logits over a split come to, for every kind of target.
//!
//! Invariant: every metric that a task has is made here; the training loop and evaluations of stored runs agree on them.

use super::heads::Scored;
use super::rescue::rescued;
use super::{Job, evaluate, metrics};
use crate::data::{Split, Subset, Target, Targets, Task};
use crate::metric::{
    ACCURACY, AUPRC, AUROC, BALANCED_ACCURACY, ENTROPY, ENTROPY_BITS, LABEL_ENTROPY, LABEL_ENTROPY_BITS,
    LOSS, Metric, Metrics, SCORE,
};
use crate::ops::product_of_experts::evaluate::entropy;
use crate::study::{Combine, OperatingPoint, Ranking, Recipe};

/// The split whose name the metrics that are about a test split, but not an outcome on it, leave out.
const TEST: &str = "test";

/// Logits with the labels of a split, where the task asks several questions.
fn scored<'a>(
    job: &'a Job<'_>,
    split: Split,
    combine: Combine,
    logits: &'a [Vec<f32>],
) -> Option<Scored<'a>> {
    let questions = job.recipe.task.questions();
    let labels = job.data.targets(split).labels();
    (!questions.is_empty()).then_some(Scored { logits, labels, questions, combine })
}

/// Metrics of the validation split, by names without a split's.
pub(super) fn valid(job: &Job<'_>, logits: &[Vec<f32>]) -> Metrics {
    let (task, ranking) = (&job.recipe.task, job.recipe.evaluation.ranking);
    let found = summarise(task, (Combine::Product, ranking), job.data.targets(Split::Valid), logits);
    found.into_iter().collect()
}

/// Metrics that follow from the logits of every expert and the targets alone, of no split.
pub(super) fn summarise(
    task: &Task,
    (combine, ranking): (Combine, Option<Ranking>),
    targets: Targets<'_>,
    logits: &[Vec<f32>],
) -> Vec<(Metric, f64)> {
    let questions = task.questions();
    if questions.is_empty() {
        let mut found = evaluate::summarise(logits, task.classes(), targets, combine);
        if let (Targets::Soft { scores, classes }, true) = (targets, logits.len() > 1) {
            let product = evaluate::scores(logits, classes, combine);
            found.extend(rescued(logits, &product, classes, scores));
        }
        return found;
    }
    let labels = targets.labels();
    Scored { logits, labels, questions, combine }.summarise(ranking.unwrap_or_default().score)
}

/// Metrics of every test split, from the logits of each.
pub(super) fn tests(job: &Job<'_>, logits: &[Vec<Vec<f32>>], valid: Option<&[Vec<f32>]>) -> Metrics {
    let whole = logits.iter().enumerate().flat_map(|(index, logits)| test(job, index, logits, valid));
    whole.chain(parts(job, logits)).collect()
}

/// Outcomes on the parts of test splits that are measured on their own, and their means.
fn parts(job: &Job<'_>, logits: &[Vec<Vec<f32>>]) -> Vec<(Metric, f64)> {
    let Recipe { task, evaluation, .. } = job.recipe;
    let of_part = |part: &Subset| {
        let whole = logits.get(part.test).map(Vec::as_slice).unwrap_or_default();
        let own: Vec<Vec<f32>> = whole.iter().map(|logits| rows(logits, task.logits(), &part.rows)).collect();
        let targets = job.data.targets(Split::Test(part.test)).pick(&part.rows);
        summarise(task, (evaluation.combine, evaluation.ranking), targets.as_targets(), &own)
    };
    let found: Vec<(&str, Vec<(Metric, f64)>)> =
        job.data.subsets().iter().map(|part| (part.name.as_str(), of_part(part))).collect();
    let means = job.data.averages().iter().flat_map(|average| {
        let own: Vec<&Vec<(Metric, f64)>> = found
            .iter()
            .filter(|(name, _)| average.of.iter().any(|part| part == name))
            .map(|(_, metrics)| metrics)
            .collect();
        // A metric that one part lacks has no mean.
        let mean = |metric: &Metric| {
            let values = own.iter().map(|metrics| metrics.iter().find(|(known, _)| known == metric));
            let values: Option<Vec<f64>> = values.map(|found| found.map(|(_, value)| *value)).collect();
            values.map(|values| values.iter().sum::<f64>() / values.len() as f64)
        };
        let metrics = own.first().map(|metrics| metrics.iter()).unwrap_or_default();
        let named = metrics.filter_map(|(metric, _)| Some((metric.clone().on(&average.name), mean(metric)?)));
        named.collect::<Vec<_>>()
    });
    let means: Vec<(Metric, f64)> = means.collect();
    let parts = found
        .into_iter()
        .flat_map(|(name, metrics)| metrics.into_iter().map(move |(metric, value)| (metric.on(name), value)));
    parts.chain(means).collect()
}

/// Some rows of a row-major array.
fn rows(values: &[f32], width: usize, rows: &[u32]) -> Vec<f32> {
    rows.iter().flat_map(|&row| &values[row as usize * width..][..width]).copied().collect()
}

/// Metrics of a test split: outcomes on it, entropies, and where `valid` has the validation logits of the same weights,
/// what depends on thresholds.
fn test(job: &Job<'_>, index: usize, logits: &[Vec<f32>], valid: Option<&[Vec<f32>]>) -> Vec<(Metric, f64)> {
    let recipe = job.recipe;
    let (task, combine) = (&recipe.task, recipe.evaluation.combine);
    let split = Split::Test(index);
    let (name, targets) = (job.data.name_of(split), job.data.targets(split));
    let ranking = recipe.evaluation.ranking;
    let found = summarise(task, (combine, ranking), targets, logits);
    let mut all: Vec<(Metric, f64)> =
        found.into_iter().map(|(metric, value)| (metric.on(name), value)).collect();
    let of_labels = match targets {
        Targets::Labels(labels) => metrics::label_entropy(labels),
        Targets::Soft { scores, classes } => metrics::soft_label_entropy(scores, classes),
    };
    all.push((about(Metric::new(&LABEL_ENTROPY), name), of_labels));
    let soft = matches!(task.target, Target::Soft { .. });
    if soft {
        let bits = of_labels / std::f64::consts::LN_2;
        all.push((about(Metric::new(&LABEL_ENTROPY_BITS), name), bits));
    }
    for (spec, logits) in recipe.experts.iter().zip(logits) {
        let mean = entropy(logits, task.classes()).iter().sum::<f64>() / targets.len() as f64;
        all.push((about(Metric::new(&ENTROPY).of(&spec.name), name), mean));
        if soft {
            let bits = mean / std::f64::consts::LN_2;
            all.push((about(Metric::new(&ENTROPY_BITS).of(&spec.name), name), bits));
        }
    }
    if let Some(test) = scored(job, split, combine, logits) {
        let ranking = ranking.unwrap_or_default();
        let chosen_on = match ranking.operating_point {
            OperatingPoint::Test => Some(test),
            OperatingPoint::Valid => valid.and_then(|logits| scored(job, Split::Valid, combine, logits)),
        };
        let found = chosen_on.map(|chosen_on| test.at_operating_points(ranking.score, chosen_on));
        all.extend(found.into_iter().flatten().map(|(metric, value)| {
            let outcome = metric.measure == &BALANCED_ACCURACY;
            (if outcome { metric.on(name) } else { about(metric, name) }, value)
        }));
    }
    all
}

/// What is about a test split, but no outcome on it: only splits that are not called `test` are named.
pub(super) fn about(metric: Metric, split: &str) -> Metric {
    if split == TEST { metric } else { metric.on(split) }
}

/// Every outcome that a task can have on splits of these names.
pub fn outcomes<'a>(task: &Task, splits: impl IntoIterator<Item = &'a str>) -> Vec<Metric> {
    let questions = task.questions();
    let measures: &[_] = match task.target {
        Target::Classes { classes: 2 } => &[&ACCURACY, &LOSS, &AUPRC],
        Target::Classes { .. } => &[&ACCURACY, &LOSS],
        Target::Binary { .. } => &[&AUROC, &LOSS],
        Target::Soft { .. } => &[&SCORE, &LOSS],
    };
    let mut found = Vec::new();
    for split in splits {
        found.extend(measures.iter().map(|&measure| Metric::new(measure).on(split)));
        for question in questions {
            for measure in [&AUROC, &BALANCED_ACCURACY] {
                found.push(Metric::new(measure).on(split).of(question));
            }
        }
    }
    found
}
