// Convolutions with many channels, as products of matrices that no memory ever holds (`tile.cuh`): output, input gradient and weight
// gradient.
//
// Where there are few blocks, several share the terms of a sum. Each leaves a result of its own, and `add_parts` (`parts.cu`)
// adds them up in their order.

// Weights in the order in which blocks read them: blocks of rows, blocks of channels, taps, rows, channels. What lies beyond the last
// row or channel is zero.
struct PackWeights {
    const float* weight;
    float* packed;
    u32 rows, channels, taps, weight_row, weight_channel;
    // 1: the last tap first.
    u32 turned;
};

KERNEL(pack_weights, PackWeights) {
    const u32 blocks = (a.channels + SLICE - 1) / SLICE, row_blocks = (a.rows + TILE_ROWS - 1) / TILE_ROWS;
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= row_blocks * blocks * TILE_ROWS * SLICE) {
        return;
    }
    const u32 within = i % (TILE_ROWS * SLICE), block = i / (TILE_ROWS * SLICE);
    const u32 row = block / blocks * TILE_ROWS + within / SLICE, channel = block % blocks * SLICE + within % SLICE;
    const bool inside = row < a.rows && channel < a.channels;
    const float* from = a.weight + (long long)row * a.weight_row + (long long)channel * a.weight_channel;
    float* to = a.packed + (long long)block * a.taps * (TILE_ROWS * SLICE) + within;
    for (u32 tap = 0; tap < a.taps; ++tap) {
        to[(long long)tap * (TILE_ROWS * SLICE)] = inside ? operand(from[a.turned ? a.taps - 1 - tap : tap]) : 0.0f;
    }
}

// out[row, column] (+)= sum over (channel, tap) of weight[row, channel, tap] * input[channel, column + tap]
//
// A column is (y, x, example). Terms run over blocks of 16 channels, in each over the taps, in each over the channels. On the way
// back through a stride, one pixel of the input stands under every `spread`th column of an axis only; columns with the same
// remainder have the same taps. They make a phase, and no other tap is multiplied.
struct BlockedProject {
    // As `pack_weights` leaves them.
    const float* weight;
    const float* input;
    // The output, or as many as blocks share a sum, one after the other.
    float* out;
    u32 rows, channels;
    // The image of the columns, and that of the input.
    u32 height, width, batch, from_height, from_width;
    u32 kernel, stride, spread;
    // Blocks that share a sum.
    u32 splits;
    // 1: adds to what is in `out`.
    u32 accumulate;
};

// What a phase has of an axis: columns, and taps `spread` apart.
struct Axis {
    u32 size, first_tap, taps;
};

__device__ __forceinline__ Axis axis_of(u32 phase, u32 size, u32 kernel, u32 spread) {
    const u32 first_tap = (kernel / 2 + spread - phase) % spread;
    const u32 columns = phase < size ? (size - phase + spread - 1) / spread : 0;
    return {columns, first_tap, first_tap < kernel ? (kernel - first_tap + spread - 1) / spread : 0};
}

// A thread's part of the slices of a [`BlockedProject`]: 8 weights, and one column of all 16 channels.
struct ProjectSource {
    // The thread's first weight of the block of rows, and its example in the first channel.
    const float* weight;
    const float* input;
    // Whether the thread has a column; the pixel under its first tap.
    bool inside;
    int top, left;
    Axis down, across;
    // Of the next slice.
    u32 channel, tap_y, tap_x;
    float columns[SLICE];
    Floats<4> rows[2];
    const BlockedProject& a;

    __device__ __forceinline__ void fetch() {
        const int y = top + (int)tap_y, x = left + (int)tap_x;
        const bool here = inside && (u32)y < a.from_height && (u32)x < a.from_width;
        const long long map = (long long)a.from_height * a.from_width * a.batch;
        const long long pixel = (long long)y * (int)a.from_width + x;
        const float* from = input + (long long)channel * map + pixel * a.batch;
#pragma unroll
        for (u32 k = 0; k < SLICE; ++k) {
            columns[k] = here && channel + k < a.channels ? *from : 0.0f;
            from += map;
        }
        const u32 tap = (down.first_tap + tap_y * a.spread) * a.kernel + across.first_tap + tap_x * a.spread;
        const float* of = weight + ((long long)(channel / SLICE) * a.kernel * a.kernel + tap) * (TILE_ROWS * SLICE);
        rows[0] = load<4>(of);
        rows[1] = load<4>(of + TILE_ROWS * SLICE / 2);
        if (++tap_x == across.taps) {
            tap_x = 0;
            if (++tap_y == down.taps) {
                tap_y = 0;
                channel += SLICE;
            }
        }
    }

