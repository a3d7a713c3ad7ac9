//! [`GroupNormRelu`] on the CPU, group by group.
//!
//! What belongs to one example stands `batch` elements apart. So sums are taken per position of a row (width x batch
//! neighbouring elements) over some rows, and then folded over the row's positions in `f64`; what is applied is laid out
//! as a row, too, once per channel. Both are as fast for one wide example as for many narrow ones.
//!
//! Invariant: the order of every sum follows from the shape alone.
#![allow(unsafe_code)]

use dfdx::prelude::*;

use super::{EPSILON, GroupNormRelu, Normalised};
use crate::device::{self, Storage1};
use crate::ops::Maps;
use crate::ops::norm_relu_pool::NormGradients;
use crate::ops::parallel::{Disjoint, for_each_range};
use crate::ops::scratch::Scratch;
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// Rows that are added up per position before the sums go on in `f64`.
const BLOCK: usize = 128;

impl<E: Real> GroupNormRelu<E> for Cpu {
    fn group_norm_relu(
        &self,
        x: &Maps<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        bias: &Tensor<(usize,), E, Self>,
        groups: usize,
    ) -> Result<Normalised<E, Self>, CpuError> {
        let shape = *x.shape();
        let size = Size::of(shape, groups);
        let (x, weight, bias) = (device::read(x), device::read(weight), device::read(bias));
        let mut statistics = vec![E::ZERO; 2 * groups * size.batch];
        let mut values = Vec::with_capacity(x.len());
        let (found, out) = (Disjoint::new(&mut statistics), Disjoint::spare(&mut values, x.len()));
        for_each_range(groups, x.len(), |range| {
            let mut rows = Scratch::of(2 * size.row);
            let (first, second) = rows.split_at_mut(size.row);
            for group in range {
                let maps = &x[group * size.group()..][..size.group()];
                // SAFETY: each group's statistics are written by one part.
                let [means, inverses] = [group, groups + group].map(|at| unsafe {
                    std::slice::from_raw_parts_mut(found.at(at * size.batch, size.batch), size.batch)
                });
                moments(maps, size, [&mut *first, &mut *second], means, inverses);
                for (i, map) in maps.chunks_exact(size.map()).enumerate() {
                    let channel = group * size.channels + i;
                    affine(weight[channel], bias[channel], means, inverses, first, second);
                    let out = out.at(channel * size.map(), size.map());
                    E::dispatch(Apply { map, scale: first, shift: second, out });
                }
            }
        });
        // SAFETY: `Apply` wrote every element of every channel.
        unsafe { values.set_len(x.len()) };
        let statistics = self.try_tensor_from_vec(statistics, (2 * groups * size.batch,))?;
        Ok(Normalised { out: self.try_tensor_from_vec(values, shape)?, statistics })
    }

    fn group_norm_relu_backward(
        &self,
        x: &Maps<E, Self>,
        [weight, bias]: [&Tensor<(usize,), E, Self>; 2],
        statistics: &Tensor<(usize,), E, Self>,
        gradient: &Storage1<Self, E>,
        into: NormGradients<'_, Storage1<Self, E>>,
    ) -> Result<(), CpuError> {
        let shape = *x.shape();
        let groups = statistics.shape().0 / (2 * shape.3);
        let size = Size::of(shape, groups);
        let (x, weight, bias) = (device::read(x), device::read(weight), device::read(bias));
        let (means, inverses) = device::read(statistics).split_at(groups * size.batch);
        // Of weight and bias.
        let mut totals = vec![[0.0; 2]; shape.0];
        let (out, x_gradient) = (Disjoint::new(&mut totals), Disjoint::new(into.x));
        for_each_range(groups, x.len(), |range| {
            let mut rows = Scratch::of(7 * size.row);
            for group in range {
                let of_group = group * size.batch..(group + 1) * size.batch;
                let back = Back {
                    x: &x[group * size.group()..][..size.group()],
                    gradient: &gradient[group * size.group()..][..size.group()],
                    weight: &weight[group * size.channels..][..size.channels],
                    bias: &bias[group * size.channels..][..size.channels],
                    means: &means[of_group.clone()],
                    inverses: &inverses[of_group],
                    size,
                };
                // SAFETY: each group is written by one part.
                let totals = unsafe {
                    let first = out.at(group * size.channels, size.channels);
                    std::slice::from_raw_parts_mut(first, size.channels)
                };
                // SAFETY: as above.
                let into = unsafe {
                    let first = x_gradient.at(group * size.group(), size.group());
                    std::slice::from_raw_parts_mut(first, size.group())
                };
                back.run(&mut rows, totals, into);
            }
        });
        for (into, which) in [(into.weight, 0), (into.bias, 1)] {
            let Some(into) = into else { continue };
            for (sum, totals) in into.iter_mut().zip(&totals) {
                *sum += E::of(totals[which]);
            }
        }
        Ok(())
    }
}

