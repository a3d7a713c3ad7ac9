//! What all cases are made of: deterministic leaves, and the way back from an output.
//!
//! Invariant: values depend on a name alone, so both devices get the same.

use dfdx::prelude::*;
use dfdx::shapes::Shape;

use crate::device::Fill;
use crate::ops::{Backend, OpError, Parameter};
use crate::random::Seeds;

/// What an op gave: arrays by name.
pub(super) type Given = Vec<(String, Vec<f32>)>;

/// Deterministic values in [-scale, scale).
pub(super) fn values(name: &str, count: usize, scale: f64) -> Vec<f32> {
    let mut stream = Seeds::root(11).child(name).stream();
    (0..count).map(|_| stream.uniform_in(-scale, scale) as f32).collect()
}

/// A parameter of deterministic values.
pub(super) fn parameter<D: Backend<f32>>(
    device: &D,
    name: &str,
    dims: &[usize],
    scale: f64,
) -> Result<Parameter<f32, D>, OpError> {
    Parameter::new(device, dims, values(name, dims.iter().product(), scale))
}

/// What a gradient is asked for, by name.
pub(super) type Leaf<'a, D> = (&'a str, &'a Tensor<(usize,), f32, D>);

/// Goes back from an output with deterministic gradients, and gives the output and the gradients of the leaves.
pub(super) fn back<S: Shape, D: Backend<f32> + Fill<f32>>(
    out: Tensor<S, f32, D, OwnedTape<f32, D>>,
    leaves: &[Leaf<'_, D>],
) -> Result<Given, OpError> {
    let failed = "parity";
    let device = out.device().clone();
    let mut given = vec![("output".to_owned(), out.as_vec())];
    let coefficients = values("gradient", given[0].1.len(), 1.0);
    let (out, mut tape) = out.split_tape();
    // A scalar whose gradient stands for that of the output.
    let loss = device.try_zeros_like(&Rank0::default()).map_err(OpError::device(failed))?;
    let ghost = out.ghost();
    tape.add_backward_op(move |gradients| device.fill(gradients.get_or_alloc_mut(&ghost)?, &coefficients));
    let mut gradients = loss.put_tape(tape).try_backward().map_err(OpError::device(failed))?;
    for (name, leaf) in leaves {
        gradients.try_alloc_for(*leaf).map_err(OpError::device(failed))?;
        given.push((format!("gradient of {name}"), gradients.get(*leaf).as_vec()));
    }
    Ok(given)
}
