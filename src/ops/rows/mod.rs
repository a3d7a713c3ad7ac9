//! Rows in another order, or some of them: windows that are cut out of a grid, patches, the first token of each sample.
//!
//! Invariant: a row that is taken several times gets the gradients in the order in which it was taken.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError, Tokens};

const OP: &str = "gather rows";

/// Which rows of a sample are taken, in their new order; the same for every sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    rows: Arc<[u32]>,
    /// Rows of one sample before.
    of: usize,
    /// Whether no row is taken twice.
    distinct: bool,
}

impl Index {
    /// The given rows of every `of`.
    ///
    /// # Errors
    /// [`OpError::Shape`] if a row is not below `of`.
    pub fn new(rows: Vec<u32>, of: usize) -> Result<Self, OpError> {
        let mut seen = vec![false; of];
        let mut distinct = true;
        for &row in &rows {
            let Some(seen) = seen.get_mut(row as usize) else {
                return Err(OpError::shape(OP, format!("rows below {of}"), row.to_string()));
            };
            distinct &= !std::mem::replace(seen, true);
        }
        Ok(Index { rows: rows.into(), of, distinct })
    }

    /// The order that puts the rows back; of rows that are all taken once.
    ///
    /// # Errors
    /// [`OpError::Shape`] if a row is taken twice or never.
    pub fn inverse(&self) -> Result<Self, OpError> {
        if !self.distinct || self.rows.len() != self.of {
            let expected = format!("each of {} rows once", self.of);
            return Err(OpError::shape(OP, expected, format!("{} rows", self.rows.len())));
        }
        let mut rows = vec![0; self.of];
        for (place, &row) in (0..).zip(&self.rows[..]) {
            rows[row as usize] = place;
        }
        Ok(Index { rows: rows.into(), of: self.of, distinct: true })
    }

    /// The rows that are taken of one sample.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }
}

/// The kernels of [`gather_rows`].
pub trait GatherRows<E: Real>: Storage<E> {
    /// The rows of the index, sample by sample; the tokens are whole samples.
    ///
    /// # Errors
    /// If the device fails.
    fn gather_rows(&self, x: &Tokens<E, Self>, index: &Index) -> Result<Tokens<E, Self>, Self::Err>;

    /// Adds to the gradient of the rows that were taken; `gradient` is that of the output, `features` wide.
    ///
    /// # Errors
    /// If the device fails.
    fn gather_rows_backward(
        &self,
        index: &Index,
        features: usize,
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), Self::Err>;
}

/// The rows of the index, of each sample.
///
/// # Errors
/// [`OpError::Shape`] if the rows are no whole samples; [`OpError::Device`] if the device fails.
pub fn gather_rows<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Tokens<E, D, T>,
    index: &Index,
) -> Result<Tokens<E, D, T>, OpError> {
    let &(rows, features) = x.shape();
    if index.of == 0 || features == 0 || !rows.is_multiple_of(index.of) {
        let expected = format!("a multiple of {} rows", index.of);
        return Err(OpError::shape(OP, expected, format!("{rows} x {features}")));
    }
    let (x, mut tape) = x.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let dev = x.device().clone();
    let out = dev.gather_rows(&x, index).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let (x, ghost, index) = (x.ghost(), out.ghost(), index.clone());
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            dev.gather_rows_backward(&index, features, &gradient, grads.get_or_alloc_mut(&x)?)
        });
    }
    Ok(out.put_tape(tape))
}
