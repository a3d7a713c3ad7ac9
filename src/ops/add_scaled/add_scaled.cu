// o + alpha z, and the gradients of z and alpha. That of `o` is handed on by `add_to`.

struct AddScaled {
    const float* o;
    const float* z;
    const float* alpha;
    float* out;
    u32 count, padding;
};

KERNEL(add_scaled, AddScaled) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < a.count) {
        a.out[i] = fmaf(a.z[i], *a.alpha, a.o[i]);
    }
}

struct AddScaledBackward {
    const float* z;
    const float* gradient;
    const float* alpha;
    float* z_gradient;
    // Null where alpha is not trained.
    float* alpha_gradient;
    // Two numbers per block, and a ticket.
    double* partial;
    u32* ticket;
    u32 count, padding;
};

// Alpha's sum is taken in double: over the elements of each thread, the threads of each block, and the blocks.
KERNEL_BOUNDS(add_scaled_backward, AddScaledBackward, 256) {
    double along = 0.0;
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < a.count; i += gridDim.x * blockDim.x) {
        const float gradient = a.gradient[i];
        a.z_gradient[i] = fmaf(gradient, *a.alpha, a.z_gradient[i]);
        along += (double)a.z[i] * (double)gradient;
    }
    double2 total;
    if (a.alpha_gradient && blocks_sum(along, 0.0, a.partial, a.ticket, total)) {
        *a.alpha_gradient += (float)total.x;
    }
}
