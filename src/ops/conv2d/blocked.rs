//! Convolutions with many channels on a GPU: which ones are computed in large tiles, and how those are cut into blocks.
//!
//! Invariant: choice and cut depend on the shape alone, not on the GPU: so does every sum's order. LeNet's stages are not among them.
#![allow(unsafe_code)]

use super::Shape;
use crate::device::cuda::{Address, Buffer, GpuError, Grid, arguments, count, launch};
use crate::ops::kernel::tile::{Cut, ROWS, SLICE, THREADS, in_parts};

/// Channels, of input and output, below which most of a tile would be empty.
const CHANNELS: usize = 16;
/// Multiply-adds per example from which on a tile is filled: four times what a stage of LeNet has.
const LARGE: usize = 8_000_000;
arguments! {
    /// See `blocked.cu`.
    struct PackWeights {
        weight: Address,
        packed: Address,
        rows: u32,
        channels: u32,
        taps: u32,
        weight_row: u32,
        weight_channel: u32,
        turned: u32,
    }

    /// See `blocked.cu`.
    struct BlockedProject {
        weight: Address,
        input: Address,
        out: Address,
        rows: u32,
        channels: u32,
        height: u32,
        width: u32,
        batch: u32,
        from_height: u32,
        from_width: u32,
        kernel: u32,
        stride: u32,
        spread: u32,
        splits: u32,
        accumulate: u32,
    }

    /// See `blocked.cu`.
    struct BlockedCorrelate {
        gradient: Address,
        input: Address,
        sums: Address,
        rows: u32,
        channels: u32,
        height: u32,
        width: u32,
        batch: u32,
        from_height: u32,
        from_width: u32,
        kernel: u32,
        stride: u32,
        splits: u32,
        accumulate: u32,
        pairs: u32,
    }
}

/// Whether a convolution is computed in tiles.
pub(super) fn is_blocked(shape: Shape) -> bool {
    let Shape { inputs, outputs, kernel, .. } = shape;
    let products = inputs * outputs * kernel * kernel * shape.out_height() * shape.out_width();
    inputs.min(outputs) >= CHANNELS && matches!(kernel, 1 | 3 | 5) && products >= LARGE
}

/// A sum over channels and taps for every column of an image: the output, or the input gradient.
struct Projection {
    /// Channels of the result, and of what is read.
    rows: usize,
    channels: usize,
    /// Height and width of the result, and of what is read.
    to: [usize; 2],
    from: [usize; 2],
    kernel: usize,
    batch: usize,
    stride: usize,
    spread: usize,
}

impl Projection {
    fn forward(shape: Shape) -> Self {
        Projection {
            rows: shape.outputs,
            channels: shape.inputs,
            to: [shape.out_height(), shape.out_width()],
            from: [shape.height, shape.width],
            kernel: shape.kernel,
            batch: shape.batch,
            stride: shape.stride,
            spread: 1,
        }
    }

    fn backward(shape: Shape) -> Self {
        let forward = Projection::forward(shape);
        Projection {
            rows: forward.channels,
            channels: forward.rows,
            to: forward.from,
            from: forward.to,
            stride: 1,
            spread: shape.stride,
            ..forward
        }
    }

    fn len(&self) -> usize {
        self.rows * self.to[0] * self.to[1] * self.batch
    }

    fn cut(&self) -> Cut {
        // Of the phase with the most columns, and of the one with the most taps.
        let columns = self.to.map(|side| side.div_ceil(self.spread)).iter().product::<usize>() * self.batch;
        let taps = self.kernel.div_ceil(self.spread).pow(2);
        let slices = self.channels.div_ceil(SLICE) * taps;
        Cut::of([self.rows, columns], self.spread * self.spread, slices)
    }

    /// Computes it; `packing` says where the weight of a row, channel and tap stands.
    fn launch(&self, packing: PackWeights, input: Address, out: Address, add: bool) -> Result<(), GpuError> {
        let Projection { rows, channels, kernel, batch, .. } = *self;
        let taps = kernel * kernel;
        count(|counts| counts.multiply_adds += (self.len() * channels * taps) as u64);
        let (row_blocks, blocks) = (rows.div_ceil(ROWS), channels.div_ceil(SLICE));
        let packed = Buffer::<f32>::room(row_blocks * ROWS * blocks * SLICE * taps)?;
        let packing = PackWeights {
            packed: packed.address(),
            rows: rows as u32,
            channels: channels as u32,
            taps: taps as u32,
            ..packing
        };
        launch("pack_weights", Grid::over(row_blocks * ROWS * blocks * SLICE), packing)?;
        let cut = self.cut();
        in_parts(cut.splits, self.len(), out, add, |to, accumulate| {
            let project = BlockedProject {
                weight: packed.address(),
                input,
                out: to,
                rows: rows as u32,
                channels: channels as u32,
                height: self.to[0] as u32,
                width: self.to[1] as u32,
                batch: batch as u32,
                from_height: self.from[0] as u32,
                from_width: self.from[1] as u32,
                kernel: kernel as u32,
                stride: self.stride as u32,
                spread: self.spread as u32,
                splits: cut.splits as u32,
                accumulate,
            };
            let blocks = [cut.tiles as u32, (self.spread * self.spread) as u32, cut.splits as u32];
            launch("blocked_project", Grid { blocks, threads: [THREADS, 1, 1], shared: 0 }, project)
        })
    }
}