/// The sizes of a group.
#[derive(Clone, Copy)]
struct Size {
    channels: usize,
    height: usize,
    /// Elements of a row: width x batch.
    row: usize,
    batch: usize,
}

impl Size {
    fn of((channels, height, width, batch): (usize, usize, usize, usize), groups: usize) -> Self {
        Size { channels: channels / groups, height, row: width * batch, batch }
    }

    /// Elements of a channel.
    fn map(self) -> usize {
        self.height * self.row
    }

    /// Elements of a group.
    fn group(self) -> usize {
        self.channels * self.map()
    }

    /// Elements that one mean is over.
    fn count(self) -> f64 {
        (self.group() / self.batch) as f64
    }
}

/// Lays one value per example out as a row.
fn lay<E: Real>(row: &mut [E], values: &[E]) {
    if let [value] = values {
        row.fill(*value);
    } else {
        row.chunks_exact_mut(values.len()).for_each(|pixel| pixel.copy_from_slice(values));
    }
}

/// Sums per position of a row, folded: [`LANES`] sums per example, so that they do not wait for each other.
struct Folded {
    sums: Vec<f64>,
    batch: usize,
}

impl Folded {
    fn new(batch: usize) -> Self {
        Folded { sums: vec![0.0; LANES * batch], batch }
    }

    fn add<E: Real>(&mut self, row: &[E]) {
        for part in row.chunks(self.sums.len()) {
            for (sum, &value) in self.sums.iter_mut().zip(part) {
                *sum += value.to_f64();
            }
        }
    }

    /// The sum of an example.
    fn of(&self, example: usize) -> f64 {
        self.sums[example..].iter().step_by(self.batch).sum()
    }
}

/// Mean and `1 / sqrt(variance + epsilon)` of each example of a group, in two passes: what is squared is small.
fn moments<E: Real>(
    maps: &[E],
    size: Size,
    [sums, centre]: [&mut [E]; 2],
    means: &mut [E],
    inverses: &mut [E],
) {
    let (mut all, mut squares) = (Folded::new(size.batch), Folded::new(size.batch));
    for rows in maps.chunks(BLOCK * size.row) {
        E::dispatch(Sums { rows, sums });
        all.add(sums);
    }
    let exact: Vec<f64> = (0..size.batch).map(|n| all.of(n) / size.count()).collect();
    means.iter_mut().zip(&exact).for_each(|(mean, &exact)| *mean = E::of(exact));
    lay(centre, means);
    for rows in maps.chunks(BLOCK * size.row) {
        E::dispatch(Squares { rows, centre, sums });
        squares.add(sums);
    }
    for (n, inverse) in inverses.iter_mut().enumerate() {
        // What rounding took from the mean.
        let off = exact[n] - means[n].to_f64();
        // Written so that a NaN stays one.
        let variance = squares.of(n) / size.count() - off * off;
        *inverse = E::of(1.0 / (if variance < 0.0 { 0.0 } else { variance } + EPSILON).sqrt());
    }
}

/// What a channel's elements are multiplied by and what is added, laid out as rows.
fn affine<E: Real>(weight: E, bias: E, means: &[E], inverses: &[E], scales: &mut [E], shifts: &mut [E]) {
    let each = means.len();
    for (n, (&mean, &inverse)) in means.iter().zip(inverses).enumerate() {
        let scale = weight.to_f64() * inverse.to_f64();
        scales[n] = E::of(scale);
        shifts[n] = E::of(bias.to_f64() - mean.to_f64() * scale);
    }
    for row in [scales, shifts] {
        let (first, rest) = row.split_at_mut(each);
        lay(rest, first);
    }
}

/// Sums of rows, position by position.
struct Sums<'a, E> {
    rows: &'a [E],
    sums: &'a mut [E],
}

