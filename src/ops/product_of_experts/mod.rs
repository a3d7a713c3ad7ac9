//! The one formula: the product of experts, with its cross-entropy.
//!
//! `out = log_softmax(sum_e log_softmax(z_e))`, loss = mean of `-out[y]`, with neither a prior nor weights of experts. One
//! expert is plain cross-entropy.
//!
//! Invariant: the gradient that reaches every expert's logits is the same, `(softmax(out) - onehot(y)) / N`: the inner
//! normalisation only shifts each column by a constant, which the outer one takes off again.

use dfdx::prelude::*;

use super::simd::Real;
use super::{Features, OpError};
use crate::device::{self, Storage1};

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
pub(crate) mod evaluate;
mod heads;
pub(crate) mod soft;
#[cfg(test)]
mod tests;

pub use heads::{Heads, HeadsLoss, product_of_heads};
pub use soft::{SoftProduct, SoftTargets, product_of_soft};

const OP: &str = "product of experts";

/// The product of experts on a device. Logits and log-probabilities are classes x examples.
pub trait ProductOfExperts<E: Real>: Storage<E> {
    /// Labels where the kernels can read them.
    type Labels: Clone + 'static;

    /// Takes labels to the device.
    ///
    /// # Errors
    /// If the device has no room.
    fn labels(&self, labels: &[u32]) -> Result<Self::Labels, Self::Err>;

    /// Writes the normalised log-probabilities, and returns the mean cross-entropy. Every label is below the number of classes.
    ///
    /// # Errors
    /// If the device fails.
    fn product_forward(
        &self,
        experts: &[&Features<E, Self>],
        labels: &Self::Labels,
        log_probabilities: &mut Features<E, Self>,
    ) -> Result<Tensor<Rank0, E, Self>, Self::Err>;

    /// Adds the gradient of the logits to every expert's gradient.
    ///
    /// # Errors
    /// If the device fails.
    fn product_backward(
        &self,
        log_probabilities: &Features<E, Self>,
        labels: &Self::Labels,
        loss_gradient: &Storage1<Self, E>,
        gradients: &mut [Storage1<Self, E>],
    ) -> Result<(), Self::Err>;

    /// [`ProductOfExperts::product_forward`] for each head, whose weighted losses are added up. Every label is below
    /// `classes^count`. Also gives the sum of the examples' weights of each head.
    ///
    /// # Errors
    /// If the device fails.
    fn heads_forward(
        &self,
        experts: &[&Features<E, Self>],
        labels: &Self::Labels,
        heads: &Heads<E, Self>,
        log_probabilities: &mut Features<E, Self>,
    ) -> Result<HeadsLoss<E, Self>, Self::Err>;

    /// [`ProductOfExperts::product_backward`] for each head; beside them stand the sums of weights of [`ProductOfExperts::heads_forward`].
    ///
    /// # Errors
    /// If the device fails.
    fn heads_backward(
        &self,
        log_probabilities: &Features<E, Self>,
        labels: &Self::Labels,
        heads: (&Heads<E, Self>, &Tensor<(usize,), E, Self>),
        loss_gradient: &Storage1<Self, E>,
        gradients: &mut [Storage1<Self, E>],
    ) -> Result<(), Self::Err>;
}

/// The labels of a batch on a device.
pub struct Labels<E: Real, D: ProductOfExperts<E>> {
    labels: D::Labels,
    count: usize,
    /// All are below this.
    below: usize,
}

impl<E: Real, D: ProductOfExperts<E>> Labels<E, D> {
    /// Takes labels to a device.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn new(device: &D, labels: &[u32]) -> Result<Self, OpError> {
        let below = labels.iter().max().map_or(0, |&label| label as usize + 1);
        let count = labels.len();
        Ok(Labels { labels: device.labels(labels).map_err(OpError::device(OP))?, count, below })
    }

    /// Labels that are on the device already: `count` of them, all below `below`.
    pub fn held(labels: D::Labels, count: usize, below: usize) -> Self {
        Labels { labels, count, below }
    }
}

/// What the product of experts gives.
pub struct Product<E: Real, D: Device<E>, T> {
    /// Mean cross-entropy over the examples; its `backward` reaches every expert.
    pub loss: Tensor<Rank0, E, D, T>,
    /// Normalised log-probabilities, classes x examples.
    pub log_probabilities: Features<E, D>,
}

