// A linear layer of tokens: products of matrices in tiles (`tile.cuh`).
//
//   out[row, column] (+)= bias[column] + sum over terms of rows[row, term] * columns[column, term]
//
// Of a matrix, either the terms of a row are neighbours, or the rows of a term:
//
//   output            tokens x inputs        times  outputs x inputs       both by row
//   tokens' gradient  tokens x outputs       times  outputs x inputs       the second by term
//   weight's gradient (tokens x outputs)     times  (tokens x inputs)      both by term
//
// Where there are few blocks, several share the terms of a sum (`parts.cu`).
struct TokenLinear {
    const float* rows;
    const float* columns;
    // Null where there is none.
    const float* bias;
    // The result, or as many as blocks share a sum, one after the other.
    float* out;
    u32 row_count, column_count, terms;
    // Numbers from row to row of a matrix, or from term to term.
    u32 row_stride, column_stride;
    // Blocks that share a sum.
    u32 splits;
    // 1: adds to what is in `out`.
    u32 accumulate;
    // 1: four neighbouring terms of a matrix by row can be read at once.
    u32 wide;
};

// A thread's part of the slices of one matrix, of which a block has `size` rows.
template <u32 size, bool by_term> struct Operand {
    static constexpr u32 COUNT = size * SLICE / TILE_THREADS;
    // Of the block's first row, in its first term.
    const float* from;
    u32 stride;
    // Rows that there are, from the block's first one on.
    u32 left;
    float values[COUNT];

    // By row: four terms of every `TILE_THREADS / 4`th row. By term: `COUNT` terms of one row.
    __device__ __forceinline__ void fetch(u32 term, u32 end, bool wide) {
        if (by_term) {
            const u32 row = threadIdx.x % size;
            term += threadIdx.x / size * COUNT;
            const float* at = from + (long long)term * stride + row;
#pragma unroll
            for (u32 k = 0; k < COUNT; ++k) {
                values[k] = row < left && term + k < end ? *at : 0.0f;
                at += stride;
            }
            return;
        }
        term += threadIdx.x % 4 * 4;
#pragma unroll
        for (u32 i = 0; i < COUNT / 4; ++i) {
            const u32 row = threadIdx.x / 4 + i * (TILE_THREADS / 4);
            const float* at = from + (long long)row * stride + term;
            Floats<4> four = {};
            if (row < left && wide && term < end) {
                four = load<4>(at);
            } else if (row < left) {
#pragma unroll
                for (u32 k = 0; k < 4; ++k) {
                    four.at[k] = term + k < end ? at[k] : 0.0f;
                }
            }
#pragma unroll
            for (u32 k = 0; k < 4; ++k) {
                values[4 * i + k] = four.at[k];
            }
        }
    }

    __device__ __forceinline__ void put(float* to) const {
        const u32 row = by_term ? threadIdx.x % size : threadIdx.x / 4;
        const u32 term = by_term ? threadIdx.x / size * COUNT : threadIdx.x % 4 * 4;
#pragma unroll
        for (u32 i = 0; i < COUNT / 4; ++i) {
            Floats<4> four;
#pragma unroll
            for (u32 k = 0; k < 4; ++k) {
                four.at[k] = operand(values[4 * i + k]);
            }
            store<4>(to + (by_term ? row * PITCH + term + 4 * i : (row + i * (TILE_THREADS / 4)) * PITCH + term), four);
        }
    }
};

template <bool rows_by_term, bool columns_by_term> struct TokenSource {
    Operand<TILE_ROWS, rows_by_term> rows;
    Operand<TILE_COLUMNS, columns_by_term> columns;
    // The next term, and the end of them.
    u32 term, end;
    bool wide;

    __device__ __forceinline__ void fetch() {
        rows.fetch(term, end, wide);
        columns.fetch(term, end, wide);
        term += SLICE;
    }

    __device__ __forceinline__ void put(Slice& slice) const {
        rows.put(slice.rows);
        columns.put(slice.columns);
    }
};

// Blocks of the same rows stand side by side, so that they find these in the cache; a plane for each split.
template <bool rows_by_term, bool columns_by_term>
__device__ __forceinline__ void token_product(const TokenLinear& a) {
    const u32 column_blocks = (a.column_count + TILE_COLUMNS - 1) / TILE_COLUMNS;
    const u32 first_row = blockIdx.x / column_blocks * TILE_ROWS;
    const u32 first_column = blockIdx.x % column_blocks * TILE_COLUMNS;
    const Share share = share_of((a.terms + SLICE - 1) / SLICE, blockIdx.y, a.splits);
    TokenSource<rows_by_term, columns_by_term> source = {
        {a.rows + (long long)first_row * (rows_by_term ? 1 : a.row_stride), a.row_stride, a.row_count - first_row, {}},
        {a.columns + (long long)first_column * (columns_by_term ? 1 : a.column_stride), a.column_stride,
         a.column_count - first_column, {}},
        share.begin * SLICE,
        a.terms,
        a.wide != 0,
    };
    Sums sums = {};
    add_slices(source, share.end - share.begin, sums);

    float* out = a.out + (long long)blockIdx.y * a.row_count * a.column_count;
#pragma unroll
    for (u32 j = 0; j < THREAD_COLUMNS; ++j) {
        const u32 column = first_column + column_of(j);
        if (column >= a.column_count) {
            continue;
        }
        const float bias = a.bias && blockIdx.y == 0 ? a.bias[column] : 0.0f;
#pragma unroll
        for (u32 i = 0; i < THREAD_ROWS; ++i) {
            const u32 row = first_row + row_of(i);
            if (row < a.row_count) {
                float* one = out + (long long)row * a.column_count + column;
                const float sum = sums.of(i, j) + bias;
                *one = a.accumulate ? *one + sum : sum;
            }
        }
    }
}

KERNEL_BOUNDS(token_linear, TokenLinear, 128) { token_product<false, false>(a); }
KERNEL_BOUNDS(token_linear_tokens, TokenLinear, 128) { token_product<false, true>(a); }
KERNEL_BOUNDS(token_linear_weight, TokenLinear, 128) { token_product<true, true>(a); }
