//! [`GatherRows`](super::GatherRows) on a GPU, and the launches that embeddings share with it.
//!
//! Invariant: a row that is taken several times gets its gradients in the order of their places, as on the CPU.
#![allow(unsafe_code)]

use std::collections::BTreeMap;

use cudarc::driver::{DevicePtr, DevicePtrMut, DeviceSlice};
use dfdx::prelude::*;

use super::Index;
use crate::device::Storage1;
use crate::device::cuda::{Address, Buffer, GpuError, Grid, address, arguments, launch, uninitialised};
use crate::ops::Tokens;
use crate::ops::cuda::launched;

arguments! {
    /// See `rows.cu`.
    struct GatherRows {
        from: Address,
        index: Address,
        to: Address,
        count: u32,
        features: u32,
        taken: u32,
        of: u32,
    }

    /// See `rows.cu`.
    struct AddRows {
        from: Address,
        targets: Address,
        starts: Address,
        places: Address,
        to: Address,
        count: u32,
        features: u32,
        distinct: u32,
        taken: u32,
        of: u32,
        padding: u32,
    }
}

/// Rows of samples: which of them are taken, of how many, and how wide they are.
#[derive(Clone, Copy)]
pub(crate) struct Taken<'a> {
    pub(crate) rows: &'a [u32],
    /// Rows of a sample.
    pub(crate) of: usize,
    pub(crate) samples: usize,
    pub(crate) features: usize,
}

impl Taken<'_> {
    /// Writes the rows that are taken.
    pub(crate) fn gather(self, from: Address, to: Address) -> Result<(), GpuError> {
        self.launch("gather_rows", from, to)
    }

    /// Adds gradients of rows none of which is taken twice.
    pub(crate) fn scatter(self, from: Address, to: Address) -> Result<(), GpuError> {
        self.launch("scatter_rows", from, to)
    }

    fn launch(self, kernel: &str, from: Address, to: Address) -> Result<(), GpuError> {
        let fours = if self.features.is_multiple_of(4) { 4 } else { 1 };
        let count = self.samples * self.rows.len() * self.features / fours;
        if count == 0 {
            return Ok(());
        }
        // Freed in the order of the stream, after the launch has used it.
        let index = Buffer::of(self.rows)?;
        let arguments = GatherRows {
            from,
            index: index.address(),
            to,
            count: count as u32,
            features: (self.features / fours) as u32,
            taken: self.rows.len() as u32,
            of: self.of as u32,
        };
        launch(&format!("{kernel}_n{fours}"), Grid::over(count), arguments)
    }

    /// Adds gradients of rows that may be taken several times; of `except` none is added.
    pub(crate) fn add(self, except: Option<u32>, from: Address, to: Address) -> Result<(), GpuError> {
        let mut places: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (place, &row) in (0..).zip(self.rows).filter(|(_, row)| Some(**row) != except) {
            places.entry(row).or_default().push(place);
        }
        let targets: Vec<u32> = places.keys().copied().collect();
        let starts: Vec<u32> = std::iter::once(0)
            .chain(places.values().scan(0, |end, places| {
                *end += places.len() as u32;
                Some(*end)
            }))
            .collect();
        let places: Vec<u32> = places.into_values().flatten().collect();
        let count = self.samples * targets.len() * self.features;
        if count == 0 {
            return Ok(());
        }
        // Freed in the order of the stream, after the launch has used them.
        let [held_targets, starts, places] =
            [Buffer::of(&targets)?, Buffer::of(&starts)?, Buffer::of(&places)?];
        let arguments = AddRows {
            from,
            targets: held_targets.address(),
            starts: starts.address(),
            places: places.address(),
            to,
            count: count as u32,
            features: self.features as u32,
            distinct: targets.len() as u32,
            taken: self.rows.len() as u32,
            of: self.of as u32,
            padding: 0,
        };
        launch("add_rows", Grid::over(count), arguments)
    }
}

impl super::GatherRows<f32> for Cuda {
    fn gather_rows(&self, x: &Tokens<f32, Self>, index: &Index) -> Result<Tokens<f32, Self>, CudaError> {
        let &(rows, features) = x.shape();
        let samples = rows / index.of;
        let out = uninitialised(|| self.try_zeros_like(&(samples * index.rows.len(), features)))?;
        let taken = Taken { rows: &index.rows, of: index.of, samples, features };
        launched(taken.gather(address(x), address(&out)))?;
        Ok(out)
    }

    fn gather_rows_backward(
        &self,
        index: &Index,
        features: usize,
        gradient: &Storage1<Self, f32>,
        into: &mut Storage1<Self, f32>,
    ) -> Result<(), CudaError> {
        let samples = into.len() / (index.of * features);
        let taken = Taken { rows: &index.rows, of: index.of, samples, features };
        let (from, to) = (*gradient.device_ptr(), *into.device_ptr_mut());
        launched(if index.distinct { taken.scatter(from, to) } else { taken.add(None, from, to) })
    }
}