/// Combines the logits (classes x examples) of one or more experts; the tapes are merged into the loss.
///
/// # Errors
/// When there is no expert, the experts differ in shape, or the labels do not fit.
pub fn product_of_experts<E, D, T>(
    experts: Vec<Features<E, D, T>>,
    labels: &[u32],
) -> Result<Product<E, D, T>, OpError>
where
    E: Real,
    D: Device<E> + ProductOfExperts<E>,
    T: Tape<E, D>,
{
    let Some(device) = experts.first().map(|expert| expert.device().clone()) else {
        return Err(OpError::shape(OP, "at least one expert", "none"));
    };
    product_of_labelled(experts, &Labels::new(&device, labels)?)
}

/// [`product_of_experts`] with labels that are on the device.
///
/// # Errors
/// As there.
pub fn product_of_labelled<E, D, T>(
    experts: Vec<Features<E, D, T>>,
    labels: &Labels<E, D>,
) -> Result<Product<E, D, T>, OpError>
where
    E: Real,
    D: Device<E> + ProductOfExperts<E>,
    T: Tape<E, D>,
{
    let (logits, mut tape) = untape(experts);
    check(&logits, labels, logits.first().map_or(0, |logits| logits.shape().0))?;
    let device = logits[0].device().clone();
    let mut log_probabilities = device.try_zeros_like(logits[0].shape()).map_err(OpError::device(OP))?;
    let loss = device
        .product_forward(&logits.iter().collect::<Vec<_>>(), &labels.labels, &mut log_probabilities)
        .map_err(OpError::device(OP))?;

    if T::OWNS_TAPE {
        let inputs: Vec<_> = logits.iter().map(Tensor::ghost).collect();
        let (output, saved, labels) = (loss.ghost(), log_probabilities.clone(), labels.labels.clone());
        tape.add_backward_op(move |gradients| {
            let loss_gradient = device::take::<E, D>(&device, gradients.get_or_alloc_mut(&output)?)?;
            let mut inner = Vec::with_capacity(inputs.len());
            for input in &inputs {
                inner.push(device::take::<E, D>(&device, gradients.get_or_alloc_mut(input)?)?);
            }
            device.product_backward(&saved, &labels, &loss_gradient, &mut inner)?;
            for (input, gradient) in inputs.iter().zip(inner) {
                *gradients.get_or_alloc_mut(input)? = gradient;
            }
            Ok(())
        });
    }
    Ok(Product { loss: loss.put_tape(tape), log_probabilities })
}

/// The experts' logits, and one tape of all of theirs.
fn untape<E, D, T>(experts: Vec<Features<E, D, T>>) -> (Vec<Features<E, D>>, T)
where
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
{
    let mut tape = T::default();
    let mut logits = Vec::with_capacity(experts.len());
    for expert in experts {
        let (values, expert_tape) = expert.split_tape();
        tape = tape.merge(expert_tape);
        logits.push(values);
    }
    (logits, tape)
}

/// The shape (classes x examples) that all experts agree in.
fn agree<E: Real, D: Device<E>>(
    op: &'static str,
    logits: &[Features<E, D>],
) -> Result<(usize, usize), OpError> {
    let Some(&(classes, examples)) = logits.first().map(Tensor::shape) else {
        return Err(OpError::shape(op, "at least one expert", "none"));
    };
    if let Some(other) = logits.iter().find(|other| *other.shape() != (classes, examples)) {
        let (expected, found) = (format!("logits {classes} x {examples}"), format!("{:?}", other.shape()));
        return Err(OpError::shape(op, expected, found));
    }
    Ok((classes, examples))
}

/// Whether the experts agree in shape and every example has a label below `below`.
fn check<E: Real, D: Device<E> + ProductOfExperts<E>>(
    logits: &[Features<E, D>],
    labels: &Labels<E, D>,
    below: usize,
) -> Result<(), OpError> {
    let (_, examples) = agree(OP, logits)?;
    if labels.count != examples || examples == 0 {
        let expected = format!("a label for each of {examples} (at least one) examples");
        return Err(OpError::shape(OP, expected, labels.count.to_string()));
    }
    if labels.below > below {
        return Err(OpError::shape(OP, format!("labels below {below}"), (labels.below - 1).to_string()));
    }
    Ok(())
}
