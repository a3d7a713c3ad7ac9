//! Rows of a table, looked up by number.
//!
//! Invariant: a row that is looked up several times gets the gradients in the order of the tokens; a padding row gets none.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError, Parameter, Tokens};

const OP: &str = "embedding";

/// The kernels of [`embedding`].
pub trait Embedding<E: Real>: Storage<E> {
    /// Row `ids[i]` of the table as row i; all are below the number of rows.
    ///
    /// # Errors
    /// If the device fails.
    fn embedding(
        &self,
        table: &Tensor<(usize,), E, Self>,
        features: usize,
        ids: &[u32],
    ) -> Result<Tokens<E, Self>, Self::Err>;

    /// Adds each row of `gradient` to the table's row that was looked up, unless that is the padding.
    ///
    /// # Errors
    /// If the device fails.
    fn embedding_backward(
        &self,
        features: usize,
        ids: &[u32],
        padding: Option<u32>,
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), Self::Err>;
}

/// Rows `ids` of a table `[rows, features]`; with its own tape. The row `padding` is never trained.
///
/// # Errors
/// [`OpError::Shape`] if the table is none or has no such row; [`OpError::Device`] if the device fails.
pub fn embedding<E: Real, D: Backend<E>, T: Tape<E, D>>(
    device: &D,
    table: &Parameter<E, D>,
    ids: &[u32],
    padding: Option<u32>,
) -> Result<Tokens<E, D, T>, OpError> {
    let &[rows, features] = &table.dims[..] else {
        return Err(OpError::shape(OP, "a table [rows, features]", format!("{:?}", table.dims)));
    };
    if let Some(id) = ids.iter().find(|&&id| id as usize >= rows) {
        return Err(OpError::shape(OP, format!("ids below {rows}"), id.to_string()));
    }
    let out = device.embedding(&table.value, features, ids).map_err(OpError::device(OP))?;
    let mut tape = T::default();
    if T::OWNS_TAPE && table.needs_grad {
        let (dev, ids): (_, Arc<[u32]>) = (device.clone(), ids.into());
        let (table, ghost) = (table.value.ghost(), out.ghost());
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            dev.embedding_backward(features, &ids, padding, &gradient, grads.get_or_alloc_mut(&table)?)
        });
    }
    Ok(out.put_tape(tape))
}
