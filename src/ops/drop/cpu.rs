//! [`DropUnits`] on the CPU.

use std::sync::Arc;

use dfdx::prelude::*;

use super::{Chance, DropUnits};
use crate::device::{self, Storage1};
use crate::ops::Tokens;
use crate::ops::parallel::for_each_chunk;
use crate::ops::simd::Real;

impl<E: Real> DropUnits<E> for Cpu {
    type Kept = Arc<[bool]>;

    fn draw_units(&self, chance: &Chance, units: usize) -> Result<Self::Kept, CpuError> {
        Ok(chance.draw(units).into())
    }

    fn drop_units(
        &self,
        x: &Tokens<E, Self>,
        kept: &Self::Kept,
        unit: usize,
        scale: f64,
    ) -> Result<Tokens<E, Self>, CpuError> {
        let shape = *x.shape();
        let mut out = vec![E::ZERO; shape.0 * shape.1];
        accumulate(device::read(x), kept, unit, scale, &mut out);
        self.try_tensor_from_vec(out, shape)
    }

    fn drop_units_backward(
        &self,
        gradient: &Storage1<Self, E>,
        kept: &Self::Kept,
        unit: usize,
        scale: f64,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), CpuError> {
        accumulate(gradient, kept, unit, scale, into);
        Ok(())
    }
}

/// Adds the scaled elements of the units that are kept.
fn accumulate<E: Real>(from: &[E], kept: &[bool], unit: usize, scale: f64, into: &mut [E]) {
    let scale = E::of(scale);
    let (len, chunk) = (into.len(), unit.max(1));
    for_each_chunk(into, chunk, len, |first, into| {
        let units = from[first..].chunks(chunk).zip(&kept[first / chunk..]);
        for (into, (from, _)) in into.chunks_mut(chunk).zip(units).filter(|(_, (_, kept))| **kept) {
            into.iter_mut().zip(from).for_each(|(into, from)| *into += scale * *from);
        }
    });
}
