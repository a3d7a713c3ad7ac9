//! [`TokenLinear`] on the CPU: three products of matrices.

use dfdx::prelude::*;

use super::{TokenLinear, TokenLinearGradients};
use crate::device::{self, Storage1};
use crate::ops::Tokens;
use crate::ops::kernel::matmul::{Base, Matmul, Order};
use crate::ops::parallel::for_each_chunk;
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

impl<E: Real> TokenLinear<E> for Cpu {
    fn token_linear(
        &self,
        x: &Tokens<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        bias: Option<&Tensor<(usize,), E, Self>>,
        outputs: usize,
    ) -> Result<Tokens<E, Self>, CpuError> {
        let &(rows, inputs) = x.shape();
        let base = bias.map_or(Base::Zero, |bias| Base::Row(device::read(bias)));
        let left = (device::read(x), Order::Rows);
        let right = (device::read(weight), Order::Columns);
        let out = Matmul { left, right, base, sizes: [rows, inputs, outputs] }.product();
        self.try_tensor_from_vec(out, (rows, outputs))
    }

    fn token_linear_backward(
        &self,
        x: &Tokens<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        gradient: &Storage1<Self, E>,
        into: TokenLinearGradients<'_, Storage1<Self, E>>,
    ) -> Result<(), CpuError> {
        let &(rows, inputs) = x.shape();
        let outputs = gradient.len().checked_div(rows).unwrap_or(0);
        if outputs == 0 || inputs == 0 {
            return Ok(());
        }
        let x = device::read(x);
        let weight = (device::read(weight), Order::Rows);
        let gradients = |order| (&gradient[..], order);
        if let Some(sums) = into.x {
            let left = gradients(Order::Rows);
            Matmul { left, right: weight, base: Base::Existing, sizes: [rows, outputs, inputs] }.add_to(sums);
        }
        if let Some(sums) = into.weight {
            let (left, right) = (gradients(Order::Columns), (x, Order::Rows));
            Matmul { left, right, base: Base::Existing, sizes: [outputs, rows, inputs] }.add_to(sums);
        }
        if let Some(sums) = into.bias {
            for_each_chunk(sums, 64, rows * outputs, |first, sums| {
                E::dispatch(Columns { matrix: &gradient[first..], stride: outputs, sums });
            });
        }
        Ok(())
    }
}

/// Adds up each column, in the order of the rows.
struct Columns<'a, E> {
    matrix: &'a [E],
    stride: usize,
    sums: &'a mut [E],
}

impl<E: Real> Kernel<E> for Columns<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        for row in self.matrix.chunks(self.stride) {
            // The last row is cut short in all parts but the first: `matrix` begins at a column.
            let row = &row[..self.sums.len().min(row.len())];
            for (sums, row) in self.sums.chunks_mut(LANES).zip(row.chunks(LANES)) {
                V::read(sums).add(V::read(row)).write(sums);
            }
        }
    }
}
