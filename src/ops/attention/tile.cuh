// What the kernels of attention are made of: a warp's products of 16 rows with up to 64 columns, operands in shared memory.
//
// Invariant: every sum is one chain in the order of the terms: of fused multiply-adds, or with TF32 of a tensor core's products of 8
// terms each. Whatever lies beyond the last token or feature is zero there.

// Rows of a warp, tokens of the other side that a block works on at a time, and numbers from row to row of what is made of them.
constexpr u32 BAND = 16, ACROSS = 32, SCORE_PITCH = ACROSS + 4;

// Rows of a thread, and threads that share a row: they are neighbours.
#ifdef I2M2_TENSOR_CORES
constexpr u32 OWN_ROWS = 2, ROW_LANES = 4;
#else
constexpr u32 OWN_ROWS = 4, ROW_LANES = 8;
#endif

// A thread's sums of 16 rows and `columns` columns of its warp.
template <u32 columns> struct Band {
    static constexpr u32 OWN_COLUMNS = BAND * columns / WARP / OWN_ROWS;
#ifdef I2M2_TENSOR_CORES
    // By 8 columns, and as a tensor core has them.
    float at[columns / 8][4];

    __device__ __forceinline__ float& of(u32 i, u32 j) { return at[j / 2][2 * i + j % 2]; }
#else
    float at[OWN_ROWS][OWN_COLUMNS];

    __device__ __forceinline__ float& of(u32 i, u32 j) { return at[i][j]; }
#endif
};

// Where a thread's sums stand: its rows, its columns of scores, and its columns of features.
#ifdef I2M2_TENSOR_CORES
__device__ __forceinline__ u32 band_row(u32 i) { return threadIdx.x % WARP / 4 + 8 * i; }
__device__ __forceinline__ u32 score_column(u32 j) { return 2 * (threadIdx.x % 4) + 8 * (j / 2) + j % 2; }
__device__ __forceinline__ u32 feature_column(u32 j) { return score_column(j); }
#else
__device__ __forceinline__ u32 band_row(u32 i) { return threadIdx.x % WARP / 8 + 4 * i; }
__device__ __forceinline__ u32 score_column(u32 j) { return threadIdx.x % 8 + 8 * j; }
__device__ __forceinline__ u32 feature_column(u32 j) { return threadIdx.x % 8 * 4 + j % 4 + 32 * (j / 4); }
#endif

#ifdef I2M2_TENSOR_CORES
// The operand of a warp's rows from a term on.
__device__ __forceinline__ void band_operand(const float* x, u32 pitch, u32 term, float (&row)[4]) {
    const u32 lane = threadIdx.x % WARP;
#pragma unroll
    for (u32 k = 0; k < 4; ++k) {
        row[k] = x[(lane / 4 + k % 2 * 8) * pitch + term + lane % 4 + k / 2 * 4];
    }
}
#endif

// scores[row, column] += sum over features of x[row, feature] * u[column, feature]; both have `size` features, and rows of `size` + 4.
template <u32 size> __device__ __forceinline__ void add_scores(const float* x, const float* u, Band<ACROSS>& scores) {
    constexpr u32 pitch = size + 4;
#ifdef I2M2_TENSOR_CORES
    const u32 lane = threadIdx.x % WARP;
#pragma unroll
    for (u32 term = 0; term < size; term += 8) {
        float row[4];
        band_operand(x, pitch, term, row);
#pragma unroll
        for (u32 j = 0; j < ACROSS / 8; ++j) {
            const float* at = u + (8 * j + lane / 4) * pitch + term + lane % 4;
            const float column[2] = {at[0], at[4]};
            mma_m16n8k8_tf32(scores.at[j], row, column);
        }
    }
#else
    const float* rows = x + band_row(0) * pitch;
    const float* columns = u + score_column(0) * pitch;
#pragma unroll 2
    for (u32 term = 0; term < size; term += 4) {
        Floats<4> row[OWN_ROWS];
#pragma unroll
        for (u32 i = 0; i < OWN_ROWS; ++i) {
            row[i] = load<4>(rows + 4 * i * pitch + term);
        }
#pragma unroll
        for (u32 j = 0; j < Band<ACROSS>::OWN_COLUMNS; ++j) {
            const Floats<4> column = load<4>(columns + 8 * j * pitch + term);
#pragma unroll
            for (u32 k = 0; k < 4; ++k) {
#pragma unroll
                for (u32 i = 0; i < OWN_ROWS; ++i) {
                    scores.at[i][j] = fmaf(row[i].at[k], column.at[k], scores.at[i][j]);
                }
            }
        }
    }
#endif
}

