//! What a GPU can do at most, measured: the rate of multiply-adds, and the bandwidth of its memory.
#![allow(unsafe_code)]

use std::time::Instant;

use crate::device::cuda::{Address, Buffer, GpuError, Grid, arguments, launch, wait};

arguments! {
    /// See `ceiling.cu`.
    struct Ceiling {
        from: Address,
        to: Address,
        count: u32,
        padding: u32,
    }
}

/// Blocks of both measurements.
const BLOCKS: u32 = 2048;
/// Threads of a block.
const THREADS: u32 = 256;
/// Multiply-adds of a thread in a round.
const CHAINS: f64 = 8.0;

/// Multiply-adds and bytes per second.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Ceilings {
    /// Of f32.
    pub multiply_adds_per_second: f64,
    /// Read and written.
    pub bytes_per_second: f64,
}

/// Measures both: the best of several tries. `size` scales the work; 1 takes some milliseconds.
///
/// # Errors
/// If the device fails.
pub(crate) fn measure(size: f64) -> Result<Ceilings, GpuError> {
    let grid = Grid { blocks: [BLOCKS, 1, 1], threads: [THREADS, 1, 1], shared: 0 };
    let threads = (BLOCKS * THREADS) as usize;
    let values = Buffer::of(&[0.5f32; 256])?;
    let sums = Buffer::<f32>::zeros(threads)?;
    let rounds = (4096.0 * size).max(1.0) as u32;
    let arguments = Ceiling { from: values.address(), to: sums.address(), count: rounds, padding: 0 };
    let seconds = best(|| launch("ceiling_multiply_adds", grid, arguments))?;
    let multiply_adds_per_second = f64::from(rounds) * CHAINS * threads as f64 / seconds;

    let floats = (f64::from(64 << 20) * size).max(4.0) as usize / 4 * 4;
    let (from, to) = (Buffer::<f32>::zeros(floats)?, Buffer::<f32>::room(floats)?);
    let arguments = Ceiling { from: from.address(), to: to.address(), count: floats as u32, padding: 0 };
    let seconds = best(|| launch("ceiling_copy", grid, arguments))?;
    Ok(Ceilings { multiply_adds_per_second, bytes_per_second: 8.0 * floats as f64 / seconds })
}

/// Seconds of the fastest of five.
fn best(run: impl Fn() -> Result<(), GpuError>) -> Result<f64, GpuError> {
    let mut best = f64::INFINITY;
    for _ in 0..6 {
        wait()?;
        let begun = Instant::now();
        run()?;
        wait()?;
        best = best.min(begun.elapsed().as_secs_f64());
    }
    Ok(best)
}