    __device__ __forceinline__ void put(Slice& slice) const {
        const u32 thread = threadIdx.x;
        float* to = slice.rows + thread / 4 * PITCH + thread % 4 * 4;
        store<4>(to, rows[0]);
        store<4>(to + TILE_ROWS / 2 * PITCH, rows[1]);
#pragma unroll
        for (u32 k = 0; k < SLICE; k += 4) {
            Floats<4> four;
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                four.at[i] = operand(columns[k + i]);
            }
            store<4>(slice.columns + thread * PITCH + k, four);
        }
    }
};

// Blocks of one column and all rows stand side by side, so that they find its input in the cache. A plane per phase, and one per split.
KERNEL_BOUNDS(blocked_project, BlockedProject, 128) {
    const u32 row_blocks = (a.rows + TILE_ROWS - 1) / TILE_ROWS;
    const u32 row_block = blockIdx.x % row_blocks, first_column = blockIdx.x / row_blocks * TILE_COLUMNS;
    const u32 phase_y = blockIdx.y / a.spread, phase_x = blockIdx.y % a.spread;
    const Axis down = axis_of(phase_y, a.height, a.kernel, a.spread), across = axis_of(phase_x, a.width, a.kernel, a.spread);
    const u32 columns = down.size * across.size * a.batch, taps = down.taps * across.taps;
    const u32 blocks = (a.channels + SLICE - 1) / SLICE;
    if (first_column >= columns || (taps == 0 && a.accumulate)) {
        return;
    }
    const Share share = share_of(blocks * taps, blockIdx.z, a.splits);
    const u32 column = first_column + threadIdx.x;
    const u32 y = column / a.batch / max(across.size, 1u) * a.spread + phase_y;
    const u32 x = column / a.batch % max(across.size, 1u) * a.spread + phase_x;
    const int padding = a.kernel / 2, spread = a.spread;
    const u32 tap = share.begin % max(taps, 1u);
    ProjectSource source = {
        a.weight + (long long)row_block * blocks * a.kernel * a.kernel * (TILE_ROWS * SLICE) + threadIdx.x * 4,
        a.input + column % a.batch,
        column < columns,
        ((int)(y * a.stride + down.first_tap) - padding) / spread,
        ((int)(x * a.stride + across.first_tap) - padding) / spread,
        down,
        across,
        share.begin / max(taps, 1u) * SLICE,
        tap / max(across.taps, 1u),
        tap % max(across.taps, 1u),
        {},
        {},
        a,
    };
    Sums sums = {};
    add_slices(source, share.end - share.begin, sums);

    const long long row_size = (long long)a.height * a.width * a.batch;
    float* out = a.out + (long long)blockIdx.z * a.rows * row_size;
#pragma unroll
    for (u32 j = 0; j < THREAD_COLUMNS; ++j) {
        const u32 to = first_column + column_of(j);
        if (to >= columns) {
            continue;
        }
        long long place = to;
        if (a.spread > 1) {
            const u32 to_y = to / a.batch / across.size * a.spread + phase_y;
            const u32 to_x = to / a.batch % across.size * a.spread + phase_x;
            place = ((long long)to_y * a.width + to_x) * a.batch + to % a.batch;
        }
#pragma unroll
        for (u32 i = 0; i < THREAD_ROWS; ++i) {
            const u32 row = row_block * TILE_ROWS + row_of(i);
            if (row < a.rows) {
                float* one = out + (long long)row * row_size + place;
                *one = a.accumulate ? *one + sums.of(i, j) : sums.of(i, j);
            }
        }
    }
}

// sums[row, channel, tap] (+)= sum over j of gradient[row, j] * input[channel, j + tap]
//
// Columns of the product are (channel, tap), its terms j = (y, x, example).
struct BlockedCorrelate {
    const float* gradient;
    const float* input;
    // The sums, or as many as blocks share one, one after the other.
    float* sums;
    u32 rows, channels;
    // The image of the gradient, and that of the input.
    u32 height, width, batch, from_height, from_width;
    u32 kernel, stride;
    // Blocks that share a sum.
    u32 splits;
    // 1: adds to what is in `sums`.
    u32 accumulate;
    // Pairs (channel, tap).
    u32 pairs;
};

// Where the input of a column stands, from that under a term's first tap; and its tap as a bit, none for what is no column.
struct Tap {
    long long offset;
    u32 bit, unused;
};

