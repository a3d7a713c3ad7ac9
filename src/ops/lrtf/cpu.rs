//! Low-rank tensor fusion on CPU: one product per rank and modality, parallel over ranks.

use dfdx::prelude::*;
use rayon::prelude::*;

use super::{LowRankFusion, Projections, Sizes, Totals, Values};
use crate::device::{self, Storage1};
use crate::ops::Features;
use crate::ops::kernel::{Layout, Operands, Pairs, Start, Term, Window, correlate, project};
use crate::ops::scratch::Scratch;
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// Rows of features or outputs that one thread works on at a time.
const ROWS: usize = 24;

impl<E: Real> LowRankFusion<E> for Cpu {
    fn fusion_forward(
        &self,
        sizes: Sizes,
        inputs: [&Features<E, Cpu>; 2],
        values: &Values<E, Cpu>,
        projections: &mut Projections<E, Cpu>,
        out: &mut Features<E, Cpu>,
    ) -> Result<(), CpuError> {
        let Sizes { outputs, batch, .. } = sizes;
        let [first, second, weights, bias] = values.each_ref().map(device::read);
        let layout = Layout { outputs, stride: batch, run: batch };
        for (m, factor) in [first, second].into_iter().enumerate() {
            let (input, features) = (device::read(inputs[m]), sizes.features[m]);
            let terms = Term::strided(features, outputs, batch);
            device::write(&mut projections[m])
                .par_chunks_mut(outputs * batch)
                .zip(factor.par_chunks((features + 1) * outputs))
                .for_each(|(out, factor)| {
                    // The first row belongs to the one that stands before the features.
                    let (ones, weights) = factor.split_at(outputs);
                    let operands = Operands { weights, row_stride: 1, terms: &terms, input };
                    project(operands, Start::Bias(ones), out, layout);
                });
        }
        let [first, second] = projections.each_ref().map(device::read);
        device::write(out).par_chunks_mut(ROWS * batch).enumerate().for_each(|(block, out)| {
            for (row, &beta) in out.chunks_exact_mut(batch).zip(&bias[block * ROWS..]) {
                row.fill(beta);
            }
            let from = block * ROWS * batch;
            E::dispatch(Fuse { weights, first, second, plane: outputs * batch, from, out });
        });
        Ok(())
    }

    fn fusion_backward(
        &self,
        sizes: Sizes,
        inputs: [&Features<E, Cpu>; 2],
        values: &Values<E, Cpu>,
        projections: &Projections<E, Cpu>,
        gradient: &Storage1<Cpu, E>,
        totals: Totals<'_, E, Cpu>,
    ) -> Result<(), CpuError> {
        let Sizes { outputs, batch, .. } = sizes;
        let [first, second, weights, _] = values.each_ref().map(device::read);
        let projections = projections.each_ref().map(device::read);
        let [to_first_factor, to_second_factor, to_weights, to_bias] = totals.parameters;
        if let Some(total) = to_bias {
            let window = Window { rows: 1, run: batch, gradient_stride: 0, input_stride: 0 };
            let pairs = Pairs { outputs, gradient_stride: batch, weight_stride: 1 };
            correlate(gradient, &vec![E::of(1.0); batch], &[Term::at(0, 0)], window, total, pairs);
        }
        if let Some(total) = to_weights {
            let [first, second] = projections.map(|projection| projection.par_chunks_exact(outputs * batch));
            (total.par_iter_mut(), first, second).into_par_iter().for_each(|(total, first, second)| {
                *total += E::dispatch(TripleProduct { gradient, first, second });
            });
        }
        let to_factors = [to_first_factor, to_second_factor];
        let modalities = [first, second].into_iter().zip(to_factors).zip(totals.features);
        for (m, ((factor, to_factor), to_features)) in modalities.enumerate() {
            let other = projections[1 - m];
            let mut to_projection = Scratch::of(other.len());
            to_projection.par_chunks_mut(outputs * batch).enumerate().for_each(|(r, out)| {
                let other = &other[r * outputs * batch..][..outputs * batch];
                E::dispatch(ScaledProduct { scale: weights[r], gradient, other, out });
            });
            let features = sizes.features[m];
            if let Some(total) = to_factor {
                add_factor_gradient(sizes, features, device::read(inputs[m]), &to_projection, total);
            }
            add_feature_gradient(sizes, features, factor, &to_projection, to_features);
        }
        Ok(())
    }
}

