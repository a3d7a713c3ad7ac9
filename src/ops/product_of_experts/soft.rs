//! Experts whose targets are scores: several classes may be right at once, each to a degree.
//!
//! The logits `z` are those of the one expert as they are, and for several experts the normalised log-probabilities of their
//! product, `log_softmax(sum_e log_softmax(z_e))`. The loss is binary cross-entropy, `softplus(z) - t z`, summed over the
//! classes; its mean over the examples is taken.
//!
//! Invariant: with `g = (sigmoid(z) - t) / N` the gradient of one expert's logits is `g`, and that of every expert of a product
//! `g - p sum_k g_k` with `p = softmax(z)`: the inner normalisations add nothing, because these sum to zero over the classes.

use dfdx::prelude::*;

use super::{agree, untape};
use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Features, OpError};

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

const OP: &str = "product of experts with soft targets";

/// The loss of soft targets on a device. Logits and targets are classes x examples.
pub trait SoftTargets<E: Real>: Storage<E> {
    /// Writes the logits of the one expert or of the product, and returns the mean loss.
    ///
    /// # Errors
    /// If the device fails.
    fn soft_forward(
        &self,
        experts: &[&Features<E, Self>],
        targets: &Features<E, Self>,
        logits: &mut Features<E, Self>,
    ) -> Result<Tensor<Rank0, E, Self>, Self::Err>;

    /// Adds the gradient of the experts' logits to every expert's gradient; `logits` are those of [`SoftTargets::soft_forward`].
    ///
    /// # Errors
    /// If the device fails.
    fn soft_backward(
        &self,
        logits: &Features<E, Self>,
        targets: &Features<E, Self>,
        loss_gradient: &Storage1<Self, E>,
        gradients: &mut [Storage1<Self, E>],
    ) -> Result<(), Self::Err>;
}

/// What [`product_of_soft`] gives.
pub struct SoftProduct<E: Real, D: Device<E>, T> {
    /// Mean loss over the examples; its `backward` reaches every expert.
    pub loss: Tensor<Rank0, E, D, T>,
    /// The logits of the one expert, or the normalised log-probabilities of the product: classes x examples.
    pub logits: Features<E, D>,
}

/// Combines the logits (classes x examples) of one or more experts; the tapes are merged into the loss. Targets are scores in
/// `[0, 1]`, which whoever loads them makes sure of.
///
/// # Errors
/// When there is no expert, class or example, or the experts and targets differ in shape.
pub fn product_of_soft<E, D, T>(
    experts: Vec<Features<E, D, T>>,
    targets: &Features<E, D>,
) -> Result<SoftProduct<E, D, T>, OpError>
where
    E: Real,
    D: Device<E> + SoftTargets<E>,
    T: Tape<E, D>,
{
    let (experts, mut tape) = untape(experts);
    let (classes, examples) = agree(OP, &experts)?;
    if *targets.shape() != (classes, examples) || classes == 0 || examples == 0 {
        let expected = format!("targets {classes} x {examples} (at least one class and example)");
        return Err(OpError::shape(OP, expected, format!("{:?}", targets.shape())));
    }
    let device = targets.device().clone();
    let mut logits = device.try_zeros_like(targets.shape()).map_err(OpError::device(OP))?;
    let loss = device
        .soft_forward(&experts.iter().collect::<Vec<_>>(), targets, &mut logits)
        .map_err(OpError::device(OP))?;

    if T::OWNS_TAPE {
        let inputs: Vec<_> = experts.iter().map(Tensor::ghost).collect();
        let (output, saved, targets) = (loss.ghost(), logits.clone(), targets.clone());
        tape.add_backward_op(move |gradients| {
            let loss_gradient = device::take::<E, D>(&device, gradients.get_or_alloc_mut(&output)?)?;
            let mut inner = Vec::with_capacity(inputs.len());
            for input in &inputs {
                inner.push(device::take::<E, D>(&device, gradients.get_or_alloc_mut(input)?)?);
            }
            device.soft_backward(&saved, &targets, &loss_gradient, &mut inner)?;
            for (input, gradient) in inputs.iter().zip(inner) {
                *gradients.get_or_alloc_mut(input)? = gradient;
            }
            Ok(())
        });
    }
    Ok(SoftProduct { loss: loss.put_tape(tape), logits })
}
