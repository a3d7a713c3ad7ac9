//! [`NormReluPool`] on the CPU, channel by channel.
//!
//! Invariant: sums are taken lane by lane within a row of pixels and in `f64` across rows, in a fixed order.
#![allow(unsafe_code)]

use dfdx::prelude::*;

use super::{EPSILON, MOMENTUM, NormGradients, NormReluPool, Running, Statistics, saved};
use crate::device::{self, Storage1};
use crate::ops::Maps;
use crate::ops::parallel::{Disjoint, for_each_range};
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

impl<E: Real> NormReluPool<E> for Cpu {
    fn norm_statistics(
        &self,
        x: &Maps<E, Self>,
        weight: &Tensor<(usize,), E, Self>,
        bias: &Tensor<(usize,), E, Self>,
        running: &mut Running<E, Self>,
        statistics: Statistics,
    ) -> Result<Tensor<(usize,), E, Self>, CpuError> {
        let &(channels, height, width, batch) = x.shape();
        let x = device::read(x);
        let (map, count) = (height * width * batch, (height * width * batch) as f64);
        let moments: Vec<[f64; 2]> = match statistics {
            Statistics::Batch => {
                let mut moments = vec![[0.0; 2]; channels];
                let out = Disjoint::new(&mut moments);
                for_each_range(channels, x.len(), |channels| {
                    for channel in channels {
                        let moments =
                            E::dispatch(Moments { map: &x[channel * map..][..map], row: width * batch });
                        // SAFETY: each channel is written by one part.
                        unsafe { *out.at(channel, 1) = moments };
                    }
                });
                moments
            }
            Statistics::Running => device::read(&running.mean)
                .iter()
                .zip(device::read(&running.variance))
                .map(|(mean, variance)| [Real::to_f64(*mean), Real::to_f64(*variance)])
                .collect(),
        };
        if statistics == Statistics::Batch {
            let unbiased = count / (count - 1.0);
            let means = device::write(&mut running.mean).iter_mut();
            for ((mean, variance), moments) in means.zip(device::write(&mut running.variance)).zip(&moments) {
                *mean = E::of((1.0 - MOMENTUM) * mean.to_f64() + MOMENTUM * moments[0]);
                *variance = E::of((1.0 - MOMENTUM) * variance.to_f64() + MOMENTUM * (moments[1] * unbiased));
            }
        }
        let (weight, bias) = (device::read(weight), device::read(bias));
        let mut values = vec![E::ZERO; saved::COUNT * channels];
        for (c, [mean, variance]) in moments.into_iter().enumerate() {
            let inverse = 1.0 / (variance + EPSILON).sqrt();
            let scale = weight[c].to_f64() * inverse;
            values[saved::MEAN * channels + c] = E::of(mean);
            values[saved::INVERSE_DEVIATION * channels + c] = E::of(inverse);
            values[saved::SCALE * channels + c] = E::of(scale);
            values[saved::SHIFT * channels + c] = E::of(bias[c].to_f64() - mean * scale);
        }
        self.try_tensor_from_vec(values, (saved::COUNT * channels,))
    }

    fn norm_relu_pool(
        &self,
        x: &Maps<E, Self>,
        saved: &Tensor<(usize,), E, Self>,
    ) -> Result<Maps<E, Self>, CpuError> {
        let &(channels, height, width, batch) = x.shape();
        let (x, saved) = (device::read(x), device::read(saved));
        let (map, pooled) = (height * width * batch, (height / 2) * (width / 2) * batch);
        let len = channels * pooled;
        let mut values = Vec::with_capacity(len);
        let out = Disjoint::spare(&mut values, len);
        for_each_range(channels, x.len(), |range| {
            for channel in range {
                let affine = Affine::of(saved, channels, channel);
                let size = Size { height, width, batch };
                let out = out.at(channel * pooled, pooled);
                E::dispatch(Pool { map: &x[channel * map..][..map], size, affine, out });
            }
        });
        // SAFETY: `Pool` wrote every pooled element of every channel.
        unsafe { values.set_len(len) };
        self.try_tensor_from_vec(values, (channels, height / 2, width / 2, batch))
    }

