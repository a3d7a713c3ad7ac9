//! The product of experts on CPU: one pass over eight examples at a time.

use std::ops::Range;
use std::sync::Arc;

use dfdx::prelude::*;

use super::{Heads, HeadsLoss, ProductOfExperts};
use crate::device::{self, Storage1};
use crate::ops::Features;
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

impl<E: Real> ProductOfExperts<E> for Cpu {
    type Labels = Arc<[u32]>;

    fn labels(&self, labels: &[u32]) -> Result<Arc<[u32]>, CpuError> {
        Ok(labels.into())
    }

    fn product_forward(
        &self,
        experts: &[&Features<E, Cpu>],
        labels: &Arc<[u32]>,
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
        labels: &Arc<[u32]>,
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

    fn heads_forward(
        &self,
        experts: &[&Features<E, Cpu>],
        labels: &Arc<[u32]>,
        heads: &Heads<E, Cpu>,
        out: &mut Features<E, Cpu>,
    ) -> Result<HeadsLoss<E, Cpu>, CpuError> {
        let (_, examples) = *out.shape();
        let experts: Vec<&[E]> = experts.iter().map(|logits| device::read(*logits)).collect();
        let (weights, rows) = (device::read(&heads.weights), heads.classes * examples);
        let (mut losses, mut totals) = (Vec::with_capacity(heads.count), Vec::with_capacity(heads.count));
        for (head, out) in device::write(out).chunks_exact_mut(rows).enumerate() {
            let experts: Vec<&[E]> = experts.iter().map(|logits| &logits[head * rows..][..rows]).collect();
            E::dispatch(LogProbabilities { experts: &experts, examples, out: &mut *out });
            let weight = |y: usize| weights[head * heads.classes + y].to_f64();
            let classes = || labels.iter().map(|&label| class_of(label, head, heads.classes));
            let loss: f64 =
                classes().enumerate().map(|(n, y)| weight(y) * -out[y * examples + n].to_f64()).sum();
            let total: f64 = classes().map(weight).sum();
            losses.push(loss / total);
            totals.push(E::of(total));
        }
        let loss = self.try_tensor(E::of(losses.iter().sum()))?;
        Ok(HeadsLoss { loss, totals: self.try_tensor_from_vec(totals, (heads.count,))? })
    }

    fn heads_backward(
        &self,
        log_probabilities: &Features<E, Cpu>,
        labels: &Arc<[u32]>,
        (heads, totals): (&Heads<E, Cpu>, &Tensor<(usize,), E, Cpu>),
        loss_gradient: &Storage1<Cpu, E>,
        gradients: &mut [Storage1<Cpu, E>],
    ) -> Result<(), CpuError> {
        let (weights, totals) = (device::read(&heads.weights), device::read(totals));
        let (log_probabilities, examples) = (device::read(log_probabilities), labels.len());
        let rows = heads.classes * examples;
        let mut gradient = vec![E::ZERO; log_probabilities.len()];
        for (head, gradient) in gradient.chunks_exact_mut(rows).enumerate() {
            let log_probabilities = &log_probabilities[head * rows..][..rows];
            E::dispatch(Probabilities { log_probabilities, scale: <E as Real>::ONE, out: &mut *gradient });
            for (n, &label) in labels.iter().enumerate() {
                let y = class_of(label, head, heads.classes);
                let weight = weights[head * heads.classes + y].to_f64();
                let scale = E::of(loss_gradient[0].to_f64() * weight / totals[head].to_f64());
                for k in 0..heads.classes {
                    let place = &mut gradient[k * examples + n];
                    *place *= scale;
                    if k == y {
                        *place -= scale;
                    }
                }
            }
        }
        for total in gradients {
            total.iter_mut().zip(&gradient).for_each(|(total, &gradient)| *total += gradient);
        }
        Ok(())
    }
}

/// The class that a label gives to a head.
fn class_of(label: u32, head: usize, classes: usize) -> usize {
    (0..head).fold(label as usize, |rest, _| rest / classes) % classes
}

/// `out = log_softmax(sum_e (z_e - max z_e))` down each column; every slice is classes x examples.
pub(super) struct LogProbabilities<'a, E> {
    pub(super) experts: &'a [&'a [E]],
    pub(super) examples: usize,
    pub(super) out: &'a mut [E],
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
pub(super) fn row(k: usize, examples: usize, columns: &Range<usize>) -> Range<usize> {
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
