// Sums over the rows of a matrix, for every column: the gradients of a bias, and of the weight of a LayerNorm. Blocks share the rows;
// `add_parts` adds up what they leave.

struct Columns {
    const float* gradient;
    // The rows that were normed, with the mean and 1 / deviation of each; null where only the plain sums are wanted.
    const float* x;
    const float* statistics;
    // Of each share of rows: the plain sums of all columns, then those of the gradient times the normed row.
    float* parts;
    u32 rows, columns;
    // Rows of a block.
    u32 share;
    u32 padding;
};

constexpr u32 SHARING_ROWS = 8;

KERNEL_BOUNDS(column_sums, Columns, 256) {
    __shared__ float plain_sums[SHARING_ROWS][WARP], normed_sums[SHARING_ROWS][WARP];
    const u32 column = blockIdx.x * WARP + threadIdx.x, end = min((blockIdx.y + 1) * a.share, a.rows);
    float plain = 0.0f, normed = 0.0f;
    if (column < a.columns) {
        for (u32 row = blockIdx.y * a.share + threadIdx.y; row < end; row += SHARING_ROWS) {
            const long long i = (long long)row * a.columns + column;
            const float gradient = a.gradient[i];
            plain += gradient;
            if (a.x) {
                normed = fmaf(gradient, (a.x[i] - a.statistics[2 * row]) * a.statistics[2 * row + 1], normed);
            }
        }
    }
    plain_sums[threadIdx.y][threadIdx.x] = plain;
    normed_sums[threadIdx.y][threadIdx.x] = normed;
    __syncthreads();
    if (threadIdx.y > 0 || column >= a.columns) {
        return;
    }
    for (u32 i = 1; i < SHARING_ROWS; ++i) {
        plain += plain_sums[i][threadIdx.x];
        normed += normed_sums[i][threadIdx.x];
    }
    float* part = a.parts + (long long)blockIdx.y * a.columns * (a.x ? 2 : 1) + column;
    part[0] = plain;
    if (a.x) {
        part[a.columns] = normed;
    }
}
