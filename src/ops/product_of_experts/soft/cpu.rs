//! The loss of soft targets on CPU: eight examples at a time.

use dfdx::prelude::*;

use super::SoftTargets;
use crate::device::{self, Storage1};
use crate::ops::Features;
use crate::ops::product_of_experts::cpu::{LogProbabilities, row};
use crate::ops::simd::{Kernel, LANES, Lanes, Real};
use crate::ops::simd::{sigmoid, softplus};

impl<E: Real> SoftTargets<E> for Cpu {
    fn soft_forward(
        &self,
        experts: &[&Features<E, Cpu>],
        targets: &Features<E, Cpu>,
        logits: &mut Features<E, Cpu>,
    ) -> Result<Tensor<Rank0, E, Cpu>, CpuError> {
        let (_, examples) = *targets.shape();
        let experts: Vec<&[E]> = experts.iter().map(|logits| device::read(*logits)).collect();
        let (targets, logits) = (device::read(targets), device::write(logits));
        match experts[..] {
            [expert] => logits.copy_from_slice(expert),
            _ => E::dispatch(LogProbabilities { experts: &experts, examples, out: &mut *logits }),
        }
        let total = E::dispatch(Loss { logits, targets, examples });
        self.try_tensor(E::of(total / examples as f64))
    }

    fn soft_backward(
        &self,
        logits: &Features<E, Cpu>,
        targets: &Features<E, Cpu>,
        loss_gradient: &Storage1<Cpu, E>,
        gradients: &mut [Storage1<Cpu, E>],
    ) -> Result<(), CpuError> {
        let (_, examples) = *targets.shape();
        let (logits, targets) = (device::read(logits), device::read(targets));
        let scale = E::of(loss_gradient[0].to_f64() / examples as f64);
        let mut gradient = vec![E::ZERO; logits.len()];
        let product = gradients.len() > 1;
        E::dispatch(Gradient { logits, targets, examples, product, scale, out: &mut gradient });
        for total in gradients {
            total.iter_mut().zip(&gradient).for_each(|(total, &gradient)| *total += gradient);
        }
        Ok(())
    }
}

/// The sum of `softplus(z) - t z`: of each example over its classes in order, then over the examples in order, all in `f64`.
struct Loss<'a, E> {
    logits: &'a [E],
    targets: &'a [E],
    examples: usize,
}

impl<E: Real> Kernel<E> for Loss<'_, E> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) -> f64 {
        let Loss { logits, targets, examples } = self;
        let classes = logits.len() / examples.max(1);
        let (zero, one) = (V::zero(), V::splat(<E as Real>::ONE));
        let mut total = 0.0;
        for first in (0..examples).step_by(LANES) {
            let columns = first..(first + LANES).min(examples);
            let mut sums = [0.0; LANES];
            for k in 0..classes {
                let z = V::read(&logits[row(k, examples, &columns)]);
                let t = V::read(&targets[row(k, examples, &columns)]);
                let minus_z = zero.sub(z);
                let magnitude = z.max(minus_z);
                // softplus(z) - t z = softplus(-|z|) + |z| (1 - t where z is positive, else t): nothing large is taken
                // from something large.
                let share = z.if_greater(zero, one.sub(t), t);
                let loss = share.mul_add(magnitude, softplus(zero.sub(magnitude)));
                for (sum, loss) in sums.iter_mut().zip(loss.to_array()) {
                    *sum += loss.to_f64();
                }
            }
            for sum in &sums[..columns.len()] {
                total += sum;
            }
        }
        total
    }
}

/// `out = scale (r - p sum_k r_k)` with `r = sigmoid(z) - t` and `p = exp(z)` for a product, and `scale r` for one expert.
struct Gradient<'a, E> {
    logits: &'a [E],
    targets: &'a [E],
    examples: usize,
    product: bool,
    scale: E,
    out: &'a mut [E],
}

impl<E: Real> Kernel<E> for Gradient<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let Gradient { logits, targets, examples, product, scale, out } = self;
        let classes = logits.len() / examples.max(1);
        let (zero, scale) = (V::zero(), V::splat(scale));
        for first in (0..examples).step_by(LANES) {
            let columns = first..(first + LANES).min(examples);
            let mut sum = V::zero();
            for k in 0..classes {
                let z = V::read(&logits[row(k, examples, &columns)]);
                let residual = sigmoid(z).sub(V::read(&targets[row(k, examples, &columns)]));
                sum = sum.add(residual);
                residual.write(&mut out[row(k, examples, &columns)]);
            }
            let minus_sum = zero.sub(sum);
            for k in 0..classes {
                let out = &mut out[row(k, examples, &columns)];
                let mut residual = V::read(out);
                if product {
                    let probability = E::exp(V::read(&logits[row(k, examples, &columns)]));
                    residual = probability.mul_add(minus_sum, residual);
                }
                residual.mul(scale).write(out);
            }
        }
    }
}
