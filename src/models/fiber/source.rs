//! Filling a network from tensors by name.
//!
//! Invariant: a network is filled whole or not at all; an error names every tensor that is missing, not known or misshapen.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};

use super::weights::{Plan, Weights};
use super::{FiberError, resize};
use crate::ops::simd::Real;
use crate::ops::{Backend, Parameter};

/// Where tensors come from; several are read at a time.
pub trait TensorSource<E: Real>: Sync {
    /// All names.
    fn names(&self) -> Vec<String>;

    /// The dimensions of a tensor; `None` if there is none of this name.
    fn dims(&self, name: &str) -> Option<Vec<usize>>;

    /// The values of a tensor that is there, row-major.
    ///
    /// # Errors
    /// If it cannot be read.
    fn values(&self, name: &str) -> Result<Vec<E>, FiberError>;
}

impl<E: Real> TensorSource<E> for BTreeMap<String, (Vec<usize>, Vec<E>)> {
    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }

    fn dims(&self, name: &str) -> Option<Vec<usize>> {
        self.get(name).map(|(dims, _)| dims.clone())
    }

    fn values(&self, name: &str) -> Result<Vec<E>, FiberError> {
        self.get(name).map(|(_, values)| values.clone()).ok_or_else(|| unreadable(name, "there is none"))
    }
}

impl<E: Real> TensorSource<E> for SafeTensors<'_> {
    fn names(&self) -> Vec<String> {
        SafeTensors::names(self).into_iter().map(ToString::to_string).collect()
    }

    fn dims(&self, name: &str) -> Option<Vec<usize>> {
        self.tensor(name).ok().map(|view| view.shape().to_vec())
    }

    fn values(&self, name: &str) -> Result<Vec<E>, FiberError> {
        let view = self.tensor(name).map_err(|error| unreadable(name, error))?;
        let data = view.data();
        match view.dtype() {
            Dtype::F32 => Ok(convert(data.as_chunks::<4>().0, |b| of(f32::from_le_bytes(b)))),
            Dtype::F64 => Ok(convert(data.as_chunks::<8>().0, |b| E::of(f64::from_le_bytes(b)))),
            Dtype::BF16 => {
                let bits = |b| u32::from(u16::from_le_bytes(b)) << 16;
                Ok(convert(data.as_chunks::<2>().0, |b| of(f32::from_bits(bits(b)))))
            }
            other => Err(unreadable(name, format!("numbers of type {other:?}; f32, f64 or bf16 are read"))),
        }
    }
}

/// Numbers from their bytes: the one copy between a mapped file and a tensor. Large tensors are cut, so that all threads take part.
fn convert<E: Real, const N: usize>(bytes: &[[u8; N]], number: impl Fn([u8; N]) -> E + Sync) -> Vec<E> {
    bytes.par_iter().with_min_len(1 << 16).map(|bytes| number(*bytes)).collect()
}

fn of<E: Real>(value: f32) -> E {
    E::of(f64::from(value))
}

fn unreadable(name: &str, reason: impl std::fmt::Display) -> FiberError {
    FiberError::Unreadable { name: name.to_owned(), reason: reason.to_string() }
}

/// Whether a tensor of a published file may be left out: what pre-training kept beside the backbone (queues, heads of its own
/// tasks), and what follows from sizes.
pub fn ignored(name: &str) -> bool {
    let tasks = [
        "mlm_score.",
        "itm_score.",
        "rank_output.",
        "image_queue",
        "text_queue",
        "queue_",
        "image_input_queue",
    ];
    let others = ["text_input_queue", "text_input_mask_queue", "token_type_embeddings."];
    let derived = [".relative_position_index", ".attn_mask", "embeddings.position_ids"];
    tasks.iter().chain(&others).any(|prefix| name.starts_with(prefix))
        || ["temp", "logit_scale"].contains(&name)
        || derived.iter().any(|suffix| name.ends_with(suffix))
}

