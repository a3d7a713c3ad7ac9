// The product of two matrices that blocks of many sums are made of: 64 rows times 128 columns, terms in slices of 16.
//
//   sum[row, column] += sum over the terms of a slice of rows[row, term] * columns[column, term]
//
// A block is 4 warps, each with 32 rows and 64 columns, 64 sums to a thread. While a slice is multiplied, the next one is on its way
// into registers; it then goes to the other half of the shared memory, so that one barrier a slice is enough.
//
// Invariant: every sum is one chain in the order of the terms: of fused multiply-adds, or with TF32 of a tensor core's products of 8
// terms each.

constexpr u32 TILE_ROWS = 64, TILE_COLUMNS = 128, TILE_THREADS = 128, SLICE = 16;
// Numbers from row to row of a slice: four more than there are, so that neither the stores nor the loads of a warp meet in a bank.
constexpr u32 PITCH = SLICE + 4;

struct alignas(16) Slice {
    float rows[TILE_ROWS * PITCH];
    float columns[TILE_COLUMNS * PITCH];
};

// Sums of a thread, and which rows and columns of the block they have.
#ifdef I2M2_TENSOR_CORES
constexpr u32 THREAD_ROWS = 4, THREAD_COLUMNS = 16;

struct Sums {
    // By 16 rows, 8 columns, and as a tensor core has them.
    float at[THREAD_ROWS / 2][THREAD_COLUMNS / 2][4];

    __device__ __forceinline__ float of(u32 i, u32 j) const { return at[i / 2][j / 2][2 * (i % 2) + j % 2]; }
};

__device__ __forceinline__ u32 row_of(u32 i) {
    return threadIdx.x / 64 * 32 + threadIdx.x % WARP / 4 + 8 * i;
}

__device__ __forceinline__ u32 column_of(u32 j) {
    return threadIdx.x / WARP % 2 * 64 + 2 * (threadIdx.x % 4) + 8 * (j / 2) + j % 2;
}

__device__ __forceinline__ void multiply(const Slice& slice, Sums& sums) {
    const u32 lane = threadIdx.x % WARP;
    const float* rows = slice.rows + row_of(0) * PITCH + lane % 4;
    const float* columns = slice.columns + (threadIdx.x / WARP % 2 * 64 + lane / 4) * PITCH + lane % 4;
#pragma unroll
    for (u32 term = 0; term < SLICE; term += 8) {
        float row[THREAD_ROWS / 2][4];
#pragma unroll
        for (u32 i = 0; i < THREAD_ROWS / 2; ++i) {
#pragma unroll
            for (u32 k = 0; k < 4; ++k) {
                row[i][k] = rows[(16 * i + k % 2 * 8) * PITCH + term + k / 2 * 4];
            }
        }
#pragma unroll
        for (u32 j = 0; j < THREAD_COLUMNS / 2; ++j) {
            const float column[2] = {columns[8 * j * PITCH + term], columns[8 * j * PITCH + term + 4]};
#pragma unroll
            for (u32 i = 0; i < THREAD_ROWS / 2; ++i) {
                mma_m16n8k8_tf32(sums.at[i][j], row[i], column);
            }
        }
    }
}
#else
constexpr u32 THREAD_ROWS = 8, THREAD_COLUMNS = 8;

struct Sums {
    float at[THREAD_ROWS][THREAD_COLUMNS];

    __device__ __forceinline__ float of(u32 i, u32 j) const { return at[i][j]; }
};

__device__ __forceinline__ u32 row_of(u32 i) {
    return threadIdx.x / 64 * 32 + threadIdx.x % WARP / 8 + 4 * i;
}

__device__ __forceinline__ u32 column_of(u32 j) {
    return threadIdx.x / WARP % 2 * 64 + threadIdx.x % 8 + 8 * j;
}

__device__ __forceinline__ void multiply(const Slice& slice, Sums& sums) {
    const float* rows = slice.rows + row_of(0) * PITCH;
    const float* columns = slice.columns + column_of(0) * PITCH;
    // Not unrolled: the compiler would bring the loads of all four rounds forward, and of their registers two blocks fill a
    // multiprocessor in place of three.
#pragma unroll 1
    for (u32 term = 0; term < SLICE; term += 4) {
        Floats<4> row[THREAD_ROWS];
#pragma unroll
        for (u32 i = 0; i < THREAD_ROWS; ++i) {
            row[i] = load<4>(rows + 4 * i * PITCH + term);
        }
#pragma unroll
        for (u32 j = 0; j < THREAD_COLUMNS; ++j) {
            const Floats<4> column = load<4>(columns + 8 * j * PITCH + term);
#pragma unroll
            for (u32 k = 0; k < 4; ++k) {
#pragma unroll
                for (u32 i = 0; i < THREAD_ROWS; ++i) {
                    sums.at[i][j] = fmaf(row[i].at[k], column.at[k], sums.at[i][j]);
                }
            }
        }
    }
}
#endif

// Adds up `slices` slices of a source: `fetch` brings the next one into registers, `put` writes it down.
template <typename Source>
__device__ __forceinline__ void add_slices(Source& source, u32 slices, Sums& sums) {
    __shared__ Slice halves[2];
    if (slices == 0) {
        return;
    }
    source.fetch();
    source.put(halves[0]);
    __syncthreads();
    for (u32 slice = 0; slice < slices; ++slice) {
        const bool more = slice + 1 < slices;
        if (more) {
            source.fetch();
        }
        multiply(halves[slice % 2], sums);
        if (more) {
            source.put(halves[(slice + 1) % 2]);
        }
        __syncthreads();
    }
}

// The part of `all` slices that falls to one of `splits` blocks.
struct Share { u32 begin, end; };

__device__ __forceinline__ Share share_of(u32 all, u32 split, u32 splits) {
    const u32 size = (all + splits - 1) / splits;
    const u32 begin = min(split * size, all);
    return {begin, min(begin + size, all)};
}
