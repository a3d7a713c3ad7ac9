// What the device can do at most: multiply-adds out of registers, and copying memory.

struct Ceiling {
    const float* from;
    float* to;
    // Floats that are copied, or rounds of multiply-adds.
    u32 count, padding;
};

// 8 independent chains of `count` multiply-adds per thread.
KERNEL_BOUNDS(ceiling_multiply_adds, Ceiling, 256) {
    const u32 thread = blockIdx.x * blockDim.x + threadIdx.x;
    float sum[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        sum[i] = a.from[(thread + i) % 256];
    }
    const float factor = a.from[thread % 256];
    for (u32 round = 0; round < a.count; ++round) {
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            sum[i] = fmaf(sum[i], factor, factor);
        }
    }
    float total = 0.0f;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        total += sum[i];
    }
    a.to[thread] = total;
}

KERNEL_BOUNDS(ceiling_copy, Ceiling, 256) {
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < a.count / 4; i += gridDim.x * blockDim.x) {
        store<4>(a.to + 4 * i, load<4>(a.from + 4 * i));
    }
}