/// The tensors of a plan, from a source. Tables of relative positions of another window are resized. What else the source has
/// must be `allowed`, by its name.
///
/// # Errors
/// [`FiberError::Tensors`] if anything is missing, not allowed or misshapen; or if a tensor cannot be read or the device has no
/// room.
pub fn load<E: Real, D: Backend<E>>(
    device: &D,
    plan: &Plan,
    source: &impl TensorSource<E>,
    allowed: impl Fn(&str) -> bool,
) -> Result<Weights<E, D>, FiberError> {
    let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
    for spec in &plan.0 {
        match source.dims(&spec.name) {
            None => missing.push(spec.name.clone()),
            Some(dims) if dims == spec.dims => {}
            Some(dims) if spec.positions && window(&dims).is_some() && dims[1..] == spec.dims[1..] => {}
            Some(dims) => misshapen.push(format!("{}: expected {:?}, found {dims:?}", spec.name, spec.dims)),
        }
    }
    let known = plan.names();
    let mut extra = source.names();
    extra.retain(|name| !known.contains(name.as_str()) && !allowed(name));
    extra.sort();
    if !(missing.is_empty() && misshapen.is_empty() && extra.is_empty()) {
        return Err(FiberError::Tensors { missing, extra, misshapen });
    }
    // Read all at once: a device takes the values as they are.
    let values = plan.0.par_iter().map(|spec| {
        let values = source.values(&spec.name)?;
        Ok(match &spec.dims[..] {
            [rows, heads] if spec.positions && values.len() != rows * heads => {
                resize(&values, *heads, libm::sqrt(*rows as f64) as usize)
            }
            _ => values,
        })
    });
    let values = values.collect::<Result<Vec<Vec<E>>, FiberError>>()?;
    let parameters =
        plan.0.iter().zip(values).map(|(spec, values)| Parameter::new(device, &spec.dims, values));
    let parameters = parameters.collect::<Result<_, _>>()?;
    Ok(Weights { plan: Arc::new(plan.clone()), parameters })
}

/// The side of a table of relative positions, if it is one: odd.
fn window(dims: &[usize]) -> Option<usize> {
    let &[rows, _] = dims else { return None };
    let side = libm::sqrt(rows as f64) as usize;
    (side * side == rows && side % 2 == 1).then_some(side)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safetensors_are_read_in_three_widths() {
        use safetensors::tensor::TensorView;
        let single: Vec<u8> = [1.5f32, -2.0].into_iter().flat_map(f32::to_le_bytes).collect();
        let double: Vec<u8> = [1.5f64, -2.0].into_iter().flat_map(f64::to_le_bytes).collect();
        let half = [0xc0, 0x3f, 0x00, 0xc0];
        let view = |dtype, data| TensorView::new(dtype, vec![2], data).unwrap();
        let tensors = [
            ("f32", view(Dtype::F32, &single)),
            ("f64", view(Dtype::F64, &double)),
            ("bf16", view(Dtype::BF16, &half)),
            ("i16", view(Dtype::I16, &half)),
        ];
        let bytes = safetensors::serialize(tensors, None).unwrap();
        let source = SafeTensors::deserialize(&bytes).unwrap();
        for name in ["f32", "f64", "bf16"] {
            let values: Vec<f64> = source.values(name).unwrap();
            assert_eq!(values, [1.5, -2.0], "{name}");
            assert_eq!(TensorSource::<f64>::dims(&source, name), Some(vec![2]));
        }
        assert!(matches!(TensorSource::<f32>::values(&source, "i16"), Err(FiberError::Unreadable { .. })));
        assert!(matches!(TensorSource::<f32>::values(&source, "none"), Err(FiberError::Unreadable { .. })));
    }

    #[test]
    fn what_pre_training_left_is_ignored() {
        for name in ["mlm_score.bias", "image_queue", "temp", "vit_model.layers.0.blocks.1.attn_mask"] {
            assert!(ignored(name), "{name}");
        }
        for name in [
            "vit_model.norm.weight",
            "text_transformer.embeddings.token_type_embeddings.weight",
            "temperature",
        ] {
            assert!(!ignored(name), "{name}");
        }
    }
}
