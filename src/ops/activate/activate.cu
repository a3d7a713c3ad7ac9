// GELU and tanh of every element, and their gradients.

struct Activate {
    const float* x;
    // In backward: the gradient of the output.
    const float* gradient;
    // The output, or in backward the gradient of `x`, which is added to.
    float* out;
    u32 count;
    // 0: GELU; 1: tanh.
    u32 function;
};

// The standard normal distribution below x. Its complement keeps the small values on the negative side exact.
__device__ __forceinline__ float normal_below(float x) { return 0.5f * erfcf(x * -0.70710678118654752f); }

KERNEL(activate, Activate) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < a.count) {
        const float x = a.x[i];
        a.out[i] = a.function == 0 ? x * normal_below(x) : tanhf(x);
    }
}

KERNEL(activate_backward, Activate) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.count) {
        return;
    }
    const float x = a.x[i];
    float slope;
    if (a.function == 0) {
        slope = fmaf(x, expf(-0.5f * x * x) * 0.39894228040143268f, normal_below(x));
    } else {
        const float y = tanhf(x);
        slope = fmaf(-y, y, 1.0f);
    }
    a.out[i] = fmaf(a.gradient[i], slope, a.out[i]);
}
