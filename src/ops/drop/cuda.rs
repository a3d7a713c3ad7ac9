//! [`DropUnits`](super::DropUnits) on a GPU: what is kept is drawn there, from the very stream of the CPU.
//!
//! Invariant: word i of the stream decides about unit i, as in [`Chance::draw`]. A step that draws is not recorded: its key is
//! another one in every step.
#![allow(unsafe_code)]

use std::sync::Arc;

use cudarc::driver::{DevicePtr, DevicePtrMut, DeviceSlice};
use dfdx::prelude::*;

use super::Chance;
use crate::device::Storage1;
use crate::device::cuda::{
    Address, Buffer, Grid, address, arguments, launch, to_dfdx, uninitialised, varies,
};
use crate::ops::Tokens;
use crate::ops::cuda::launched;

/// Words of a block of the stream.
const WORDS: usize = 16;

arguments! {
    /// See `drop.cu`.
    struct DrawUnits {
        kept: Address,
        key: [u32; 8],
        limit: u32,
        blocks: u32,
    }

    /// See `drop.cu`.
    struct DropUnits {
        from: Address,
        kept: Address,
        to: Address,
        count: u32,
        unit: u32,
        scale: f32,
        accumulate: u32,
    }
}

/// What is kept of `from`, written or added to `to`.
fn drop(
    [from, to]: [Address; 2],
    kept: &Buffer<u8>,
    [count, unit]: [usize; 2],
    scale: f64,
    accumulate: bool,
) -> Result<(), CudaError> {
    let arguments = DropUnits {
        from,
        kept: kept.address(),
        to,
        count: count as u32,
        unit: unit as u32,
        scale: scale as f32,
        accumulate: u32::from(accumulate),
    };
    launched(launch("drop_units", Grid::over(count), arguments))
}

impl super::DropUnits<f32> for Cuda {
    type Kept = Arc<Buffer<u8>>;

    fn draw_units(&self, chance: &Chance, units: usize) -> Result<Self::Kept, CudaError> {
        varies("the keys of dropout");
        let blocks = units.div_ceil(WORDS);
        let kept = Buffer::<u8>::room(WORDS * blocks).map_err(|error| to_dfdx(&error))?;
        let mut key = [0; 8];
        for (word, bytes) in key.iter_mut().zip(chance.seeds.key().as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        // Below 2^32, as the probability is below 1.
        let limit = chance.limit() as u32;
        let arguments = DrawUnits { kept: kept.address(), key, limit, blocks: blocks as u32 };
        launched(launch("draw_units", Grid::over(blocks), arguments))?;
        Ok(Arc::new(kept))
    }

    fn drop_units(
        &self,
        x: &Tokens<f32, Self>,
        kept: &Self::Kept,
        unit: usize,
        scale: f64,
    ) -> Result<Tokens<f32, Self>, CudaError> {
        let shape = *x.shape();
        let out = uninitialised(|| self.try_zeros_like(&shape))?;
        drop([address(x), address(&out)], kept, [shape.num_elements(), unit], scale, false)?;
        Ok(out)
    }

    fn drop_units_backward(
        &self,
        gradient: &Storage1<Self, f32>,
        kept: &Self::Kept,
        unit: usize,
        scale: f64,
        into: &mut Storage1<Self, f32>,
    ) -> Result<(), CudaError> {
        let count = into.len();
        drop([*gradient.device_ptr(), *into.device_ptr_mut()], kept, [count, unit], scale, true)
    }
}

/// These need a GPU, or the emulated one (see `tests/cuda.rs`).
#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Precision;
    use crate::device::cuda::{Recording, record};
    use crate::random::Seeds;

    #[test]
    fn units_are_those_that_the_cpu_keeps() {
        let device = crate::ops::cuda::open(0, Precision::F32).expect("a GPU, or the emulated one");
        for (units, probability) in [(1, 0.5), (16, 0.5), (33, 0.1), (5000, 0.1), (5000, 0.9)] {
            let chance = Chance { probability, seeds: Seeds::root(3).child(units) };
            let kept = super::super::DropUnits::<f32>::draw_units(&device, &chance, units).unwrap();
            let found: Vec<bool> = kept.read(0, units).unwrap().into_iter().map(|kept| kept == 1).collect();
            assert_eq!(found, chance.draw(units), "{units} {probability}");
        }
    }

    #[test]
    fn a_step_that_draws_is_not_recorded() {
        let device = crate::ops::cuda::open(0, Precision::F32).expect("a GPU, or the emulated one");
        let chance = Chance { probability: 0.5, seeds: Seeds::root(3) };
        let draw = || super::super::DropUnits::<f32>::draw_units(&device, &chance, 5).map(|_| ());
        let ((), Recording::Refused(why)) = record(draw).unwrap() else { panic!("recorded") };
        assert!(why.contains("the keys of dropout differ from step to step"), "{why}");
    }
}
