//! [`AveragePool`] on the CPU: channel by channel, window by window, pixel by pixel of all examples.

use dfdx::prelude::*;

use super::{AveragePool, window};
use crate::device::{self, Storage1};
use crate::ops::Maps;
use crate::ops::parallel::for_each_chunk;
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

impl<E: Real> AveragePool<E> for Cpu {
    fn average_pool(&self, x: &Maps<E, Self>, side: usize) -> Result<Maps<E, Self>, CpuError> {
        let &(channels, height, width, batch) = x.shape();
        let x = device::read(x);
        let (map, pooled) = (height * width * batch, side * side * batch);
        let mut values = vec![E::ZERO; channels * pooled];
        for_each_chunk(&mut values, pooled, x.len(), |first, out| {
            let channels = first / pooled..(first + out.len()) / pooled;
            for (channel, out) in channels.zip(out.chunks_exact_mut(pooled)) {
                let maps = &x[channel * map..][..map];
                E::dispatch(Pool { maps, out, size: [height, width, batch], side });
            }
        });
        self.try_tensor_from_vec(values, (channels, side, side, batch))
    }

    fn average_pool_backward(
        &self,
        (_, height, width, batch): (usize, usize, usize, usize),
        side: usize,
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), CpuError> {
        let (map, pooled, len) = (height * width * batch, side * side * batch, into.len());
        for_each_chunk(into, map, len, |first, into| {
            for (channel, into) in into.chunks_exact_mut(map).enumerate() {
                let gradient = &gradient[(first / map + channel) * pooled..][..pooled];
                E::dispatch(Spread { gradient, into, size: [height, width, batch], side });
            }
        });
        Ok(())
    }
}

/// The means of one channel's windows.
struct Pool<'a, E> {
    maps: &'a [E],
    out: &'a mut [E],
    /// Height, width, batch.
    size: [usize; 3],
    side: usize,
}

impl<E: Real> Kernel<E> for Pool<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let ([height, width, batch], side) = (self.size, self.side);
        for (i, out) in self.out.chunks_exact_mut(batch).enumerate() {
            let (rows, columns) = (window(i / side, height, side), window(i % side, width, side));
            let count = V::splat(E::of((rows.len() * columns.len()) as f64));
            for (part, out) in out.chunks_mut(LANES).enumerate() {
                let mut sum = V::zero();
                for row in rows.clone() {
                    for column in columns.clone() {
                        let at = (row * width + column) * batch + part * LANES;
                        sum = sum.add(V::read(&self.maps[at..at + out.len()]));
                    }
                }
                sum.div(count).write(out);
            }
        }
    }
}

/// Adds each window's gradient, divided by the window's size, to all its elements.
struct Spread<'a, E> {
    gradient: &'a [E],
    into: &'a mut [E],
    /// Height, width, batch.
    size: [usize; 3],
    side: usize,
}

impl<E: Real> Kernel<E> for Spread<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let ([height, width, batch], side) = (self.size, self.side);
        for (i, gradient) in self.gradient.chunks_exact(batch).enumerate() {
            let (rows, columns) = (window(i / side, height, side), window(i % side, width, side));
            let count = V::splat(E::of((rows.len() * columns.len()) as f64));
            for (part, gradient) in gradient.chunks(LANES).enumerate() {
                let share = V::read(gradient).div(count);
                for row in rows.clone() {
                    for column in columns.clone() {
                        let at = (row * width + column) * batch + part * LANES;
                        let into = &mut self.into[at..at + gradient.len()];
                        V::read(into).add(share).write(into);
                    }
                }
            }
        }
    }
}
