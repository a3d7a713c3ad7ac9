//! The two products that most ops are made of on a GPU, and how they are cut into blocks.
//!
//! Invariant: the cut depends on the sizes alone, not on the GPU: so does every sum's order.
#![allow(unsafe_code)]

use dfdx::prelude::CudaError;

use crate::device::cuda::{Address, Buffer, GpuError, Grid, arguments, count, launch, to_dfdx};

/// Warps that keep a large GPU busy.
const MANY_WARPS: usize = 2048;
/// Blocks that do.
const MANY_BLOCKS: usize = 264;
/// Threads of a warp.
pub(crate) const WARP: usize = 32;
/// Rows of a block of a weight gradient, as in `correlate.cu`.
const ROWS: usize = 6;

arguments! {
    /// See `project.cu`.
    struct Project {
        weight: Address,
        input: Address,
        mask: Address,
        bias: Address,
        out: Address,
        weight_z: u32,
        input_z: u32,
        bias_z: u32,
        out_z: u32,
        rows: u32,
        channels: u32,
        columns: u32,
        weight_row: u32,
        weight_group: u32,
        group: u32,
        weight_channel: u32,
        weight_tap: i32,
        input_channel: u32,
        out_row: u32,
        height: u32,
        width: u32,
        batch: u32,
        kernel: u32,
        from_height: u32,
        from_width: u32,
        stride: u32,
        spread: u32,
        accumulate: u32,
        activate: u32,
        slope: f32,
        mask_slope: f32,
    }

    /// See `correlate.cu`.
    struct Correlate {
        gradient: Address,
        input: Address,
        mask: Address,
        sums: Address,
        biases: Address,
        partial: Address,
        tickets: Address,
        gradient_z: u32,
        input_z: u32,
        sums_z: u32,
        bias_z: u32,
        rows: u32,
        channels: u32,
        steps: u32,
        inner: u32,
        gradient_row: u32,
        gradient_step: u32,
        input_channel: u32,
        input_step: u32,
        sums_row: u32,
        sums_channel: u32,
        height: u32,
        width: u32,
        batch: u32,
        kernel: u32,
        from_height: u32,
        from_width: u32,
        stride: u32,
        chunks: u32,
        groups: u32,
        mask_slope: f32,
    }
}

/// How a [`Project`] is cut: columns of a thread, rows of a block, warps that share the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProjectCut {
    count: usize,
    rows: usize,
    slices: usize,
}

impl ProjectCut {
    fn of(project: &Project, z: usize) -> Self {
        let (rows, channels, columns) =
            (project.rows as usize, project.channels as usize, project.columns as usize);
        let rows_of_block = if rows.next_multiple_of(12) <= rows.next_multiple_of(6) { 12 } else { 6 };
        let together = if project.kernel == 1 { 8 } else { 1 };
        let mut cut = ProjectCut { count: 1, rows: rows_of_block, slices: 1 };
        for count in [4, 2, 1] {
            if !(project.batch as usize).is_multiple_of(count) {
                continue;
            }
            let warps = columns.div_ceil(WARP * count) * rows.div_ceil(rows_of_block) * z;
            let most: usize = if count == 4 { 8 } else { 16 };
            let most = most.min(channels.div_ceil(together).next_power_of_two());
            let slices = MANY_WARPS.div_ceil(warps.max(1)).next_power_of_two().min(most);
            cut = ProjectCut { count, slices, ..cut };
            if warps * slices >= MANY_WARPS {
                break;
            }
        }
        cut
    }

    /// Bytes of shared memory: weights of each warp, and sums on their way.
    fn shared(self, kernel: usize) -> usize {
        let taps = if kernel == 1 { 8 } else { kernel * kernel };
        let weights = (taps * self.rows).next_multiple_of(4);
        4 * (self.slices * weights + self.slices / 2 * self.rows * self.count * WARP)
    }
}

impl Project {
    /// A matrix product: a column per example, one tap.
    pub(crate) fn per_example(batch: usize) -> Self {
        Project {
            columns: batch as u32,
            group: u32::MAX,
            weight_tap: 1,
            input_channel: batch as u32,
            out_row: batch as u32,
            height: 1,
            width: 1,
            batch: batch as u32,
            kernel: 1,
            ..Project::default()
        }
    }

    /// Launches it for every z.
    pub(crate) fn launch(self, z: usize) -> Result<(), CudaError> {
        let (kernel, columns, rows) = (self.kernel as usize, self.columns as usize, self.rows as usize);
        if columns == 0 || rows == 0 || z == 0 {
            return Ok(());
        }
        let products = z * rows * self.channels as usize * kernel * kernel * columns;
        count(|counts| counts.multiply_adds += products as u64);
        let strided = self.stride > 1 || self.spread > 1;
        let launched = if matches!((kernel, strided), (1 | 3, _) | (5, false)) {
            let cut = ProjectCut::of(&self, z);
            let grid = Grid {
                blocks: [columns.div_ceil(WARP * cut.count) as u32, rows.div_ceil(cut.rows) as u32, z as u32],
                threads: [WARP as u32, cut.slices as u32, 1],
                shared: cut.shared(kernel) as u32,
            };
            let s = if strided { "s" } else { "" };
            launch(&format!("project_k{kernel}{s}_r{}_n{}", cut.rows, cut.count), grid, self)
        } else {
            let blocks = [columns.div_ceil(WARP) as u32, rows as u32, z as u32];
            launch("project_any", Grid { blocks, threads: [WARP as u32, 1, 1], shared: 0 }, self)
        };
        launched.map_err(|error| to_dfdx(&error))
    }
}