    fn norm_relu_pool_backward(
        &self,
        x: &Maps<E, Self>,
        saved: &Tensor<(usize,), E, Self>,
        statistics: Statistics,
        gradient: &Storage1<Self, E>,
        into: NormGradients<'_, Storage1<Self, E>>,
    ) -> Result<(), CpuError> {
        let &(channels, height, width, batch) = x.shape();
        let (x, saved) = (device::read(x), device::read(saved));
        let size = Size { height, width, batch };
        let (map, pooled) = (height * width * batch, (height / 2) * (width / 2) * batch);
        let mut sums = vec![[0.0f64; 2]; channels];
        let (out, x_gradient) = (Disjoint::new(&mut sums), Disjoint::new(into.x));
        for_each_range(channels, x.len(), |range| {
            for channel in range {
                let affine = Affine::of(saved, channels, channel);
                let gradient = &gradient[channel * pooled..][..pooled];
                let map_of = &x[channel * map..][..map];
                let sums = E::dispatch(Sums { map: map_of, size, affine, gradient });
                let inverse = affine.inverse.to_f64();
                let (mean, slope) = match statistics {
                    Statistics::Batch => (sums[0] / map as f64, sums[1] * inverse * inverse / map as f64),
                    Statistics::Running => (0.0, 0.0),
                };
                let (mean, slope) = (E::of(mean), E::of(slope));
                let into = x_gradient.at(channel * map, map);
                E::dispatch(Spread { map: map_of, size, affine, gradient, mean, slope, into });
                // SAFETY: each channel is written by one part.
                unsafe { *out.at(channel, 1) = [sums[0], sums[1] * inverse] };
            }
        });
        if let Some(weight) = into.weight {
            for (total, sums) in weight.iter_mut().zip(&sums) {
                *total += E::of(sums[1]);
            }
        }
        if let Some(bias) = into.bias {
            for (total, sums) in bias.iter_mut().zip(&sums) {
                *total += E::of(sums[0]);
            }
        }
        Ok(())
    }
}

/// One channel's image sizes.
#[derive(Clone, Copy)]
struct Size {
    height: usize,
    width: usize,
    batch: usize,
}

/// One channel's [`saved`] values.
#[derive(Clone, Copy)]
struct Affine<E> {
    mean: E,
    inverse: E,
    scale: E,
    shift: E,
}

impl<E: Real> Affine<E> {
    fn of(values: &[E], channels: usize, channel: usize) -> Self {
        Affine {
            mean: values[saved::MEAN * channels + channel],
            inverse: values[saved::INVERSE_DEVIATION * channels + channel],
            scale: values[saved::SCALE * channels + channel],
            shift: values[saved::SHIFT * channels + channel],
        }
    }
}

/// Mean and biased variance of one channel: one pass, shifted by the mean of its first row, so that nothing cancels.
struct Moments<'a, E> {
    map: &'a [E],
    row: usize,
}

/// Independent sums per row, to hide the latency of an addition.
const CHAINS: usize = 4;

impl<E: Real> Kernel<E> for Moments<'_, E> {
    type Output = [f64; 2];

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) -> [f64; 2] {
        let mut first = 0.0;
        for &x in &self.map[..self.row] {
            first += x.to_f64();
        }
        let shift = E::of(first / self.row as f64);
        let (mut sum, mut squares) = (0.0, 0.0);
        for row in self.map.chunks_exact(self.row) {
            let mut sums = [V::zero(); CHAINS];
            let mut square_sums = [V::zero(); CHAINS];
            let (blocks, rest) = row.as_chunks::<{ CHAINS * LANES }>();
            for block in blocks {
                for i in 0..CHAINS {
                    // SAFETY: the block holds CHAINS vectors.
                    let x = unsafe { V::load(block.as_ptr().add(i * LANES)) }.sub(V::splat(shift));
                    sums[i] = sums[i].add(x);
                    square_sums[i] = x.mul_add(x, square_sums[i]);
                }
            }
            sum += sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum().to_f64();
            squares +=
                square_sums[0].add(square_sums[1]).add(square_sums[2].add(square_sums[3])).sum().to_f64();
            for &x in rest {
                let x = (x - shift).to_f64();
                sum += x;
                squares += x * x;
            }
        }
        let count = self.map.len() as f64;
        let mean = sum / count;
        [shift.to_f64() + mean, (squares / count - mean * mean).max(0.0)]
    }
}