// A thread's part of the slices of a [`BlockedCorrelate`]: one j of 8 rows and of 16 columns.
struct CorrelateSource {
    const Tap* taps;
    // Of the thread's first row.
    const float* gradient;
    // The thread's next j, and the first one that is another block's.
    u32 j, end;
    // Rows that there are, from the thread's first one on.
    int rows_left;
    float rows[TILE_ROWS / 8], columns[TILE_COLUMNS / 8];
    const BlockedCorrelate& a;

    __device__ __forceinline__ void fetch() {
        const u32 pixel = j / a.batch, y = pixel / a.width, x = pixel % a.width;
        const int top = (int)(y * a.stride) - (int)(a.kernel / 2), left = (int)(x * a.stride) - (int)(a.kernel / 2);
        // Taps inside of the image.
        u32 in_row = 0, inside = 0;
        for (u32 tap = 0; tap < a.kernel; ++tap) {
            in_row |= (u32)((u32)(left + (int)tap) < a.from_width) << tap;
        }
        for (u32 tap = 0; tap < a.kernel; ++tap) {
            inside |= (u32)(top + (int)tap) < a.from_height ? in_row << tap * a.kernel : 0;
        }
        const bool here = j < end;
        inside = here ? inside : 0;
        const long long row_size = (long long)a.height * a.width * a.batch;
#pragma unroll
        for (u32 i = 0; i < TILE_ROWS / 8; ++i) {
            rows[i] = here && (int)(8 * i) < rows_left ? gradient[8 * i * row_size + j] : 0.0f;
        }
        const long long under = (long long)top * (int)a.from_width + left;
        const float* from = a.input + under * (int)a.batch + j % a.batch;
#pragma unroll
        for (u32 i = 0; i < TILE_COLUMNS / 8; ++i) {
            const Tap tap = taps[8 * i];
            columns[i] = inside & tap.bit ? from[tap.offset] : 0.0f;
        }
        j += SLICE;
    }

    __device__ __forceinline__ void put(Slice& slice) const {
        const u32 at = threadIdx.x / SLICE * PITCH + threadIdx.x % SLICE;
#pragma unroll
        for (u32 i = 0; i < TILE_ROWS / 8; ++i) {
            slice.rows[at + 8 * i * PITCH] = operand(rows[i]);
        }
#pragma unroll
        for (u32 i = 0; i < TILE_COLUMNS / 8; ++i) {
            slice.columns[at + 8 * i * PITCH] = operand(columns[i]);
        }
    }
};

KERNEL_BOUNDS(blocked_correlate, BlockedCorrelate, 128) {
    __shared__ Tap taps[TILE_COLUMNS];
    const u32 row_blocks = (a.rows + TILE_ROWS - 1) / TILE_ROWS;
    const u32 first_row = blockIdx.x % row_blocks * TILE_ROWS, first_column = blockIdx.x / row_blocks * TILE_COLUMNS;
    const u32 all = a.height * a.width * a.batch;
    {
        const u32 column = first_column + threadIdx.x, count = a.kernel * a.kernel;
        const u32 channel = column / count, tap = column % count;
        const long long pixel = ((long long)channel * a.from_height + tap / a.kernel) * a.from_width + tap % a.kernel;
        taps[threadIdx.x] = {pixel * a.batch, column < a.pairs ? 1u << tap : 0u, 0};
    }
    __syncthreads();
    const Share share = share_of((all + SLICE - 1) / SLICE, blockIdx.y, a.splits);
    const u32 row = first_row + threadIdx.x / SLICE;
    CorrelateSource source = {
        taps + threadIdx.x / SLICE,
        a.gradient + (long long)row * all,
        share.begin * SLICE + threadIdx.x % SLICE,
        min(share.end * SLICE, all),
        (int)a.rows - (int)row,
        {},
        {},
        a,
    };
    Sums sums = {};
    add_slices(source, share.end - share.begin, sums);

    float* out = a.sums + (long long)blockIdx.y * a.rows * a.pairs;
#pragma unroll
    for (u32 i = 0; i < THREAD_ROWS; ++i) {
#pragma unroll
        for (u32 j = 0; j < THREAD_COLUMNS; ++j) {
            const u32 to = first_row + row_of(i), column = first_column + column_of(j);
            if (to < a.rows && column < a.pairs) {
                float* one = out + (long long)to * a.pairs + column;
                *one = a.accumulate ? *one + sums.of(i, j) : sums.of(i, j);
            }
        }
    }
}
