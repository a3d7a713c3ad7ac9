// LayerNorm of every token: a warp has a row. Gradients of weight and bias are the sums of `columns.cu`.

struct LayerNorm {
    const float* x;
    const float* weight;
    const float* bias;
    // In backward: the gradient of the output.
    const float* gradient;
    // In backward: mean and 1 / deviation of each row, for the sums over rows.
    float* statistics;
    // The output, or in backward the gradient of `x`, which is added to.
    float* out;
    u32 rows, features;
    float epsilon;
    u32 padding;
};

// Mean of a row and the inverse of its deviation, in every lane.
__device__ __forceinline__ float2 row_statistics(const LayerNorm& a, const float* x) {
    const u32 lane = threadIdx.x % WARP;
    float sum = 0.0f, squares = 0.0f;
    for (u32 i = lane; i < a.features; i += WARP) {
        sum += x[i];
    }
    const float mean = warp_sum(sum) / (float)a.features;
    for (u32 i = lane; i < a.features; i += WARP) {
        const float away = x[i] - mean;
        squares = fmaf(away, away, squares);
    }
    const float variance = warp_sum(squares) / (float)a.features;
    return make_float2(mean, 1.0f / sqrtf(variance + a.epsilon));
}

KERNEL_BOUNDS(layer_norm, LayerNorm, 256) {
    const u32 row = (blockIdx.x * blockDim.x + threadIdx.x) / WARP;
    if (row >= a.rows) {
        return;
    }
    const float* x = a.x + (long long)row * a.features;
    float* out = a.out + (long long)row * a.features;
    const float2 found = row_statistics(a, x);
    for (u32 i = threadIdx.x % WARP; i < a.features; i += WARP) {
        out[i] = fmaf((x[i] - found.x) * found.y, a.weight[i], a.bias[i]);
    }
}

KERNEL_BOUNDS(layer_norm_backward, LayerNorm, 256) {
    const u32 row = (blockIdx.x * blockDim.x + threadIdx.x) / WARP, lane = threadIdx.x % WARP;
    if (row >= a.rows) {
        return;
    }
    const float* x = a.x + (long long)row * a.features;
    const float* gradient = a.gradient + (long long)row * a.features;
    float* out = a.out + (long long)row * a.features;
    const float2 found = row_statistics(a, x);
    if (lane == 0) {
        a.statistics[2 * row] = found.x;
        a.statistics[2 * row + 1] = found.y;
    }
    float total = 0.0f, along = 0.0f;
    for (u32 i = lane; i < a.features; i += WARP) {
        const float g = gradient[i] * a.weight[i];
        total += g;
        along = fmaf(g, (x[i] - found.x) * found.y, along);
    }
    total = warp_sum(total) / (float)a.features;
    along = warp_sum(along) / (float)a.features;
    for (u32 i = lane; i < a.features; i += WARP) {
        const float normed = (x[i] - found.x) * found.y, g = gradient[i] * a.weight[i] - total;
        out[i] = fmaf(fmaf(-along, normed, g), found.y, out[i]);
    }
}
