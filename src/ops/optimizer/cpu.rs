//! The optimiser's kernels on CPU: one pass over value, gradient and state.

use dfdx::prelude::*;
use rayon::prelude::*;

use super::{Hyperparameters, Slot, StepStats, Update, bias_corrections};
use crate::device;
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// Elements whose squares are summed in lanes before the sum goes on in `f64`; part of the norm's definition.
const BLOCK: usize = 1024;
/// Elements of one parallel piece, a multiple of [`BLOCK`]; below two of them no other thread is woken.
const PIECE: usize = 32 * BLOCK;

/// What one update of one tensor needs.
#[derive(Clone, Copy)]
struct Scales<E> {
    /// Factor of the gradient.
    clip: E,
    learning_rate: E,
    weight_decay: E,
}

/// What one update by AdamW needs.
#[derive(Clone, Copy)]
struct AdamScales<E> {
    /// Factor of the gradient.
    clip: E,
    /// Factor of the parameter: what decay leaves.
    keep: E,
    /// See [`bias_corrections`].
    rate: E,
    root: E,
    /// Shares of the new gradient and of its square.
    admit: [E; 2],
    /// Share of the old mean of squares.
    keep_square: E,
}

impl<E: Real> AdamScales<E> {
    /// Of the step with number `t`.
    fn of(hyperparameters: &Hyperparameters, betas: [f64; 2], clip: E, t: f64) -> Self {
        let [rate, root] = bias_corrections(hyperparameters.learning_rate, betas, t);
        let keep = E::of(1.0 - hyperparameters.learning_rate * hyperparameters.weight_decay);
        let admit = betas.map(|beta| E::of(1.0 - beta));
        AdamScales { clip, keep, rate: E::of(rate), root: E::of(root), admit, keep_square: E::of(betas[1]) }
    }
}

impl<E: Real> Update<E> for Cpu {
    type Log = Vec<StepStats>;

    fn log(&self) -> Result<Vec<StepStats>, CpuError> {
        Ok(Vec::new())
    }

    fn update(
        &self,
        hyperparameters: &Hyperparameters,
        slots: &mut [Slot<'_, E, Cpu>],
        steps: Option<&mut Tensor<(usize,), E, Cpu>>,
        loss: &Tensor<Rank0, E, Cpu>,
        log: &mut Vec<StepStats>,
    ) -> Result<(), CpuError> {
        let loss = device::read(loss).first().map_or(f64::NAN, |&loss| loss.to_f64());
        let norm = libm::sqrt(slots.iter().map(|slot| sum_of_squares(&slot.gradient)).sum());
        log.push(StepStats { loss, norm });
        if !loss.is_finite() || !norm.is_finite() {
            return Ok(());
        }
        let clip = hyperparameters.clip_norm.map_or(1.0, |clip| (clip / (norm + 1e-6)).min(1.0));
        let scales = Scales {
            clip: E::of(clip),
            learning_rate: E::of(hyperparameters.learning_rate),
            weight_decay: E::of(hyperparameters.weight_decay),
        };
        let adam = match (steps.map(device::write), hyperparameters.rule.betas()) {
            (Some([steps]), Some(betas)) => {
                let t = steps.to_f64() + 1.0;
                *steps = E::of(t);
                Some(AdamScales::of(hyperparameters, betas, scales.clip, t))
            }
            _ => None,
        };
        for Slot { value, square, mean, gradient } in slots {
            let value = device::write(value);
            match (square, mean, adam) {
                (Some(square), Some(mean), Some(scales)) => {
                    adamw(value, [device::write(mean), device::write(square)], gradient, scales);
                }
                (Some(square), ..) => rmsprop(value, device::write(square), gradient, scales),
                (None, ..) => sgd(value, gradient, scales),
            }
        }
        Ok(())
    }

    fn step_stats(&self, log: &mut Vec<StepStats>) -> Result<Vec<StepStats>, CpuError> {
        Ok(std::mem::take(log))
    }
}

/// Over fixed blocks in order.
fn sum_of_squares<E: Real>(gradient: &[E]) -> f64 {
    let blocks = |piece: &[E]| E::dispatch(SumOfSquares(piece));
    let pieces: Vec<Vec<f64>> = if gradient.len() < 2 * PIECE {
        vec![blocks(gradient)]
    } else {
        gradient.par_chunks(PIECE).map(blocks).collect()
    };
    pieces.iter().flatten().sum()
}

fn sgd<E: Real>(value: &mut [E], gradient: &[E], scales: Scales<E>) {
    if value.len() < 2 * PIECE {
        return E::dispatch(Sgd { value, gradient, scales });
    }
    value
        .par_chunks_mut(PIECE)
        .zip(gradient.par_chunks(PIECE))
        .for_each(|(value, gradient)| E::dispatch(Sgd { value, gradient, scales }));
}

fn rmsprop<E: Real>(value: &mut [E], square: &mut [E], gradient: &[E], scales: Scales<E>) {
    if value.len() < 2 * PIECE {
        return E::dispatch(Rmsprop { value, square, gradient, scales });
    }
    (value.par_chunks_mut(PIECE), square.par_chunks_mut(PIECE), gradient.par_chunks(PIECE))
        .into_par_iter()
        .for_each(|(value, square, gradient)| E::dispatch(Rmsprop { value, square, gradient, scales }));
}

fn adamw<E: Real>(value: &mut [E], [mean, square]: [&mut [E]; 2], gradient: &[E], scales: AdamScales<E>) {
    if value.len() < 2 * PIECE {
        return E::dispatch(AdamW { value, mean, square, gradient, scales });
    }
    let state = mean.par_chunks_mut(PIECE).zip(square.par_chunks_mut(PIECE));
    (value.par_chunks_mut(PIECE), state, gradient.par_chunks(PIECE)).into_par_iter().for_each(
        |(value, (mean, square), gradient)| E::dispatch(AdamW { value, mean, square, gradient, scales }),
    );
}

/// Sums of squares of each block.
struct SumOfSquares<'a, E>(&'a [E]);

