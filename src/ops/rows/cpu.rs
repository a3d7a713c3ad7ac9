//! [`GatherRows`] on the CPU: copies of rows.
#![allow(unsafe_code)]

use dfdx::prelude::*;

use super::{GatherRows, Index};
use crate::device::{self, Storage1};
use crate::ops::Tokens;
use crate::ops::parallel::{Disjoint, for_each_chunk, for_each_range};
use crate::ops::simd::Real;

impl<E: Real> GatherRows<E> for Cpu {
    fn gather_rows(&self, x: &Tokens<E, Self>, index: &Index) -> Result<Tokens<E, Self>, CpuError> {
        let &(rows, features) = x.shape();
        let x = device::read(x);
        let taken = index.rows.len();
        let count = rows / index.of * taken;
        let mut out = vec![E::ZERO; count * features];
        for_each_chunk(&mut out, features, count * features, |first, out| {
            for (place, out) in (first / features..).zip(out.chunks_mut(features)) {
                let row = place / taken * index.of + index.rows[place % taken] as usize;
                out.copy_from_slice(&x[row * features..][..features]);
            }
        });
        self.try_tensor_from_vec(out, (count, features))
    }

    fn gather_rows_backward(
        &self,
        index: &Index,
        features: usize,
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), CpuError> {
        let taken = index.rows.len();
        let places = gradient.len() / features;
        if taken == 0 || places == 0 {
            return Ok(());
        }
        // Parts are single places where no two of them go to one row, otherwise whole samples.
        let unit = if index.distinct { 1 } else { taken };
        let into = Disjoint::new(into);
        for_each_range(places / unit, gradient.len(), |units| {
            for place in units.start * unit..units.end * unit {
                let row = place / taken * index.of + index.rows[place % taken] as usize;
                // SAFETY: no other part has this row: rows are distinct, or a sample is in one part; gradients are initialised.
                let into = unsafe { into.slice(row * features, features) };
                for (into, gradient) in into.iter_mut().zip(&gradient[place * features..]) {
                    *into += *gradient;
                }
            }
        });
        Ok(())
    }
}