// sums[row, feature] += sum over the tokens of the other side of d[row, token] * u[token, feature].
template <u32 size> __device__ __forceinline__ void add_features(const float* d, const float* u, Band<size>& sums) {
    constexpr u32 pitch = size + 4;
#ifdef I2M2_TENSOR_CORES
    const u32 lane = threadIdx.x % WARP;
#pragma unroll
    for (u32 term = 0; term < ACROSS; term += 8) {
        float row[4];
        band_operand(d, SCORE_PITCH, term, row);
#pragma unroll
        for (u32 j = 0; j < size / 8; ++j) {
            const float* at = u + (term + lane % 4) * pitch + 8 * j + lane / 4;
            const float column[2] = {at[0], at[4 * pitch]};
            mma_m16n8k8_tf32(sums.at[j], row, column);
        }
    }
#else
    const float* rows = d + band_row(0) * SCORE_PITCH;
    const float* columns = u + feature_column(0);
#pragma unroll 2
    for (u32 term = 0; term < ACROSS; term += 4) {
        Floats<4> row[OWN_ROWS];
#pragma unroll
        for (u32 i = 0; i < OWN_ROWS; ++i) {
            row[i] = load<4>(rows + 4 * i * SCORE_PITCH + term);
        }
#pragma unroll
        for (u32 k = 0; k < 4; ++k) {
#pragma unroll
            for (u32 half = 0; half < size / 32; ++half) {
                const Floats<4> four = load<4>(columns + (term + k) * pitch + 32 * half);
#pragma unroll
                for (u32 j = 0; j < 4; ++j) {
#pragma unroll
                    for (u32 i = 0; i < OWN_ROWS; ++i) {
                        sums.at[i][4 * half + j] = fmaf(row[i].at[k], four.at[j], sums.at[i][4 * half + j]);
                    }
                }
            }
        }
    }
#endif
}

// The largest value, or the sum, over the threads that share a row, in all of them.
__device__ __forceinline__ float row_max(float value) {
#pragma unroll
    for (u32 distance = ROW_LANES / 2; distance > 0; distance /= 2) {
        value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, distance));
    }
    return value;
}

__device__ __forceinline__ float row_sum(float value) {
#pragma unroll
    for (u32 distance = ROW_LANES / 2; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(ALL_LANES, value, distance);
    }
    return value;
}

// Brings features of tokens into shared memory, times a factor: `left` tokens, and `features` features of each, are there.
template <u32 tokens, u32 size>
__device__ __forceinline__ void load_tokens(
    float* to, const float* from, u32 stride, u32 left, u32 features, bool wide, float factor
) {
    for (u32 i = threadIdx.x; i < tokens * size / 4; i += blockDim.x) {
        const u32 token = i / (size / 4), feature = i % (size / 4) * 4;
        const float* at = from + (long long)token * stride + feature;
        Floats<4> four = {};
        if (token < left && wide && feature < features) {
            four = load<4>(at);
        } else if (token < left) {
#pragma unroll
            for (u32 k = 0; k < 4; ++k) {
                four.at[k] = feature + k < features ? at[k] : 0.0f;
            }
        }
#pragma unroll
        for (u32 k = 0; k < 4; ++k) {
            four.at[k] = operand(four.at[k] * factor);
        }
        store<4>(to + token * (size + 4) + feature, four);
    }
}