impl<E: Real> Kernel<E> for SumOfSquares<'_, E> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) -> Vec<f64> {
        let mut sums = Vec::with_capacity(self.0.len().div_ceil(BLOCK));
        for block in self.0.chunks(BLOCK) {
            let mut lanes = [V::zero(); 4];
            let mut groups = block.chunks_exact(4 * LANES);
            for group in &mut groups {
                for (i, lanes) in lanes.iter_mut().enumerate() {
                    let gradient = V::read(&group[i * LANES..(i + 1) * LANES]);
                    *lanes = gradient.mul_add(gradient, *lanes);
                }
            }
            for rest in groups.remainder().chunks(LANES) {
                let gradient = V::read(rest);
                lanes[0] = gradient.mul_add(gradient, lanes[0]);
            }
            let [a, b, c, d] = lanes;
            sums.push(a.add(b).add(c.add(d)).sum().to_f64());
        }
        sums
    }
}

struct Sgd<'a, E> {
    value: &'a mut [E],
    gradient: &'a [E],
    scales: Scales<E>,
}

impl<E: Real> Kernel<E> for Sgd<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let clip = V::splat(self.scales.clip);
        let decay = V::splat(self.scales.weight_decay);
        let rate = V::splat(-self.scales.learning_rate);
        for (value, gradient) in self.value.chunks_mut(LANES).zip(self.gradient.chunks(LANES)) {
            let p = V::read(value);
            let g = decay.mul_add(p, V::read(gradient).mul(clip));
            rate.mul_add(g, p).write(value);
        }
    }
}

struct Rmsprop<'a, E> {
    value: &'a mut [E],
    square: &'a mut [E],
    gradient: &'a [E],
    scales: Scales<E>,
}

impl<E: Real> Kernel<E> for Rmsprop<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let clip = V::splat(self.scales.clip);
        let decay = V::splat(self.scales.weight_decay);
        let rate = V::splat(-self.scales.learning_rate);
        let (keep, admit, epsilon) = (V::splat(E::of(0.99)), V::splat(E::of(0.01)), V::splat(E::of(1e-8)));
        let state = self.square.chunks_mut(LANES).zip(self.gradient.chunks(LANES));
        for (value, (square, gradient)) in self.value.chunks_mut(LANES).zip(state) {
            let p = V::read(value);
            let g = decay.mul_add(p, V::read(gradient).mul(clip));
            let v = admit.mul(g).mul_add(g, V::read(square).mul(keep));
            v.write(square);
            rate.mul_add(g.div(v.root().add(epsilon)), p).write(value);
        }
    }
}

struct AdamW<'a, E> {
    value: &'a mut [E],
    mean: &'a mut [E],
    square: &'a mut [E],
    gradient: &'a [E],
    scales: AdamScales<E>,
}

impl<E: Real> Kernel<E> for AdamW<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let AdamScales { clip, keep, rate, root, admit, keep_square } = self.scales;
        let (clip, keep, rate, root) = (V::splat(clip), V::splat(keep), V::splat(-rate), V::splat(root));
        let [admit_first, admit_second] = admit.map(V::splat);
        let (keep_second, epsilon) = (V::splat(keep_square), V::splat(E::of(1e-8)));
        let state = self.mean.chunks_mut(LANES).zip(self.square.chunks_mut(LANES));
        let values = self.value.chunks_mut(LANES).zip(self.gradient.chunks(LANES));
        for ((value, gradient), (mean, square)) in values.zip(state) {
            let g = V::read(gradient).mul(clip);
            let m = V::read(mean);
            let m = g.sub(m).mul_add(admit_first, m);
            let v = admit_second.mul(g).mul_add(g, V::read(square).mul(keep_second));
            m.write(mean);
            v.write(square);
            let step = m.div(v.root().mul_add(root, epsilon));
            rate.mul_add(step, V::read(value).mul(keep)).write(value);
        }
    }
}
