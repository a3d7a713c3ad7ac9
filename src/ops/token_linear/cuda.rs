//! [`TokenLinear`](super::TokenLinear) on a GPU: three products of matrices in tiles, and the sums over tokens of `kernel/columns.cu`.
//!
//! Invariant: how a product is cut depends on its sizes alone.
#![allow(unsafe_code)]

use cudarc::driver::{DevicePtr, DevicePtrMut};
use dfdx::prelude::*;

use super::TokenLinearGradients;
use crate::device::Storage1;
use crate::device::cuda::{Address, GpuError, Grid, address, arguments, count, launch, uninitialised};
use crate::ops::Tokens;
use crate::ops::cuda::launched;
use crate::ops::kernel::columns::column_sums;
use crate::ops::kernel::tile::{Cut, SLICE, THREADS, in_parts};

arguments! {
    /// See `token_linear.cu`.
    struct TokenLinear {
        rows: Address,
        columns: Address,
        bias: Address,
        out: Address,
        row_count: u32,
        column_count: u32,
        terms: u32,
        row_stride: u32,
        column_stride: u32,
        splits: u32,
        accumulate: u32,
        wide: u32,
    }
}

/// A product of matrices: its sizes, and how they stand in memory.
#[derive(Clone, Copy)]
struct Product {
    kernel: &'static str,
    rows: usize,
    columns: usize,
    terms: usize,
    strides: [usize; 2],
}

impl Product {
    fn cut(self) -> Cut {
        Cut::of([self.rows, self.columns], 1, self.terms.div_ceil(SLICE))
    }

    /// Computes it, or adds it to what is in `out`.
    fn launch(
        self,
        [rows, columns, bias]: [Address; 3],
        out: Address,
        accumulate: bool,
    ) -> Result<(), GpuError> {
        if self.rows == 0 || self.columns == 0 {
            return Ok(());
        }
        count(|counts| counts.multiply_adds += (self.rows * self.columns * self.terms) as u64);
        let cut = self.cut();
        let [row_stride, column_stride] = self.strides;
        in_parts(cut.splits, self.rows * self.columns, out, accumulate, |out, accumulate| {
            let arguments = TokenLinear {
                rows,
                columns,
                bias,
                out,
                row_count: self.rows as u32,
                column_count: self.columns as u32,
                terms: self.terms as u32,
                row_stride: row_stride as u32,
                column_stride: column_stride as u32,
                splits: cut.splits as u32,
                accumulate,
                wide: u32::from(self.terms.is_multiple_of(4)),
            };
            let blocks = [cut.tiles as u32, cut.splits as u32, 1];
            launch(self.kernel, Grid { blocks, threads: [THREADS, 1, 1], shared: 0 }, arguments)
        })
    }
}

/// The products of a layer: the output, the tokens' gradient, and that of the weight.
fn products(tokens: usize, inputs: usize, outputs: usize) -> [Product; 3] {
    let product = |kernel, [rows, columns, terms]: [usize; 3], strides| Product {
        kernel,
        rows,
        columns,
        terms,
        strides,
    };
    [
        product("token_linear", [tokens, outputs, inputs], [inputs, inputs]),
        product("token_linear_tokens", [tokens, inputs, outputs], [outputs, inputs]),
        product("token_linear_weight", [outputs, inputs, tokens], [outputs, inputs]),
    ]
}

impl super::TokenLinear<f32> for Cuda {
    fn token_linear(
        &self,
        x: &Tokens<f32, Self>,
        weight: &Tensor<(usize,), f32, Self>,
        bias: Option<&Tensor<(usize,), f32, Self>>,
        outputs: usize,
    ) -> Result<Tokens<f32, Self>, CudaError> {
        let &(tokens, inputs) = x.shape();
        let out = uninitialised(|| self.try_zeros_like(&(tokens, outputs)))?;
        let [output, ..] = products(tokens, inputs, outputs);
        let operands = [address(x), address(weight), bias.map_or(0, address)];
        launched(output.launch(operands, address(&out), false))?;
        Ok(out)
    }

    fn token_linear_backward(
        &self,
        x: &Tokens<f32, Self>,
        weight: &Tensor<(usize,), f32, Self>,
        gradient: &Storage1<Self, f32>,
        into: TokenLinearGradients<'_, Storage1<Self, f32>>,
    ) -> Result<(), CudaError> {
        let &(tokens, inputs) = x.shape();
        if inputs == 0 {
            return Ok(());
        }
        let outputs = weight.shape().0 / inputs;
        let gradient = *gradient.device_ptr();
        let [_, for_tokens, for_weight] = products(tokens, inputs, outputs);
        if let Some(sums) = into.x {
            launched(for_tokens.launch([gradient, address(weight), 0], *sums.device_ptr_mut(), true))?;
        }
        if let Some(sums) = into.weight {
            launched(for_weight.launch([gradient, address(x), 0], *sums.device_ptr_mut(), true))?;
        }
        let bias = into.bias.map(|bias| *bias.device_ptr_mut());
        launched(column_sums(gradient, [tokens, outputs], bias, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::kernel::tile::{COLUMNS, MANY_SLICES, ROWS};
    use crate::ops::parity::{CASES, Case, TokenCase};

    #[test]
    fn layers_of_fiber_keep_a_gpu_busy_and_no_chain_is_long() {
        // Swin's first and third stage at 384 pixels, RoBERTa; four examples.
        for (tokens, inputs, outputs) in [(36_864, 128, 512), (2304, 512, 1536), (160, 768, 3072)] {
            for product in products(tokens, inputs, outputs) {
                let cut = product.cut();
                assert!(cut.tiles * cut.splits >= 132, "{tokens} {inputs} {outputs}: {cut:?}");
                assert!(product.terms.div_ceil(SLICE * cut.splits) <= MANY_SLICES);
            }
        }
    }

    /// The doctor and the emulator compare these with the CPU.
    #[test]
    fn parity_takes_every_way_through_the_products() {
        let cases: Vec<_> = CASES
            .iter()
            .filter_map(|case| match *case {
                Case::Tokens(TokenCase::Linear([tokens, inputs, outputs], biased)) => {
                    Some((products(tokens, inputs, outputs), biased))
                }
                _ => None,
            })
            .collect();
        for number in 0..3 {
            let some = |what: &str, holds: &dyn Fn(Product) -> bool| {
                let found = cases.iter().any(|(products, _)| holds(products[number]));
                assert!(found, "no case of parity has {what} in product {number}");
            };
            some("shared sums", &|product| product.cut().splits > 1);
            some("sums of one block", &|product| product.cut().splits == 1);
            some("terms in fours", &|product| product.terms.is_multiple_of(4));
            some("terms that are no fours", &|product| !product.terms.is_multiple_of(4));
            some("several tiles, not all full", &|product| {
                product.cut().tiles > 1 && (product.rows % ROWS, product.columns % COLUMNS) != (0, 0)
            });
        }
        assert!(cases.iter().any(|(products, biased)| *biased && products[0].cut().splits > 1));
    }
}
