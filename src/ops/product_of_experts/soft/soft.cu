// The loss of soft targets. Logits, targets and gradients are classes x examples.
//
// A block has 32 neighbouring examples, one per lane; its warps share the classes between them. Sums over the classes are those
// of the warps, each in the order of its classes, in the order of the warps.

struct SoftForward {
    const float* experts[MOST_EXPERTS];
    const float* targets;
    float* logits;
    float* loss;
    // Two sums per block, and a ticket.
    double* partial;
    u32* ticket;
    u32 count, classes, examples, padding;
};

// The largest of the warps' values, for each lane. Every thread of the block comes here.
__device__ __forceinline__ float largest_of_warps(float own, float (*shares)[WARP]) {
    shares[threadIdx.x / WARP][threadIdx.x % WARP] = own;
    __syncthreads();
    float largest = MINUS_INFINITY;
    for (u32 warp = 0; warp < blockDim.x / WARP; ++warp) {
        const float share = shares[warp][threadIdx.x % WARP];
        largest = share > largest ? share : largest;
    }
    __syncthreads();
    return largest;
}

// The sum of the warps' values, for each lane. Every thread of the block comes here.
__device__ __forceinline__ float sum_of_warps(float own, float (*shares)[WARP]) {
    shares[threadIdx.x / WARP][threadIdx.x % WARP] = own;
    __syncthreads();
    float sum = 0.0f;
    for (u32 warp = 0; warp < blockDim.x / WARP; ++warp) {
        sum += shares[warp][threadIdx.x % WARP];
    }
    __syncthreads();
    return sum;
}

// The logits of the one expert, or log_softmax(sum over e of log_softmax(z_e)); loss = mean of the sums of softplus(z) - t z.
KERNEL_BOUNDS(soft_forward, SoftForward, 1024) {
    __shared__ float shares[WARP][WARP];
    const u32 n = blockIdx.x * WARP + threadIdx.x % WARP, warps = blockDim.x / WARP;
    // A lane without an example has no classes.
    const u32 first = threadIdx.x / WARP, classes = n < a.examples ? a.classes : 0;
    if (a.count == 1) {
        for (u32 k = first; k < classes; k += warps) {
            a.logits[k * a.examples + n] = a.experts[0][k * a.examples + n];
        }
    } else {
        for (u32 e = 0; e < a.count; ++e) {
            // The largest logit is taken off first: sums of large logits then lose nothing that matters.
            float largest = MINUS_INFINITY;
            for (u32 k = first; k < classes; k += warps) {
                const float logit = a.experts[e][k * a.examples + n];
                largest = logit > largest ? logit : largest;
            }
            largest = largest_of_warps(largest, shares);
            for (u32 k = first; k < classes; k += warps) {
                const u32 i = k * a.examples + n;
                const float relative = a.experts[e][i] - largest;
                a.logits[i] = e == 0 ? relative : a.logits[i] + relative;
            }
        }
        float largest = MINUS_INFINITY;
        for (u32 k = first; k < classes; k += warps) {
            const float value = a.logits[k * a.examples + n];
            largest = value > largest ? value : largest;
        }
        largest = largest_of_warps(largest, shares);
        float sum = 0.0f;
        for (u32 k = first; k < classes; k += warps) {
            sum += expf(a.logits[k * a.examples + n] - largest);
        }
        const float log_sum = logf(sum_of_warps(sum, shares));
        for (u32 k = first; k < classes; k += warps) {
            const u32 i = k * a.examples + n;
            a.logits[i] = a.logits[i] - largest - log_sum;
        }
    }
    double total = 0.0;
    for (u32 k = first; k < classes; k += warps) {
        const float z = a.logits[k * a.examples + n], t = a.targets[k * a.examples + n];
        // Nothing large is taken from something large.
        const float magnitude = fabsf(z), share = z > 0.0f ? 1.0f - t : t;
        total += (double)fmaf(share, magnitude, log1pf(expf(-magnitude)));
    }
    double2 sums;
    if (blocks_sum(total, 0.0, a.partial, a.ticket, sums)) {
        *a.loss = (float)(sums.x / (double)a.examples);
    }
}

struct SoftBackward {
    float* gradients[MOST_EXPERTS];
    const float* logits;
    const float* targets;
    const float* loss_gradient;
    u32 count, classes, examples, padding;
};

// sigmoid(z) - t.
__device__ __forceinline__ float soft_residual(float z, float t) { return 1.0f / (1.0f + expf(-z)) - t; }

// Adds (r - p times the sum of r over the classes) / examples, times the loss's gradient, to every expert's gradient, where
// r = sigmoid(z) - t and p = exp(z); one expert has r alone.
KERNEL_BOUNDS(soft_backward, SoftBackward, 1024) {
    __shared__ float shares[WARP][WARP];
    const u32 n = blockIdx.x * WARP + threadIdx.x % WARP, warps = blockDim.x / WARP;
    const u32 first = threadIdx.x / WARP, classes = n < a.examples ? a.classes : 0;
    float sum = 0.0f;
    if (a.count > 1) {
        for (u32 k = first; k < classes; k += warps) {
            const u32 i = k * a.examples + n;
            sum += soft_residual(a.logits[i], a.targets[i]);
        }
        sum = sum_of_warps(sum, shares);
    }
    const float scale = (float)((double)*a.loss_gradient / (double)a.examples);
    for (u32 k = first; k < classes; k += warps) {
        const u32 i = k * a.examples + n;
        const float z = a.logits[i], residual = soft_residual(z, a.targets[i]);
        const float gradient = scale * (a.count > 1 ? fmaf(-expf(z), sum, residual) : residual);
        for (u32 e = 0; e < a.count; ++e) {
            a.gradients[e][i] += gradient;
        }
    }
}
