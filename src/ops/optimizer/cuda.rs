//! The optimiser on a GPU: two launches for all parameters, and a log that the host reads when it likes.
//!
//! Invariant: the host is never waited for within a step. Once a loss or a norm was not finite no later step changes anything.
#![allow(unsafe_code)]

use cudarc::driver::DevicePtr;
use dfdx::prelude::*;

use super::{Hyperparameters, Rule, StepStats, Update};
use crate::device::cuda::{Address, Buffer, GpuError, Grid, address, arguments, launch, to_dfdx};
use crate::ops::cuda::launched;

/// Elements of a block, as in the kernels.
const ELEMENTS_OF_BLOCK: usize = 2048;
/// Steps that the log holds.
const CAPACITY: usize = 8192;

arguments! {
    /// See `optimizer.cu`.
    struct Slot {
        value: Address,
        square: Address,
        mean: Address,
        gradient: Address,
        length: u32,
        first_block: u32,
    }

    /// See `optimizer.cu`.
    struct State {
        step: u32,
        failed: u32,
        clip: f32,
        capacity: u32,
        rate: f32,
        root: f32,
    }

    /// See `optimizer.cu`.
    struct UpdateAll {
        slots: Address,
        loss: Address,
        state: Address,
        log: Address,
        partial: Address,
        ticket: Address,
        steps: Address,
        clip_norm: f64,
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f32,
        count: u32,
        rule: u32,
        padding: u32,
    }
}

/// Statistics of steps, on the device.
pub struct Log {
    /// A [`State`]: step, whether one failed, the clipping factor, the capacity, AdamW's corrections.
    state: Buffer<u32>,
    /// Loss and norm, in a ring.
    entries: Buffer<[f32; 2]>,
    /// Steps that were told to the host.
    told: u32,
}

impl Log {
    /// Where the number of steps since [`Log::restart`] stands.
    pub fn steps_done(&self) -> Address {
        self.state.address()
    }

    /// Counts steps from zero again; every step so far must have been told.
    ///
    /// # Errors
    /// If the device fails.
    pub fn restart(&mut self) -> Result<(), GpuError> {
        self.told = 0;
        self.state.write(0, &[0, 0, 0, CAPACITY as u32])
    }

    fn read(&mut self) -> Result<Vec<StepStats>, GpuError> {
        let step = self.state.read(0, 1)?[0];
        let count = step.wrapping_sub(self.told) as usize;
        if count > CAPACITY {
            return Err(GpuError::Other(format!("{count} steps were taken while the log holds {CAPACITY}")));
        }
        let first = self.told as usize % CAPACITY;
        let straight = count.min(CAPACITY - first);
        let mut entries = self.entries.read(first, straight)?;
        entries.extend(self.entries.read(0, count - straight)?);
        self.told = step;
        let stats = |[loss, norm]: [f32; 2]| StepStats { loss: f64::from(loss), norm: f64::from(norm) };
        Ok(entries.into_iter().map(stats).collect())
    }
}

impl Update<f32> for Cuda {
    type Log = Log;

    fn log(&self) -> Result<Log, CudaError> {
        let new = || {
            let state = Buffer::of(&[0, 0, 0, CAPACITY as u32, 0, 0])?;
            Ok::<_, GpuError>(Log { state, entries: Buffer::zeros(CAPACITY)?, told: 0 })
        };
        new().map_err(|error| to_dfdx(&error))
    }

    fn update(
        &self,
        hyperparameters: &Hyperparameters,
        slots: &mut [super::Slot<'_, f32, Cuda>],
        steps: Option<&mut Tensor<(usize,), f32, Cuda>>,
        loss: &Tensor<Rank0, f32, Cuda>,
        log: &mut Log,
    ) -> Result<(), CudaError> {
        let (mut table, mut blocks) = (Vec::with_capacity(5 * slots.len()), 0);
        for slot in &*slots {
            let length = slot.value.shape().0;
            let state = |tensor: &Option<&mut Tensor<(usize,), f32, Cuda>>| {
                tensor.as_ref().map_or(0, |tensor| address(&**tensor))
            };
            let (square, mean) = (state(&slot.square), state(&slot.mean));
            // As `Slot`: the length in the lower half of the last word, the first block in the upper one.
            let last = length as u64 | (blocks as u64) << 32;
            table.extend([address(&*slot.value), square, mean, *slot.gradient.device_ptr(), last]);
            blocks += length.div_ceil(ELEMENTS_OF_BLOCK);
        }
        if blocks == 0 {
            return Ok(());
        }
        let gpu = |error: GpuError| to_dfdx(&error);
        let table = Buffer::of(&table).map_err(gpu)?;
        let (partial, ticket) =
            (Buffer::<f64>::room(blocks).map_err(gpu)?, Buffer::<u32>::zeros(1).map_err(gpu)?);
        // Read by AdamW alone.
        let [beta1, beta2] = hyperparameters.rule.betas().unwrap_or_default();
        let arguments = UpdateAll {
            slots: table.address(),
            loss: address(loss),
            state: log.state.address(),
            log: log.entries.address(),
            partial: partial.address(),
            ticket: ticket.address(),
            steps: steps.map_or(0, |steps| address(&*steps)),
            clip_norm: hyperparameters.clip_norm.unwrap_or(f64::INFINITY),
            learning_rate: hyperparameters.learning_rate,
            beta1,
            beta2,
            weight_decay: hyperparameters.weight_decay as f32,
            count: slots.len() as u32,
            rule: match hyperparameters.rule {
                Rule::Sgd => 0,
                Rule::Rmsprop => 1,
                Rule::AdamW { .. } => 2,
            },
            padding: 0,
        };
        let grid = Grid { blocks: [blocks as u32, 1, 1], threads: [256, 1, 1], shared: 0 };
        launched(launch("optimizer_norm", grid, arguments))?;
        launched(launch("optimizer_update", grid, arguments))
    }

    fn step_stats(&self, log: &mut Log) -> Result<Vec<StepStats>, CudaError> {
        log.read().map_err(|error| to_dfdx(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cuda::Arguments;

    #[test]
    fn the_table_has_the_layout_of_a_slot() {
        let offsets: Vec<_> = Slot::LAYOUT.iter().map(|&(_, offset, _)| offset).collect();
        assert_eq!((offsets, size_of::<Slot>()), (vec![0, 8, 16, 24, 32, 36], 40));
        assert_eq!(size_of::<State>(), 24);
    }
}