/// Reads eight elements, or the first `count`.
#[inline(always)]
unsafe fn load<V: Lanes>(from: *const V::Elem, count: usize) -> V {
    // SAFETY: the caller vouches for `count` elements.
    unsafe { if count == LANES { V::load(from) } else { V::load_first(from, count) } }
}

/// Writes eight elements, or the first `count`.
#[inline(always)]
unsafe fn store<V: Lanes>(lanes: V, to: *mut V::Elem, count: usize) {
    // SAFETY: the caller vouches for `count` elements.
    unsafe { if count == LANES { lanes.store(to) } else { lanes.store_first(to, count) } }
}

/// The four elements of one pooling window, for up to eight examples, before and after the affine map.
struct Four<V> {
    x: [V; 4],
    y: [V; 4],
}

impl<V: Lanes> Four<V> {
    /// Reads the window whose first element is at `from`.
    ///
    /// # Safety
    /// The window's `count` examples must be readable.
    #[inline(always)]
    unsafe fn read(from: *const V::Elem, size: Size, count: usize, affine: Affine<V::Elem>) -> Self {
        let (scale, shift) = (V::splat(affine.scale), V::splat(affine.shift));
        let below = size.width * size.batch;
        // SAFETY: passed on to the caller.
        let x: [V; 4] = unsafe {
            [
                load(from, count),
                load(from.add(size.batch), count),
                load(from.add(below), count),
                load(from.add(below + size.batch), count),
            ]
        };
        let y = [
            x[0].mul_add(scale, shift),
            x[1].mul_add(scale, shift),
            x[2].mul_add(scale, shift),
            x[3].mul_add(scale, shift),
        ];
        Four { x, y }
    }
}

/// `max-pool(relu(x * scale + shift))` of one channel.
struct Pool<'a, E> {
    map: &'a [E],
    size: Size,
    affine: Affine<E>,
    out: *mut E,
}

impl<E: Real> Kernel<E> for Pool<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let Size { height, width, batch } = self.size;
        let zero = V::zero();
        let mut pixel = 0;
        for row in 0..height / 2 {
            for column in 0..width / 2 {
                let from = (2 * row * width + 2 * column) * batch;
                let mut n = 0;
                while n < batch {
                    let count = LANES.min(batch - n);
                    // SAFETY: the window lies within the map, the pooled pixel within the output.
                    unsafe {
                        let Four { y, .. } =
                            Four::<V>::read(self.map.as_ptr().add(from + n), self.size, count, self.affine);
                        let mut best = y[0];
                        for y in &y[1..] {
                            best = y.if_greater(best, *y, best);
                        }
                        // Written so that a NaN stays one.
                        let out = zero.if_greater(best, zero, best);
                        store(out, self.out.add(pixel * batch + n), count);
                    }
                    n += LANES;
                }
                pixel += 1;
            }
        }
    }
}

/// The sums of `g` and of `g * (x - mean)` over one channel, where `g` is the gradient after the affine map.
struct Sums<'a, E> {
    map: &'a [E],
    size: Size,
    affine: Affine<E>,
    gradient: &'a [E],
}

impl<E: Real> Kernel<E> for Sums<'_, E> {
    type Output = [f64; 2];

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) -> [f64; 2] {
        let Size { height, width, batch } = self.size;
        let (zero, mean) = (V::zero(), V::splat(self.affine.mean));
        let mut totals = [0.0; 2];
        let mut pixel = 0;
        for row in 0..height / 2 {
            let mut sums = [V::zero(); 2];
            for column in 0..width / 2 {
                let from = (2 * row * width + 2 * column) * batch;
                let mut n = 0;
                while n < batch {
                    let count = LANES.min(batch - n);
                    // SAFETY: the window lies within the map, the pooled pixel within the gradient.
                    unsafe {
                        let Four { x, y } =
                            Four::<V>::read(self.map.as_ptr().add(from + n), self.size, count, self.affine);
                        let (mut best, mut chosen) = (y[0], x[0]);
                        for i in 1..4 {
                            chosen = y[i].if_greater(best, x[i], chosen);
                            best = y[i].if_greater(best, y[i], best);
                        }
                        let gradient = load::<V>(self.gradient.as_ptr().add(pixel * batch + n), count);
                        let gradient = best.if_greater(zero, gradient, zero);
                        sums[0] = sums[0].add(gradient);
                        sums[1] = gradient.mul_add(chosen.sub(mean), sums[1]);
                    }
                    n += LANES;
                }
                pixel += 1;
            }
            totals[0] += sums[0].sum().to_f64();
            totals[1] += sums[1].sum().to_f64();
        }
        totals
    }
}