impl<E: Real> Kernel<E> for Sums<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        self.sums.fill(E::ZERO);
        let row = self.sums.len();
        let mut fours = self.rows.chunks_exact(4 * row);
        for four in &mut fours {
            let (first, last) = four.split_at(2 * row);
            let (a, b) = first.split_at(row);
            let (c, d) = last.split_at(row);
            let pairs = (a.chunks(LANES).zip(b.chunks(LANES))).zip(c.chunks(LANES).zip(d.chunks(LANES)));
            for (sum, ((a, b), (c, d))) in self.sums.chunks_mut(LANES).zip(pairs) {
                let four = V::read(a).add(V::read(b)).add(V::read(c).add(V::read(d)));
                V::read(sum).add(four).write(sum);
            }
        }
        for one in fours.remainder().chunks_exact(row) {
            for (sum, x) in self.sums.chunks_mut(LANES).zip(one.chunks(LANES)) {
                V::read(sum).add(V::read(x)).write(sum);
            }
        }
    }
}

/// Sums of squares of rows less their centre, position by position.
struct Squares<'a, E> {
    rows: &'a [E],
    centre: &'a [E],
    sums: &'a mut [E],
}

impl<E: Real> Kernel<E> for Squares<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        self.sums.fill(E::ZERO);
        let row = self.sums.len();
        let mut twos = self.rows.chunks_exact(2 * row);
        for two in &mut twos {
            let (a, b) = two.split_at(row);
            let pairs = a.chunks(LANES).zip(b.chunks(LANES));
            let laid = self.centre.chunks(LANES);
            for ((sum, centre), (a, b)) in self.sums.chunks_mut(LANES).zip(laid).zip(pairs) {
                let centre = V::read(centre);
                let (a, b) = (V::read(a).sub(centre), V::read(b).sub(centre));
                b.mul_add(b, a.mul_add(a, V::read(sum))).write(sum);
            }
        }
        for one in twos.remainder().chunks_exact(row) {
            let laid = self.centre.chunks(LANES);
            for ((sum, centre), x) in self.sums.chunks_mut(LANES).zip(laid).zip(one.chunks(LANES)) {
                let x = V::read(x).sub(V::read(centre));
                x.mul_add(x, V::read(sum)).write(sum);
            }
        }
    }
}

/// `max(0, x * scale + shift)` of one channel.
struct Apply<'a, E> {
    map: &'a [E],
    scale: &'a [E],
    shift: &'a [E],
    out: *mut E,
}

impl<E: Real> Kernel<E> for Apply<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let (zero, mut out) = (V::zero(), self.out);
        for row in self.map.chunks_exact(self.scale.len()) {
            let laid = self.scale.chunks(LANES).zip(self.shift.chunks(LANES));
            for (x, (scale, shift)) in row.chunks(LANES).zip(laid) {
                let y = V::read(x).mul_add(V::read(scale), V::read(shift));
                // Written so that a NaN stays one.
                let y = zero.if_greater(y, zero, y);
                // SAFETY: the output has an element for each of the map's, and so room for this part.
                unsafe {
                    if x.len() == LANES {
                        y.store(out);
                    } else {
                        y.store_first(out, x.len());
                    }
                    out = out.add(x.len());
                }
            }
        }
    }
}

/// The backward pass of one group.
struct Back<'a, E> {
    x: &'a [E],
    gradient: &'a [E],
    weight: &'a [E],
    bias: &'a [E],
    means: &'a [E],
    inverses: &'a [E],
    size: Size,
}

impl<E: Real> Back<'_, E> {
    /// Gives the gradients of weight and bias, and adds to that of the input.
    fn run(&self, rows: &mut [E], totals: &mut [[f64; 2]], into: &mut [E]) {
        let Size { row, batch, .. } = self.size;
        let [mean, scale, shift, centre, slope, sums, slopes] = seven(rows, row);
        lay(mean, self.means);
        // Weighted sums over the group, per example, of g and of g * (x - mean): g is the gradient before ReLU.
        let (mut all, mut all_slopes) = (vec![0.0; batch], vec![0.0; batch]);
        for (channel, totals) in totals.iter_mut().enumerate() {
            let (x, gradient) = self.channel(channel);
            affine(self.weight[channel], self.bias[channel], self.means, self.inverses, scale, shift);
            let (mut found, mut found_slopes) = (Folded::new(batch), Folded::new(batch));
            let blocks = x.chunks(BLOCK * row).zip(gradient.chunks(BLOCK * row));
            for (x, gradient) in blocks {
                let laid = Laid { mean, scale, shift };
                E::dispatch(GradientSums { x, gradient, laid, sums, slopes });
                found.add(sums);
                found_slopes.add(slopes);
            }
            let weight = self.weight[channel].to_f64();
            *totals = [0.0; 2];
            for n in 0..batch {
                let (sum, slope) = (found.of(n), found_slopes.of(n));
                totals[0] += slope * self.inverses[n].to_f64();
                totals[1] += sum;
                all[n] += weight * sum;
                all_slopes[n] += weight * slope;
            }
        }
        let count = self.size.count();
        for (n, &inverse) in self.inverses.iter().enumerate() {
            let inverse = inverse.to_f64();
            centre[n] = E::of(-inverse * all[n] / count);
            slope[n] = E::of(-inverse * inverse * inverse * all_slopes[n] / count);
        }
        for laid in [&mut *centre, &mut *slope] {
            let (first, rest) = laid.split_at_mut(batch);
            lay(rest, first);
        }
        for (channel, into) in into.chunks_exact_mut(self.size.map()).enumerate() {
            let (x, gradient) = self.channel(channel);
            affine(self.weight[channel], self.bias[channel], self.means, self.inverses, scale, shift);
            let laid = Laid { mean, scale, shift };
            E::dispatch(Spread { x, gradient, laid, centre, slope, into });
        }
    }

    /// The input and the gradient of a channel.
    fn channel(&self, channel: usize) -> (&[E], &[E]) {
        let map = self.size.map();
        (&self.x[channel * map..][..map], &self.gradient[channel * map..][..map])
    }
}

