//! Weights and BatchNorm buffers as named tensors, out of experts and into them.
//!
//! Invariant: what is put in has every name and exactly the dimensions that the experts have; nothing is guessed.

use super::Tensors;
use super::tensors::TensorData;
use crate::models::{Experts, ModelError};
use crate::ops::Backend;

/// All weights and buffers, by `<expert>.<path>`.
pub fn export<D: Backend<f32>>(experts: &mut Experts<f32, D>) -> Tensors {
    let slots = experts.slots();
    let all = slots.parameters.into_iter().chain(slots.buffers);
    Tensors(
        all.map(|(name, slot)| (name, TensorData { dims: slot.dims.clone(), values: slot.value.as_vec() }))
            .collect(),
    )
}

/// Overwrites the weights and buffers of every expert that `source` names tensors for.
///
/// # Errors
/// When a tensor is missing there, or has other dimensions.
pub fn import<'t, D: Backend<f32>>(
    experts: &mut Experts<f32, D>,
    source: impl Fn(&str) -> Option<&'t Tensors>,
) -> Result<(), ModelError> {
    let slots = experts.slots();
    for (name, slot) in slots.parameters.into_iter().chain(slots.buffers) {
        let expert = name.split('.').next().unwrap_or_default();
        let Some(tensors) = source(expert) else { continue };
        let mismatch = |found: String| ModelError::Weights {
            name: name.clone(),
            expected: format!("dimensions {:?}", slot.dims),
            found,
        };
        let tensor = tensors.0.get(&name).ok_or_else(|| mismatch("no such tensor".to_owned()))?;
        if tensor.dims != slot.dims || tensor.values.len() != slot.dims.iter().product::<usize>() {
            return Err(mismatch(format!("dimensions {:?} and {} values", tensor.dims, tensor.values.len())));
        }
        slot.value.copy_from(&tensor.values);
    }
    Ok(())
}
