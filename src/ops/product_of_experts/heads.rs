//! Several independent products in one: experts with a head per target, such as the four findings of a knee.
//!
//! Invariant: rows `h * classes..(h + 1) * classes` of logits and log-probabilities are head `h`; one label holds the classes
//! of all heads, digit `h` in base `classes` that of head `h` (bit `h` for two classes).

use dfdx::prelude::*;

use super::{Labels, OP, Product, ProductOfExperts, check, untape};
use crate::device;
use crate::ops::simd::Real;
use crate::ops::{Features, OpError};

/// How the rows of logits are cut into heads, and the weight of each class in its head's loss.
#[derive(Clone, Debug)]
pub struct Heads<E: Real, D: Storage<E>> {
    /// Heads.
    pub count: usize,
    /// Classes of each.
    pub classes: usize,
    /// A weight per class, head by head.
    pub(super) weights: Tensor<(usize,), E, D>,
}

impl<E: Real, D: TensorFromVec<E>> Heads<E, D> {
    /// `count` heads of `classes` each, with `count * classes` weights, head by head; all 1 is the plain mean.
    ///
    /// # Errors
    /// [`OpError::Shape`] if there is no head or class, a label does not hold the classes of all heads, or the weights are not
    /// as many finite numbers above 0; [`OpError::Device`] if the device has no room.
    pub fn new(device: &D, count: usize, classes: usize, weights: &[f64]) -> Result<Self, OpError> {
        let all = u32::try_from(count).ok().and_then(|count| (classes as u64).checked_pow(count));
        if count == 0 || classes == 0 || all.is_none_or(|all| all > 1 << u32::BITS) {
            let expected = "heads whose classes one label of 32 bits holds";
            return Err(OpError::shape(OP, expected, format!("{count} heads of {classes} classes")));
        }
        if weights.len() != count * classes {
            let expected = format!("{count} x {classes} weights of classes");
            return Err(OpError::shape(OP, expected, weights.len().to_string()));
        }
        if let Some(weight) = weights.iter().find(|weight| !(weight.is_finite() && **weight > 0.0)) {
            return Err(OpError::shape(OP, "weights of classes above 0 and finite", weight.to_string()));
        }
        let values = weights.iter().map(|&weight| E::of(weight)).collect();
        let weights = device.try_tensor_from_vec(values, (weights.len(),)).map_err(OpError::device(OP))?;
        Ok(Heads { count, classes, weights })
    }
}

/// What [`ProductOfExperts::heads_forward`] gives.
pub struct HeadsLoss<E: Real, D: Storage<E>> {
    /// The sum of the heads' losses.
    pub loss: Tensor<Rank0, E, D>,
    /// The sum of the examples' weights, per head.
    pub totals: Tensor<(usize,), E, D>,
}

/// Combines the logits (heads * classes x examples) of one or more experts, head by head: each head's `out` is
/// `log_softmax(sum_e log_softmax(z_e))`, its loss the mean of `-out[y]` weighted by `w[y]`, and the loss is the sum over heads.
///
/// One head with weights 1 is [`product_of_labelled`](super::product_of_labelled), bit for bit.
///
/// # Errors
/// When there is no expert, the experts differ in shape or do not have these heads, or the labels do not fit.
pub fn product_of_heads<E, D, T>(
    experts: Vec<Features<E, D, T>>,
    labels: &Labels<E, D>,
    heads: &Heads<E, D>,
) -> Result<Product<E, D, T>, OpError>
where
    E: Real,
    D: Device<E> + ProductOfExperts<E>,
    T: Tape<E, D>,
{
    let (logits, mut tape) = untape(experts);
    check(&logits, labels, heads.classes.pow(heads.count as u32))?;
    let rows = logits[0].shape().0;
    if rows != heads.count * heads.classes {
        let expected = format!("{} heads x {} classes of logits", heads.count, heads.classes);
        return Err(OpError::shape(OP, expected, rows.to_string()));
    }
    let device = logits[0].device().clone();
    let mut log_probabilities = device.try_zeros_like(logits[0].shape()).map_err(OpError::device(OP))?;
    let HeadsLoss { loss, totals } = device
        .heads_forward(&logits.iter().collect::<Vec<_>>(), &labels.labels, heads, &mut log_probabilities)
        .map_err(OpError::device(OP))?;

    if T::OWNS_TAPE {
        let inputs: Vec<_> = logits.iter().map(Tensor::ghost).collect();
        let (output, saved) = (loss.ghost(), log_probabilities.clone());
        let (labels, heads) = (labels.labels.clone(), heads.clone());
        tape.add_backward_op(move |gradients| {
            let loss_gradient = device::take::<E, D>(&device, gradients.get_or_alloc_mut(&output)?)?;
            let mut inner = Vec::with_capacity(inputs.len());
            for input in &inputs {
                inner.push(device::take::<E, D>(&device, gradients.get_or_alloc_mut(input)?)?);
            }
            device.heads_backward(&saved, &labels, (&heads, &totals), &loss_gradient, &mut inner)?;
            for (input, gradient) in inputs.iter().zip(inner) {
                *gradients.get_or_alloc_mut(input)? = gradient;
            }
            Ok(())
        });
    }
    Ok(Product { loss: loss.put_tape(tape), log_probabilities })
}
