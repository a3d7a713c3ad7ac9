//! Evaluation: every expert's logits over a split, and the numbers that come of them.
//!
//! Invariant: with running statistics an example's logits do not depend on its neighbours, so the batch size here is a
//! matter of speed; with batch statistics (deviation A2) it is the training batch size, rows in order.

use std::collections::BTreeMap;

use dfdx::prelude::{HasShape, NoneTape};

use super::feed::Feed;
use super::metrics;
use crate::data::{Dataset, Split};
use crate::models::{Experts, ModelError};
use crate::ops::norm_relu_pool::Statistics;
use crate::ops::product_of_experts::evaluate::{log_probabilities, mean_probabilities};
use crate::protocol::{Combine, EvalNorm, Modality};

/// Numbers of one modality that are evaluated at a time, at most: 20 slices of 320 x 320.
const NUMBERS: usize = 1 << 21;

/// Examples that are evaluated at a time; fewer where they are large.
pub fn batch_size<D: Feed>(
    norm: EvalNorm,
    training_batch: usize,
    data: &dyn Dataset,
    modalities: &[Modality],
) -> usize {
    let largest = modalities.iter().map(|&modality| data.dims(modality).iter().product::<usize>()).max();
    match norm {
        EvalNorm::Running => D::EVALUATION_BATCH.min(NUMBERS / largest.unwrap_or(1).max(1)).max(1),
        EvalNorm::Batch => training_batch,
    }
}

/// Logits of each expert over a split, in the order of the rows; row-major, examples x logits of an example.
pub fn logits<D: Feed>(
    experts: &mut Experts<f32, D>,
    held: &mut D::Held<'_>,
    split: Split,
    norm: EvalNorm,
    batch_size: usize,
) -> Result<Vec<Vec<f32>>, ModelError> {
    let statistics = match norm {
        EvalNorm::Running => Statistics::Running,
        EvalNorm::Batch => Statistics::Batch,
    };
    let mut all = vec![Vec::new(); experts.names().count()];
    D::evaluate(held, split, batch_size, &mut |inputs| {
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
pub fn scores(logits: &[Vec<f32>], classes: usize, combine: Combine) -> Vec<f64> {
    let experts: Vec<&[f32]> = logits.iter().map(Vec::as_slice).collect();
    match combine {
        Combine::Product => log_probabilities(&experts, classes),
        Combine::Mean => mean_probabilities(&experts, classes).into_iter().map(libm::log).collect(),
    }
}

/// Metrics of combined experts by name: `accuracy` (percent), `loss` (nats), and for two classes `auprc` (in `[0, 1]`).
pub fn summarise(
    logits: &[Vec<f32>],
    classes: usize,
    labels: &[u8],
    combine: Combine,
) -> BTreeMap<String, f64> {
    let scores = scores(logits, classes, combine);
    let mut found = BTreeMap::from([
        ("accuracy".to_owned(), metrics::accuracy(&scores, classes, labels)),
        ("loss".to_owned(), metrics::cross_entropy(&scores, classes, labels)),
    ]);
    if classes == 2 {
        let second: Vec<f64> = scores.chunks_exact(2).map(|row| row[1]).collect();
        let positive: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
        found.insert("auprc".to_owned(), metrics::average_precision(&second, &positive));
    }
    found
}
