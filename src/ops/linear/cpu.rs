//! [`Linear`] on the CPU: [`project`] forward and for the input gradient, [`correlate`] for weight and bias.

use dfdx::prelude::*;

use super::{Activation, Linear, LinearGradients};
use crate::device::{self, Storage1};
use crate::ops::Series;
use crate::ops::kernel::{Layout, Operands, Pairs, Start, Term, Window, correlate, project};
use crate::ops::parallel::for_each_chunk;
use crate::ops::simd::Real;

impl<E: Real> Linear<E> for Cpu {
    fn linear(
        &self,
        x: &Series<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        bias: &Tensor<(usize,), E, Self>,
        activation: Activation,
    ) -> Result<Series<E, Self>, CpuError> {
        let &(steps, inputs, batch) = x.shape();
        let outputs = bias.shape().0;
        let (weight, bias) = (device::read(weight), device::read(bias));
        let mut out = vec![E::ZERO; steps * outputs * batch];
        let terms = Term::strided(inputs, 1, batch);
        for (x, out) in device::read(x).chunks(inputs * batch).zip(out.chunks_mut(outputs * batch)) {
            for_each_chunk(out, 2 * batch, outputs * inputs * batch, |first, out| {
                let (first, outputs) = (first / batch, out.len() / batch);
                let operands = Operands {
                    weights: &weight[first * inputs..],
                    row_stride: inputs,
                    terms: &terms,
                    input: x,
                };
                project(
                    operands,
                    Start::Bias(&bias[first..]),
                    out,
                    Layout { outputs, stride: batch, run: batch },
                );
                if let Some(slope) = activation.negative_slope() {
                    let slope = E::of(slope);
                    for y in out {
                        // Written so that a NaN stays one.
                        if *y <= E::ZERO {
                            *y = slope * *y;
                        }
                    }
                }
            });
        }
        self.try_tensor_from_vec(out, (steps, outputs, batch))
    }

    fn linear_backward(
        &self,
        x: &Series<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        out: &Series<E, Self>,
        activation: Activation,
        mut gradient: Storage1<Self, E>,
        into: LinearGradients<'_, Storage1<Self, E>>,
    ) -> Result<(), CpuError> {
        let &(steps, inputs, batch) = x.shape();
        let outputs = out.shape().1;
        let (x, weight) = (device::read(x), device::read(weight));
        if let Some(slope) = activation.negative_slope() {
            let slope = E::of(slope);
            for (gradient, &y) in gradient.iter_mut().zip(device::read(out)) {
                *gradient = if y > E::ZERO { *gradient } else { slope * *gradient };
            }
        }
        let work = outputs * inputs * batch;
        let terms = Term::strided(outputs, inputs, batch);
        for (gradient, sums) in gradient.chunks(outputs * batch).zip(into.x.chunks_mut(inputs * batch)) {
            for_each_chunk(sums, 2 * batch, work, |first, sums| {
                let (first, inputs) = (first / batch, sums.len() / batch);
                let operands =
                    Operands { weights: &weight[first..], row_stride: 1, terms: &terms, input: gradient };
                project(
                    operands,
                    Start::Existing,
                    sums,
                    Layout { outputs: inputs, stride: batch, run: batch },
                );
            });
        }
        let window = Window {
            rows: steps,
            run: batch,
            gradient_stride: outputs * batch,
            input_stride: inputs * batch,
        };
        if let Some(sums) = into.weight {
            let terms = Term::strided(inputs, 1, batch);
            for_each_chunk(sums, 3 * inputs, steps * work, |first, sums| {
                let (first, outputs) = (first / inputs, sums.len() / inputs);
                let pairs = Pairs { outputs, gradient_stride: batch, weight_stride: inputs };
                correlate(&gradient[first * batch..], x, &terms, window, sums, pairs);
            });
        }
        if let Some(sums) = into.bias {
            let ones = vec![<E as Real>::ONE; batch];
            let pairs = Pairs { outputs, gradient_stride: batch, weight_stride: 1 };
            let window = Window { input_stride: 0, ..window };
            correlate(&gradient, &ones, &[Term { weight: 0, input: 0 }], window, sums, pairs);
        }
        Ok(())
    }
}