/// How a [`Correlate`] is cut: numbers read at once, warps of a block, blocks that share the sums, groups of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CorrelateCut {
    count: usize,
    warps: usize,
    chunks: usize,
    groups: usize,
}

impl CorrelateCut {
    fn of(correlate: &Correlate, z: usize) -> Self {
        let channels = correlate.channels as usize;
        let groups = match correlate.kernel {
            1 => (channels + usize::from(correlate.biases != 0)).div_ceil(9),
            5 => 5 * channels,
            _ => channels,
        };
        let count = if correlate.batch.is_multiple_of(4) { 4 } else { 1 };
        let all = correlate.steps as usize * correlate.inner as usize / count;
        // Four numbers or more for each thread, and eight where blocks share.
        let warps = (all / (4 * WARP)).clamp(1, 8);
        let units = (correlate.rows as usize).div_ceil(ROWS) * groups * z;
        let chunks = (MANY_BLOCKS / units.max(1)).min(all / (8 * warps * WARP)).max(1);
        CorrelateCut { count, warps, chunks, groups }
    }
}

impl Correlate {
    /// Launches it for every z.
    pub(crate) fn launch(self, z: usize) -> Result<(), CudaError> {
        self.try_launch(z).map_err(|error| to_dfdx(&error))
    }

    fn try_launch(mut self, z: usize) -> Result<(), GpuError> {
        let kernel = self.kernel as usize;
        let rows = self.rows as usize;
        let (steps, inner) = (self.steps as usize, self.inner as usize);
        let products = z * rows * self.channels as usize * steps * inner * kernel * kernel;
        count(|counts| counts.multiply_adds += products as u64);
        let strided = self.stride > 1;
        if !matches!((kernel, strided), (1 | 3, _) | (5, false)) {
            let weights = rows * self.channels as usize * kernel * kernel;
            return launch(
                "correlate_any",
                Grid { blocks: [weights as u32, 1, 1], threads: [256, 1, 1], shared: 0 },
                self,
            );
        }
        let cut = CorrelateCut::of(&self, z);
        if cut.groups == 0 {
            return Ok(());
        }
        self.groups = cut.groups as u32;
        self.chunks = cut.chunks as u32;
        let blocks = [cut.chunks as u32, rows.div_ceil(ROWS) as u32, (cut.groups * z) as u32];
        let units = blocks[1] as usize * blocks[2] as usize;
        let pairs = if kernel == 5 { 5 } else { 9 };
        // Freed in the order of the stream, after the launch has used them.
        let shares = (cut.chunks > 1).then(|| {
            Ok::<_, GpuError>((
                Buffer::<f32>::room(units * cut.chunks * ROWS * pairs)?,
                Buffer::<u32>::zeros(units)?,
            ))
        });
        let shares = shares.transpose()?;
        if let Some((partial, tickets)) = &shares {
            (self.partial, self.tickets) = (partial.address(), tickets.address());
        }
        let threads = [WARP as u32, cut.warps as u32, 1];
        let s = if strided { "s" } else { "" };
        launch(&format!("correlate_k{kernel}{s}_n{}", cut.count), Grid { blocks, threads, shared: 0 }, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_fits_into_a_block() {
        for kernel in [1, 3, 5] {
            for rows in [1, 5, 6, 7, 10, 12, 13, 24, 96, 100, 192] {
                for channels in [1, 2, 3, 6, 12, 48, 96, 240, 4800] {
                    for (columns, batch) in [(40, 40), (10, 10), (3, 3), (360, 40), (501_760, 40), (30, 30)] {
                        let project =
                            Project { rows, channels, columns, batch, kernel, ..Project::default() };
                        let cut = ProjectCut::of(&project, 1);
                        assert!(cut.shared(kernel as usize) <= 48 * 1024, "{project:?} {cut:?}");
                        assert!(WARP * cut.slices <= if cut.count == 4 { 256 } else { 512 });
                        assert!(cut.slices.is_power_of_two() && batch.is_multiple_of(cut.count as u32));
                    }
                }
            }
        }
    }

    #[test]
    fn long_sums_are_shared_and_short_ones_are_not() {
        let first_stage = Correlate {
            rows: 6,
            channels: 1,
            steps: 1,
            inner: 112 * 112 * 40,
            batch: 40,
            kernel: 5,
            ..Correlate::default()
        };
        let cut = CorrelateCut::of(&first_stage, 1);
        assert!(cut.chunks > 16 && cut.warps == 8 && cut.groups == 5, "{cut:?}");
        let head =
            Correlate { rows: 100, channels: 240, steps: 1, inner: 40, batch: 40, kernel: 1, ..first_stage };
        let cut = CorrelateCut::of(&head, 1);
        assert_eq!(cut, CorrelateCut { count: 4, warps: 1, chunks: 1, groups: 27 });
    }
}
