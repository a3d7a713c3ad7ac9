//! [`Transpose`] on the CPU: some rows of the output at a time.

use dfdx::prelude::*;

use super::Transpose;
use crate::device::{self, Storage1};
use crate::ops::kernel::{transpose_add, transpose_strided};
use crate::ops::parallel::for_each_chunk;
use crate::ops::simd::Real;
use crate::ops::{Features, Tokens};

/// Rows of the output in the smallest part.
const ROWS: usize = 16;

impl<E: Real> Transpose<E> for Cpu {
    fn transpose(&self, x: &Tokens<E, Self>) -> Result<Features<E, Self>, CpuError> {
        let &(rows, columns) = x.shape();
        let x = device::read(x);
        let mut out = vec![E::ZERO; rows * columns];
        for_each_chunk(&mut out, (ROWS * rows).max(1), rows * columns, |first, out| {
            transpose_strided(&x[first / rows..], columns, [rows, out.len() / rows], out);
        });
        self.try_tensor_from_vec(out, (columns, rows))
    }

    fn transpose_backward(
        &self,
        [rows, columns]: [usize; 2],
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), CpuError> {
        for_each_chunk(into, (ROWS * columns).max(1), rows * columns, |first, into| {
            transpose_add(&gradient[first / columns..], rows, [columns, into.len() / columns], into);
        });
        Ok(())
    }
}
