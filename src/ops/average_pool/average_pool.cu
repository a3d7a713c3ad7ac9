// The mean over windows that cut a map into side x side parts. Maps are (channels, height, width, batch).

struct AveragePool {
    const float* from;
    float* to;
    u32 channels, height, width, batch, side, padding;
};

// The window of output `i`: rows (or columns) first up to, and without, end.
__device__ __forceinline__ uint2 window(u32 i, u32 size, u32 side) {
    return make_uint2(i * size / side, ((i + 1) * size + side - 1) / side);
}

// A thread per output.
KERNEL(average_pool, AveragePool) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.channels * a.side * a.side * a.batch) {
        return;
    }
    const u32 n = i % a.batch, column = i / a.batch % a.side, row = i / a.batch / a.side % a.side;
    const u32 channel = i / a.batch / a.side / a.side;
    const uint2 rows = window(row, a.height, a.side), columns = window(column, a.width, a.side);
    float sum = 0.0f;
    for (u32 y = rows.x; y < rows.y; ++y) {
        for (u32 x = columns.x; x < columns.y; ++x) {
            sum += a.from[((long long)(channel * a.height + y) * a.width + x) * a.batch + n];
        }
    }
    a.to[i] = sum / (float)((rows.y - rows.x) * (columns.y - columns.x));
}

// A thread per input: the shares of the windows that hold it, at most two each way.
KERNEL(average_pool_backward, AveragePool) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.channels * a.height * a.width * a.batch) {
        return;
    }
    const u32 n = i % a.batch, x = i / a.batch % a.width, y = i / a.batch / a.width % a.height;
    const u32 channel = i / a.batch / a.width / a.height;
    const u32 row = y * a.side / a.height, column = x * a.side / a.width;
    float sum = 0.0f;
    for (u32 r = row > 0 ? row - 1 : 0; r < min(row + 2, a.side); ++r) {
        const uint2 rows = window(r, a.height, a.side);
        for (u32 c = column > 0 ? column - 1 : 0; c < min(column + 2, a.side); ++c) {
            const uint2 columns = window(c, a.width, a.side);
            if (y >= rows.x && y < rows.y && x >= columns.x && x < columns.y) {
                const float share = 1.0f / (float)((rows.y - rows.x) * (columns.y - columns.x));
                sum += share * a.from[((channel * a.side + r) * a.side + c) * a.batch + n];
            }
        }
    }
    a.to[i] += sum;
}