/// Cuts a buffer into rows.
fn seven<E>(rows: &mut [E], row: usize) -> [&mut [E]; 7] {
    let mut rows = rows.chunks_exact_mut(row);
    std::array::from_fn(|_| rows.next().unwrap_or_default())
}

/// One channel's values per position of a row.
#[derive(Clone, Copy)]
struct Laid<'a, E> {
    mean: &'a [E],
    scale: &'a [E],
    shift: &'a [E],
}

/// Sums of `g` and of `g * (x - mean)` over rows, position by position; `g` is the gradient where the output is positive.
struct GradientSums<'a, E> {
    x: &'a [E],
    gradient: &'a [E],
    laid: Laid<'a, E>,
    sums: &'a mut [E],
    slopes: &'a mut [E],
}

impl<E: Real> Kernel<E> for GradientSums<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let (zero, row, laid) = (V::zero(), self.sums.len(), self.laid);
        self.sums.fill(E::ZERO);
        self.slopes.fill(E::ZERO);
        for (x, gradient) in self.x.chunks_exact(row).zip(self.gradient.chunks_exact(row)) {
            let affine = laid.scale.chunks(LANES).zip(laid.shift.chunks(LANES)).zip(laid.mean.chunks(LANES));
            let sums = self.sums.chunks_mut(LANES).zip(self.slopes.chunks_mut(LANES));
            let values = x.chunks(LANES).zip(gradient.chunks(LANES));
            for (((x, gradient), ((scale, shift), mean)), (sum, slope)) in values.zip(affine).zip(sums) {
                let x = V::read(x);
                let y = x.mul_add(V::read(scale), V::read(shift));
                let g = y.if_greater(zero, V::read(gradient), zero);
                V::read(sum).add(g).write(sum);
                g.mul_add(x.sub(V::read(mean)), V::read(slope)).write(slope);
            }
        }
    }
}

/// Adds `scale * g + centre + (x - mean) * slope` to the input's gradient.
struct Spread<'a, E> {
    x: &'a [E],
    gradient: &'a [E],
    laid: Laid<'a, E>,
    centre: &'a [E],
    slope: &'a [E],
    into: &'a mut [E],
}

impl<E: Real> Kernel<E> for Spread<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let (zero, row, laid) = (V::zero(), self.centre.len(), self.laid);
        let values = self.x.chunks_exact(row).zip(self.gradient.chunks_exact(row));
        for ((x, gradient), into) in values.zip(self.into.chunks_exact_mut(row)) {
            let affine = laid.scale.chunks(LANES).zip(laid.shift.chunks(LANES)).zip(laid.mean.chunks(LANES));
            let line = self.centre.chunks(LANES).zip(self.slope.chunks(LANES));
            let values = x.chunks(LANES).zip(gradient.chunks(LANES)).zip(into.chunks_mut(LANES));
            for ((((x, gradient), into), ((scale, shift), mean)), (centre, slope)) in
                values.zip(affine).zip(line)
            {
                let (x, scale) = (V::read(x), V::read(scale));
                let y = x.mul_add(scale, V::read(shift));
                let g = y.if_greater(zero, V::read(gradient), zero);
                let centred = x.sub(V::read(mean)).mul_add(V::read(slope), V::read(centre));
                V::read(into).add(g.mul_add(scale, centred)).write(into);
            }
        }
    }
}
