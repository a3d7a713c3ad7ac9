//! Evaluation: every expert's logits over a split, and the numbers that come of them.
//!
//! Invariant: with running statistics an example's logits do not depend on its neighbours, so the batch size here is a
//! matter of speed; with batch statistics (deviation A2) it is the training batch size, rows in order.

use dfdx::prelude::{HasShape, NoneTape};

use super::data_loader::TrainingDevice;
use super::metrics;
use crate::data::{Dataset, Modality, Split, Targets};
use crate::metric::{ACCURACY, AUPRC, LOSS, Metric, SCORE};
use crate::models::{Experts, ModelError};
use crate::ops::norm_relu_pool::Statistics;
use crate::ops::product_of_experts::evaluate::{log_probabilities, mean_probabilities};
use crate::study::{Combine, EvalNorm};

/// Numbers of one modality that are evaluated at a time, at most: 20 slices of 320 x 320.
const NUMBERS: usize = 1 << 21;

/// Examples that are evaluated at a time; fewer where they are large.
pub(super) fn batch_size<D: TrainingDevice>(
    norm: EvalNorm,
    training_batch: usize,
    data: &dyn Dataset,
    used: &[usize],
) -> usize {
    let modalities = data.modalities();
    let largest = used.iter().filter_map(|&modality| modalities.get(modality)).map(Modality::features).max();
    match norm {
        EvalNorm::Running => D::EVALUATION_BATCH.min(NUMBERS / largest.unwrap_or(1).max(1)).max(1),
        EvalNorm::Batch => training_batch,
    }
}

/// Logits of each expert over a split, in the order of the rows; row-major, examples x logits of an example.
pub(super) fn logits<D: TrainingDevice>(
    experts: &mut Experts<f32, D>,
    loader: &mut D::DataLoader<'_>,
    split: Split,
    norm: EvalNorm,
    batch_size: usize,
) -> Result<Vec<Vec<f32>>, ModelError> {
    let statistics = match norm {
        EvalNorm::Running => Statistics::Running,
        EvalNorm::Batch => Statistics::Batch,
    };
    let mut all = vec![Vec::new(); experts.names().count()];
    D::evaluate(loader, split, batch_size, &mut |inputs| {
        let found = experts.logits::<NoneTape>(inputs, statistics)?;
        for (all, logits) in all.iter_mut().zip(found) {
            let (classes, examples) = *logits.shape();
            let values = logits.as_vec();
            all.extend(
                (0..examples).flat_map(|n| (0..classes).map(move |k| k * examples + n)).map(|i| values[i]),
            );
        }
        Ok(())
    })?;
    Ok(all)
}

/// Log-probabilities of the combined experts: examples x classes.
pub(super) fn scores(logits: &[Vec<f32>], classes: usize, combine: Combine) -> Vec<f64> {
    let experts: Vec<&[f32]> = logits.iter().map(Vec::as_slice).collect();
    match combine {
        Combine::Product => log_probabilities(&experts, classes),
        Combine::Mean => mean_probabilities(&experts, classes).into_iter().map(libm::log).collect(),
    }
}

/// Metrics of combined experts, of the whole and no split: for classes accuracy, loss, and for two of them AUPRC (in `[0, 1]`); for
/// soft scores their mean and the loss.
pub(super) fn summarise(
    logits: &[Vec<f32>],
    classes: usize,
    targets: Targets<'_>,
    combine: Combine,
) -> Vec<(Metric, f64)> {
    let labels = match targets {
        Targets::Labels(labels) => labels,
        Targets::Soft { scores, .. } => return summarise_soft(logits, classes, scores, combine),
    };
    let scores = scores(logits, classes, combine);
    let mut found = vec![
        (Metric::new(&ACCURACY), metrics::accuracy(&scores, classes, labels)),
        (Metric::new(&LOSS), metrics::cross_entropy(&scores, classes, labels)),
    ];
    if classes == 2 {
        let second: Vec<f64> = scores.chunks_exact(2).map(|row| row[1]).collect();
        let positive: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
        found.push((Metric::new(&AUPRC), metrics::average_precision(&second, &positive)));
    }
    found
}

/// What soft scores are compared with: the logits of an only expert as they are, the log-probabilities of several.
pub(super) fn soft_logits(logits: &[Vec<f32>], classes: usize, combine: Combine) -> Vec<f64> {
    match logits {
        [only] => only.iter().map(|&logit| f64::from(logit)).collect(),
        several => scores(several, classes, combine),
    }
}

fn summarise_soft(
    logits: &[Vec<f32>],
    classes: usize,
    scores: &[f32],
    combine: Combine,
) -> Vec<(Metric, f64)> {
    let combined = soft_logits(logits, classes, combine);
    vec![
        (Metric::new(&SCORE), metrics::soft_score(&combined, classes, scores)),
        (Metric::new(&LOSS), metrics::soft_loss(&combined, classes, scores)),
    ]
}
