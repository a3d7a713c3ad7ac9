//! Weights and BatchNorm buffers as named tensors, out of experts and into them.
//!
//! Invariant: what is put in has every name and exactly the dimensions that the experts have; nothing is guessed.

use dfdx::prelude::HasShape;

use super::Tensors;
use super::tensors::TensorData;
use crate::models::{Buffer, Experts, ModelError};
use crate::ops::Backend;

/// A tensor of the experts: name, dimensions, values.
type Named<'a, D> = (String, Vec<usize>, &'a mut Buffer<f32, D>);

/// Parameters, then buffers.
fn all<D: Backend<f32>>(experts: &mut Experts<f32, D>) -> impl Iterator<Item = Named<'_, D>> {
    let named_tensors = experts.named_tensors();
    let parameters = named_tensors.parameters.into_iter();
    let buffers = named_tensors.buffers.into_iter();
    parameters
        .map(|(name, parameter)| (name, parameter.dims.clone(), &mut parameter.value))
        .chain(buffers.map(|(name, buffer)| (name, vec![buffer.shape().0], buffer)))
}

/// All weights and buffers, by `<expert>.<path>`.
pub(super) fn export<D: Backend<f32>>(experts: &mut Experts<f32, D>) -> Tensors {
    Tensors(all(experts).map(|(name, dims, t)| (name, TensorData { dims, values: t.as_vec() })).collect())
}

/// Overwrites the weights and buffers of every expert that `source` gives tensors for.
///
/// # Errors
/// When a tensor is missing there, or has other dimensions.
pub(super) fn import<'t, D: Backend<f32>>(
    experts: &mut Experts<f32, D>,
    source: impl Fn(&str) -> Option<&'t Tensors>,
) -> Result<(), ModelError> {
    for (name, dims, values) in all(experts) {
        let expert = name.split('.').next().unwrap_or_default();
        let Some(tensors) = source(expert) else { continue };
        let mismatch = |found: String| ModelError::Weights {
            name: name.clone(),
            expected: format!("dimensions {dims:?}"),
            found,
        };
        let tensor = tensors.0.get(&name).ok_or_else(|| mismatch("no such tensor".to_owned()))?;
        if tensor.dims != dims || tensor.values.len() != dims.iter().product::<usize>() {
            return Err(mismatch(format!("dimensions {:?} and {} values", tensor.dims, tensor.values.len())));
        }
        values.copy_from(&tensor.values);
    }
    Ok(())
}
