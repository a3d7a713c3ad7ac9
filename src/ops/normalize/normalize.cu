// Every row divided by its Euclidean norm: a warp has a row.

struct Normalize {
    const float* x;
    // In backward: the gradient of the output.
    const float* gradient;
    // The output, or in backward the gradient of `x`, which is added to.
    float* out;
    u32 rows, features;
};

KERNEL_BOUNDS(normalize, Normalize, 256) {
    const u32 row = (blockIdx.x * blockDim.x + threadIdx.x) / WARP, lane = threadIdx.x % WARP;
    if (row >= a.rows) {
        return;
    }
    const float* x = a.x + (long long)row * a.features;
    float square = 0.0f;
    for (u32 i = lane; i < a.features; i += WARP) {
        square = fmaf(x[i], x[i], square);
    }
    const float norm = sqrtf(warp_sum(square));
    for (u32 i = lane; i < a.features; i += WARP) {
        a.out[(long long)row * a.features + i] = x[i] / norm;
    }
}

KERNEL_BOUNDS(normalize_backward, Normalize, 256) {
    const u32 row = (blockIdx.x * blockDim.x + threadIdx.x) / WARP, lane = threadIdx.x % WARP;
    if (row >= a.rows) {
        return;
    }
    const float* x = a.x + (long long)row * a.features;
    const float* gradient = a.gradient + (long long)row * a.features;
    float square = 0.0f, along = 0.0f;
    for (u32 i = lane; i < a.features; i += WARP) {
        square = fmaf(x[i], x[i], square);
        along = fmaf(x[i], gradient[i], along);
    }
    square = warp_sum(square);
    along = warp_sum(along) / square;
    const float norm = sqrtf(square);
    for (u32 i = lane; i < a.features; i += WARP) {
        a.out[(long long)row * a.features + i] += (gradient[i] - along * x[i]) / norm;
    }
}