/// total[r, i, o] += sum_n z[i, n] to_projection[r, o, n], vectorised over o, which is why each plane is turned.
fn add_factor_gradient<E: Real>(
    sizes: Sizes,
    features: usize,
    input: &[E],
    to_projection: &[E],
    total: &mut [E],
) {
    let Sizes { outputs, batch, .. } = sizes;
    let terms = Term::strided(batch, 1, outputs);
    let ones = vec![E::of(1.0); batch];
    let planes = to_projection.par_chunks(outputs * batch);
    total.par_chunks_mut((features + 1) * outputs).zip(planes).for_each(|(total, plane)| {
        let turned = transpose(plane, outputs, batch);
        let (to_one, to_features) = total.split_at_mut(outputs);
        let operands = Operands { weights: &ones, row_stride: batch, terms: &terms, input: &turned };
        let layout = Layout { outputs: 1, stride: outputs, run: outputs };
        project(operands, Start::Existing, to_one, layout);
        let layout = Layout { outputs: features, ..layout };
        project(Operands { weights: input, ..operands }, Start::Existing, to_features, layout);
    });
}

/// total[i, n] += sum_r sum_o factor[r, i + 1, o] to_projection[r, o, n], ranks in order.
fn add_feature_gradient<E: Real>(
    sizes: Sizes,
    features: usize,
    factor: &[E],
    to_projection: &[E],
    total: &mut [E],
) {
    let Sizes { rank, outputs, batch, .. } = sizes;
    let terms = Term::strided(outputs, 1, batch);
    total.par_chunks_mut(ROWS * batch).enumerate().for_each(|(block, total)| {
        let layout = Layout { outputs: total.len() / batch, stride: batch, run: batch };
        for r in 0..rank {
            let weights = &factor[(r * (features + 1) + 1 + block * ROWS) * outputs..];
            let input = &to_projection[r * outputs * batch..][..outputs * batch];
            let operands = Operands { weights, row_stride: outputs, terms: &terms, input };
            project(operands, Start::Existing, total, layout);
        }
    });
}

/// Rows x columns becomes columns x rows.
fn transpose<E: Real>(from: &[E], rows: usize, columns: usize) -> Scratch<E> {
    let mut to = Scratch::of(from.len());
    for (i, row) in from.chunks_exact(columns).enumerate() {
        for (j, &value) in row.iter().enumerate() {
            to[j * rows + i] = value;
        }
    }
    to
}

/// `out[j] += sum_r weights[r] first[r][from + j] second[r][from + j]`, ranks in order.
struct Fuse<'a, E> {
    weights: &'a [E],
    first: &'a [E],
    second: &'a [E],
    plane: usize,
    from: usize,
    out: &'a mut [E],
}

impl<E: Real> Kernel<E> for Fuse<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        for (index, out) in self.out.chunks_mut(LANES).enumerate() {
            let mut sum = V::read(out);
            for (r, &weight) in self.weights.iter().enumerate() {
                let begin = r * self.plane + self.from + index * LANES;
                let place = begin..begin + out.len();
                let product = V::read(&self.first[place.clone()]).mul(V::read(&self.second[place]));
                sum = V::splat(weight).mul_add(product, sum);
            }
            sum.write(out);
        }
    }
}

/// The sum of `gradient * first * second`, in one chain per lane.
struct TripleProduct<'a, E> {
    gradient: &'a [E],
    first: &'a [E],
    second: &'a [E],
}

impl<E: Real> Kernel<E> for TripleProduct<'_, E> {
    type Output = E;

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) -> E {
        let mut sum = V::zero();
        let planes = self.first.chunks(LANES).zip(self.second.chunks(LANES));
        for (gradient, (first, second)) in self.gradient.chunks(LANES).zip(planes) {
            sum = V::read(gradient).mul_add(V::read(first).mul(V::read(second)), sum);
        }
        sum.sum()
    }
}

/// `out = scale * gradient * other`.
struct ScaledProduct<'a, E> {
    scale: E,
    gradient: &'a [E],
    other: &'a [E],
    out: &'a mut [E],
}

impl<E: Real> Kernel<E> for ScaledProduct<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let scale = V::splat(self.scale);
        let operands = self.gradient.chunks(LANES).zip(self.other.chunks(LANES));
        for (out, (gradient, other)) in self.out.chunks_mut(LANES).zip(operands) {
            V::read(gradient).mul(scale).mul(V::read(other)).write(out);
        }
    }
}