/// The output: `weight` is `[outputs, inputs, k, k]`.
pub(super) fn output(shape: Shape, weight: Address, x: Address, out: Address) -> Result<(), GpuError> {
    let taps = shape.kernel * shape.kernel;
    let packing = PackWeights {
        weight,
        weight_row: (shape.inputs * taps) as u32,
        weight_channel: taps as u32,
        ..PackWeights::default()
    };
    Projection::forward(shape).launch(packing, x, out, false)
}

/// Adds to the input's gradient: output and input channels swapped, the kernel turned by 180 degrees.
pub(super) fn input_gradient(
    shape: Shape,
    weight: Address,
    gradient: Address,
    x_gradient: Address,
) -> Result<(), GpuError> {
    let taps = shape.kernel * shape.kernel;
    let packing = PackWeights {
        weight,
        weight_row: taps as u32,
        weight_channel: (shape.inputs * taps) as u32,
        turned: 1,
        ..PackWeights::default()
    };
    Projection::backward(shape).launch(packing, gradient, x_gradient, true)
}

/// The cut of a weight gradient.
fn weight_cut(shape: Shape) -> Cut {
    let pairs = shape.inputs * shape.kernel * shape.kernel;
    let terms = shape.out_height() * shape.out_width() * shape.batch;
    Cut::of([shape.outputs, pairs], 1, terms.div_ceil(SLICE))
}

