//! The one formula: the product of experts, with its cross-entropy.
//!
//! `out = log_softmax(sum_e log_softmax(z_e))`, loss = mean of `-out[y]` (spec section 0; no prior, no weights). One
//! expert is plain cross-entropy.
//!
//! Invariant: the gradient that reaches every expert's logits is the same, `(softmax(out) - onehot(y)) / N`: the inner
//! normalisation only shifts each column by a constant, which the outer one takes off again.

use dfdx::prelude::*;

use super::simd::Real;
use super::{Memory, OpError};
use crate::device::Storage1;

mod cpu;
pub mod evaluate;

/// The product of experts on a device. Logits and log-probabilities are classes x examples.
pub trait ProductOfExperts<E: Real>: Memory<E> {
    /// Writes the normalised log-probabilities, and returns the mean cross-entropy.
    fn forward(
        &self,
        experts: &[&Tensor<(usize, usize), E, Self>],
        labels: &[u8],
        log_probabilities: &mut Tensor<(usize, usize), E, Self>,
    ) -> Result<E, Self::Err>;

    /// Adds the gradient of the logits to every expert's gradient.
    fn backward(
        &self,
        log_probabilities: &Tensor<(usize, usize), E, Self>,
        labels: &[u8],
        loss_gradient: &Storage1<Self, E>,
        gradients: &mut [Storage1<Self, E>],
    ) -> Result<(), Self::Err>;
}

/// What the product of experts gives.
pub struct Product<E: Real, D: Memory<E>, T> {
    /// Mean cross-entropy over the examples; its `backward` reaches every expert.
    pub loss: Tensor<Rank0, E, D, T>,
    /// Normalised log-probabilities, classes x examples.
    pub log_probabilities: Tensor<(usize, usize), E, D>,
}

/// Combines the logits (classes x examples) of one or more experts; the tapes are merged into the loss.
///
/// # Errors
/// When there is no expert, the experts differ in shape, or the labels do not fit.
pub fn product_of_experts<E, D, T>(
    experts: Vec<Tensor<(usize, usize), E, D, T>>,
    labels: &[u8],
) -> Result<Product<E, D, T>, OpError>
where
    E: Real,
    D: ProductOfExperts<E>,
    T: Tape<E, D>,
{
    let mut tape = T::default();
    let mut logits = Vec::with_capacity(experts.len());
    for expert in experts {
        let (values, expert_tape) = expert.split_tape();
        tape = tape.merge(expert_tape);
        logits.push(values);
    }
    check(&logits, labels)?;
    let device = logits[0].device().clone();
    let mut log_probabilities = device.try_zeros_like(logits[0].shape()).map_err(OpError::device)?;
    let loss = device
        .forward(&logits.iter().collect::<Vec<_>>(), labels, &mut log_probabilities)
        .map_err(OpError::device)?;
    let loss = device.try_tensor(loss).map_err(OpError::device)?;

    if T::OWNS_TAPE {
        let inputs: Vec<_> = logits.iter().map(Tensor::ghost).collect();
        let (output, saved, labels) = (loss.ghost(), log_probabilities.clone(), labels.to_vec());
        tape.add_backward_op(move |gradients| {
            let empty = device.try_alloc_len(1)?;
            let loss_gradient = std::mem::replace(gradients.get_or_alloc_mut(&output)?, empty);
            let mut inner = Vec::with_capacity(inputs.len());
            for input in &inputs {
                inner.push(std::mem::replace(gradients.get_or_alloc_mut(input)?, device.try_alloc_len(1)?));
            }
            device.backward(&saved, &labels, &loss_gradient, &mut inner)?;
            for (input, gradient) in inputs.iter().zip(inner) {
                *gradients.get_or_alloc_mut(input)? = gradient;
            }
            Ok(())
        });
    }
    Ok(Product { loss: loss.put_tape(tape), log_probabilities })
}

/// Whether the experts agree in shape and every example has a label below the number of classes.
fn check<E: Real, D: Memory<E>>(
    logits: &[Tensor<(usize, usize), E, D>],
    labels: &[u8],
) -> Result<(), OpError> {
    let Some(&(classes, examples)) = logits.first().map(Tensor::shape) else {
        return Err(OpError::shape("product of experts", "at least one expert", "none"));
    };
    if let Some(other) = logits.iter().find(|other| *other.shape() != (classes, examples)) {
        let (expected, found) = (format!("logits {classes} x {examples}"), format!("{:?}", other.shape()));
        return Err(OpError::shape("product of experts", expected, found));
    }
    if labels.len() != examples || examples == 0 {
        let expected = format!("a label for each of {examples} (at least one) examples");
        return Err(OpError::shape("product of experts", expected, labels.len()));
    }
    if let Some(label) = labels.iter().find(|&&label| usize::from(label) >= classes) {
        return Err(OpError::shape("product of experts", format!("labels below {classes}"), label));
    }
    Ok(())
}
