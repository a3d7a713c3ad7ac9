//! [`TokenLinear`] on the CPU: three products of matrices.

use dfdx::prelude::*;

use super::{TokenLinear, TokenLinearGradients};
use crate::device::{self, Storage1};
use crate::ops::Tokens;
use crate::ops::kernel::{Base, Order, Panels, transposed};
use crate::ops::parallel::for_each_chunk;
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// Tokens whose products are added to the gradient of a weight at a time: their packed copies stay small.
const TOKENS: usize = 2048;

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
        let mut out = vec![E::ZERO; rows * outputs];
        Panels::pack(device::read(weight), [inputs, outputs], Order::Transposed).multiply(
            device::read(x),
            base,
            &mut out,
            rows,
        );
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
        Panels::pack(device::read(weight), [outputs, inputs], Order::Rows).multiply(
            gradient,
            Base::Existing,
            into.x,
            rows,
        );
        if let Some(sums) = into.weight {
            for (x, gradient) in x.chunks(TOKENS * inputs).zip(gradient.chunks(TOKENS * outputs)) {
                let rows = x.len() / inputs;
                let gradient = transposed(gradient, [rows, outputs]);
                Panels::pack(x, [rows, inputs], Order::Rows).multiply(
                    &gradient,
                    Base::Existing,
                    sums,
                    outputs,
                );
            }
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