/// Adds to the weight's gradient.
pub(super) fn weight_gradient(
    shape: Shape,
    x: Address,
    gradient: Address,
    weight_gradient: Address,
) -> Result<(), GpuError> {
    let Shape { inputs, outputs, kernel, stride, height, width, batch } = shape;
    let pairs = inputs * kernel * kernel;
    let (out_height, out_width) = (shape.out_height(), shape.out_width());
    count(|counts| counts.multiply_adds += (outputs * pairs * out_height * out_width * batch) as u64);
    let cut = weight_cut(shape);
    in_parts(cut.splits, outputs * pairs, weight_gradient, true, |sums, accumulate| {
        let correlate = BlockedCorrelate {
            gradient,
            input: x,
            sums,
            rows: outputs as u32,
            channels: inputs as u32,
            height: out_height as u32,
            width: out_width as u32,
            batch: batch as u32,
            from_height: height as u32,
            from_width: width as u32,
            kernel: kernel as u32,
            stride: stride as u32,
            splits: cut.splits as u32,
            accumulate,
            pairs: pairs as u32,
        };
        let blocks = [cut.tiles as u32, cut.splits as u32, 1];
        launch("blocked_correlate", Grid { blocks, threads: [THREADS, 1, 1], shared: 0 }, correlate)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::kernel::tile::{COLUMNS, MANY_SLICES};
    use crate::ops::parity::{CASES, Case};

    /// Inputs, outputs, stride and side of PreAct-ResNet-18's convolutions.
    const RESNET: [[usize; 4]; 7] = [
        [64, 64, 1, 320],
        [64, 128, 2, 320],
        [128, 128, 1, 160],
        [128, 256, 2, 160],
        [256, 256, 1, 80],
        [256, 512, 2, 80],
        [512, 512, 1, 40],
    ];

    fn resnet() -> impl Iterator<Item = Shape> {
        let sizes = RESNET.into_iter().flat_map(|sizes| [1, 7, 16].map(|batch| (sizes, batch)));
        sizes.flat_map(|([inputs, outputs, stride, side], batch)| {
            let kernels = if stride == 2 { &[3, 1][..] } else { &[3] };
            kernels.iter().map(move |&kernel| Shape {
                inputs,
                outputs,
                kernel,
                stride,
                height: side,
                width: side,
                batch,
            })
        })
    }

    fn cuts(shape: Shape) -> [Cut; 3] {
        [Projection::forward(shape).cut(), Projection::backward(shape).cut(), weight_cut(shape)]
    }

    #[test]
    fn stages_of_resnet_are_blocked_and_those_of_lenet_keep_their_bits() {
        assert!(resnet().all(is_blocked));
        let stem = Shape { inputs: 1, outputs: 64, kernel: 3, stride: 1, height: 320, width: 320, batch: 1 };
        assert!(!is_blocked(stem));
        for (inputs, outputs, kernel, side) in
            [(1, 3, 5, 28), (1, 6, 5, 112), (6, 12, 3, 56), (12, 24, 3, 28), (24, 48, 3, 14), (96, 192, 3, 3)]
        {
            for batch in [1, 40, 1000] {
                let shape = Shape { inputs, outputs, kernel, stride: 1, height: side, width: side, batch };
                assert!(!is_blocked(shape), "{shape:?}: other bits than those of stored runs");
            }
        }
    }

    #[test]
    fn every_cut_keeps_a_gpu_busy_and_no_chain_is_long() {
        for shape in resnet() {
            let forward = Projection::forward(shape);
            for (cut, planes) in cuts(shape).into_iter().zip([1, shape.stride * shape.stride, 1]) {
                // Two blocks for each of 132 multiprocessors, but where the terms are few.
                let enough = cut.tiles * planes * cut.splits >= 264 || shape.kernel == 1;
                assert!(enough && cut.splits <= 4096, "{shape:?}: {cut:?}");
            }
            let slices = (shape.out_height() * shape.out_width() * shape.batch).div_ceil(SLICE);
            assert!(slices.div_ceil(weight_cut(shape).splits) <= MANY_SLICES);
            // What is left beside the sums is a small part of the memory that the maps take.
            if forward.cut().splits > 1 {
                assert!(forward.cut().splits * forward.len() < 1 << 23, "{shape:?}");
            }
        }
    }

    #[test]
    fn products_with_few_columns_share_their_sums_and_large_ones_do_not() {
        let shape = |inputs, outputs, side| Shape {
            inputs,
            outputs,
            kernel: 3,
            stride: 1,
            height: side,
            width: side,
            batch: 1,
        };
        assert_eq!(cuts(shape(64, 64, 320)).map(|cut| cut.splits), [1, 1, 102]);
        assert_eq!(cuts(shape(512, 512, 40)).map(|cut| cut.splits), [4, 4, 1]);
    }

    /// The doctor and the emulator compare these with the CPU.
    #[test]
    fn parity_takes_every_way_through_the_kernels() {
        let shapes: Vec<Shape> = CASES
            .iter()
            .filter_map(|case| match *case {
                Case::Conv2d([inputs, outputs, kernel, height, width, batch], stride) => {
                    Some(Shape { inputs, outputs, kernel, stride, height, width, batch })
                }
                _ => None,
            })
            .filter(|&shape| is_blocked(shape))
            .collect();
        let added_to = |case: &Case| match *case {
            Case::Shortcut([inputs, outputs, height, width, batch], stride) => {
                is_blocked(Shape { inputs, outputs, kernel: 3, stride, height, width, batch })
            }
            _ => false,
        };
        assert!(CASES.iter().any(added_to), "no case of parity adds to an input gradient that is there");
        let some = |what: &str, holds: &dyn Fn(&Shape) -> bool| {
            assert!(shapes.iter().any(holds), "no case of parity has {what}");
        };
        for kernel in [1, 3, 5] {
            some("this kernel", &|shape| shape.kernel == kernel);
        }
        some("a stride on odd sides", &|s| s.stride == 2 && s.height % 2 == 1 && s.kernel == 3);
        some("a strided kernel of one tap", &|s| s.stride == 2 && s.kernel == 1);
        some("shared sums without a tap", &|s| s.stride > s.kernel && cuts(*s)[1].splits > 1);
        some("a stride of three", &|s| s.stride == 3);
        some("examples that fill no vector", &|s| s.batch > 1 && s.batch % 2 == 1);
        some("a block of rows that is not full", &|s| s.outputs > ROWS && s.outputs % ROWS > 0);
        some("channels that fill no slice", &|s| s.inputs % SLICE > 0 && s.outputs % SLICE > 0);
        some("columns that fill no block", &|s| {
            s.inputs * s.kernel * s.kernel % COLUMNS > 0
                && s.out_height() * s.out_width() * s.batch % COLUMNS > 0
        });
        for product in 0..3 {
            some("shared sums", &|shape| cuts(*shape)[product].splits > 1);
            some("sums of one block", &|shape| cuts(*shape)[product].splits == 1);
        }
    }
}
