//! The product of experts on CPU: one pass over eight examples at a time.

use std::ops::Range;
use std::sync::Arc;

use dfdx::prelude::*;

use super::ProductOfExperts;
use crate::device::{self, Storage1};
use crate::ops::Features;
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

impl<E: Real> ProductOfExperts<E> for Cpu {
    type Labels = Arc<[u8]>;

    fn labels(&self, labels: &[u8]) -> Result<Arc<[u8]>, CpuError> {
        Ok(labels.into())
    }

    fn product_forward(
        &self,
        experts: &[&Features<E, Cpu>],
        labels: &Arc<[u8]>,
        out: &mut Features<E, Cpu>,
    ) -> Result<Tensor<Rank0, E, Cpu>, CpuError> {
        let (_, examples) = *out.shape();
        let experts: Vec<&[E]> = experts.iter().map(|logits| device::read(*logits)).collect();
        let out = device::write(out);
        E::dispatch(LogProbabilities { experts: &experts, examples, out });
        let total: f64 =
            labels.iter().enumerate().map(|(n, &y)| -out[y as usize * examples + n].to_f64()).sum();
        self.try_tensor(E::of(total / examples as f64))
    }

    fn product_backward(
        &self,
        log_probabilities: &Features<E, Cpu>,
        labels: &Arc<[u8]>,
        loss_gradient: &Storage1<Cpu, E>,
        gradients: &mut [Storage1<Cpu, E>],
    ) -> Result<(), CpuError> {
        let log_probabilities = device::read(log_probabilities);
        let scale = E::of(loss_gradient[0].to_f64() / labels.len() as f64);
        let mut gradient = vec![E::ZERO; log_probabilities.len()];
        E::dispatch(Probabilities { log_probabilities, scale, out: &mut gradient });
        for (n, &label) in labels.iter().enumerate() {
            let place = &mut gradient[label as usize * labels.len() + n];
            *place -= scale;
        }
        for total in gradients {
            total.iter_mut().zip(&gradient).for_each(|(total, &gradient)| *total += gradient);
        }
        Ok(())
    }
}

/// `out = log_softmax(sum_e (z_e - max z_e))` down each column; every slice is classes x examples.
struct LogProbabilities<'a, E> {
    experts: &'a [&'a [E]],
    examples: usize,
    out: &'a mut [E],
}

impl<E: Real> Kernel<E> for LogProbabilities<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let LogProbabilities { experts, examples, out } = self;
        let classes = out.len() / examples.max(1);
        for first in (0..examples).step_by(LANES) {
            let columns = first..(first + LANES).min(examples);
            for k in 0..classes {
                out[row(k, examples, &columns)].fill(E::ZERO);
            }
            for logits in experts {
                // The largest logit is taken off first: sums of large logits then lose nothing that matters.
                let mut largest = V::splat(E::of(f64::NEG_INFINITY));
                for k in 0..classes {
                    largest = largest.max(V::read(&logits[row(k, examples, &columns)]));
                }
                for k in 0..classes {
                    let relative = V::read(&logits[row(k, examples, &columns)]).sub(largest);
                    V::read(&out[row(k, examples, &columns)])
                        .add(relative)
                        .write(&mut out[row(k, examples, &columns)]);
                }
            }
            let mut largest = V::splat(E::of(f64::NEG_INFINITY));
            for k in 0..classes {
                largest = largest.max(V::read(&out[row(k, examples, &columns)]));
            }
            let mut sum = V::zero();
            for k in 0..classes {
                sum = sum.add(E::exp(V::read(&out[row(k, examples, &columns)]).sub(largest)));
            }
            let log_sum = E::ln(sum);
            for k in 0..classes {
                V::read(&out[row(k, examples, &columns)])
                    .sub(largest)
                    .sub(log_sum)
                    .write(&mut out[row(k, examples, &columns)]);
            }
        }
    }
}

/// The part of row `k` that holds the given columns.
#[inline(always)]
fn row(k: usize, examples: usize, columns: &Range<usize>) -> Range<usize> {
    k * examples + columns.start..k * examples + columns.end
}

/// `out = scale * exp(log_probabilities)`.
struct Probabilities<'a, E> {
    log_probabilities: &'a [E],
    scale: E,
    out: &'a mut [E],
}

impl<E: Real> Kernel<E> for Probabilities<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let scale = V::splat(self.scale);
        for (from, to) in self.log_probabilities.chunks(LANES).zip(self.out.chunks_mut(LANES)) {
            E::exp(V::read(from)).mul(scale).write(to);
        }
    }
}