/// Adds `scale * (g - mean - (x - affine.mean) * slope)` to the input gradient of one channel.
struct Spread<'a, E> {
    map: &'a [E],
    size: Size,
    affine: Affine<E>,
    gradient: &'a [E],
    mean: E,
    slope: E,
    into: *mut E,
}

impl<E: Real> Spread<'_, E> {
    /// Adds to `count` elements from `at` on, whose gradient after the affine map is `g`.
    #[inline(always)]
    unsafe fn add<V: Lanes<Elem = E>>(&self, at: usize, count: usize, x: V, g: V) {
        let deviation = x.sub(V::splat(self.affine.mean));
        let centred = deviation.mul_add(V::splat(-self.slope), g.sub(V::splat(self.mean)));
        // SAFETY: the caller vouches for the elements.
        unsafe {
            let into = self.into.add(at);
            store(centred.mul_add(V::splat(self.affine.scale), load::<V>(into, count)), into, count);
        }
    }

    /// Adds to a run of elements that no window pools.
    #[inline(always)]
    unsafe fn add_unpooled<V: Lanes<Elem = E>>(&self, from: usize, len: usize) {
        let mut i = 0;
        while i < len {
            let count = LANES.min(len - i);
            // SAFETY: the caller vouches for the run.
            unsafe {
                let x = load::<V>(self.map.as_ptr().add(from + i), count);
                self.add::<V>(from + i, count, x, V::zero());
            }
            i += LANES;
        }
    }
}

impl<E: Real> Kernel<E> for Spread<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let Size { height, width, batch } = self.size;
        let (zero, below) = (V::zero(), width * batch);
        let mut pixel = 0;
        for row in 0..height / 2 {
            for column in 0..width / 2 {
                let from = (2 * row * width + 2 * column) * batch;
                let mut n = 0;
                while n < batch {
                    let count = LANES.min(batch - n);
                    let at = from + n;
                    // SAFETY: the window lies within the map, the pooled pixel within the gradient.
                    unsafe {
                        let Four { x, y } =
                            Four::<V>::read(self.map.as_ptr().add(at), self.size, count, self.affine);
                        let two = y[1].if_greater(y[0], y[1], y[0]);
                        let three = y[2].if_greater(two, y[2], two);
                        let best = y[3].if_greater(three, y[3], three);
                        let gradient = load::<V>(self.gradient.as_ptr().add(pixel * batch + n), count);
                        let left = best.if_greater(zero, gradient, zero);
                        // The last element that was strictly greater than all before it has the gradient.
                        let last = y[3].if_greater(three, left, zero);
                        let left = y[3].if_greater(three, zero, left);
                        let third = y[2].if_greater(two, left, zero);
                        let left = y[2].if_greater(two, zero, left);
                        let second = y[1].if_greater(y[0], left, zero);
                        let first = y[1].if_greater(y[0], zero, left);
                        self.add::<V>(at, count, x[0], first);
                        self.add::<V>(at + batch, count, x[1], second);
                        self.add::<V>(at + below, count, x[2], third);
                        self.add::<V>(at + below + batch, count, x[3], last);
                    }
                    n += LANES;
                }
                pixel += 1;
            }
            if !width.is_multiple_of(2) {
                // SAFETY: the last column of both rows lies within the map.
                unsafe {
                    self.add_unpooled::<V>((2 * row * width + width - 1) * batch, batch);
                    self.add_unpooled::<V>(((2 * row + 1) * width + width - 1) * batch, batch);
                }
            }
        }
        if !height.is_multiple_of(2) {
            // SAFETY: the last row lies within the map.
            unsafe { self.add_unpooled::<V>((height - 1) * below, below) };
        }
    }
}
