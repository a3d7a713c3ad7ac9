// Low-rank tensor fusion beside its projections (which are `project` and `correlate` with a rank as z).
// Projections are (rank, outputs, batch), planes of `plane` = outputs * batch elements.

struct Fuse {
    const float* first;
    const float* second;
    const float* weights;
    const float* bias;
    float* out;
    u32 rank, plane, batch, padding;
};

// out[o, n] = bias[o] + sum over r of weights[r] first[r, o, n] second[r, o, n], ranks in order.
KERNEL(lrtf_fuse, Fuse) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.plane) {
        return;
    }
    float sum = a.bias[i / a.batch];
    for (u32 r = 0; r < a.rank; ++r) {
        const long long at = (long long)r * a.plane + i;
        sum = fmaf(a.weights[r], a.first[at] * a.second[at], sum);
    }
    a.out[i] = sum;
}

struct FuseBackward {
    const float* first;
    const float* second;
    const float* weights;
    const float* gradient;
    // Of the projections.
    float* to_first;
    float* to_second;
    // Null where it is frozen.
    float* to_weights;
    float* to_bias;
    u32 rank, plane, batch, padding;
};

// A block per rank: the gradients of both projections and of the rank's weight; as many more blocks as it takes for the bias,
// a thread for each output.
KERNEL_BOUNDS(lrtf_backward, FuseBackward, 256) {
    if (blockIdx.x >= a.rank) {
        const u32 output = (blockIdx.x - a.rank) * blockDim.x + threadIdx.x;
        if (a.to_bias && output < a.plane / a.batch) {
            float sum = 0.0f;
            for (u32 n = 0; n < a.batch; ++n) {
                sum += a.gradient[output * a.batch + n];
            }
            a.to_bias[output] += sum;
        }
        return;
    }
    const u32 r = blockIdx.x;
    const float weight = a.weights[r];
    double sum = 0.0;
    for (u32 i = threadIdx.x; i < a.plane; i += blockDim.x) {
        const long long at = (long long)r * a.plane + i;
        const float g = a.gradient[i], first = a.first[at], second = a.second[at];
        a.to_first[at] = g * weight * second;
        a.to_second[at] = g * weight * first;
        sum += (double)(g * (first * second));
    }
    const double total = block_sum(sum, 0.0).x;
    if (a.to_weights && threadIdx.x == 0) {
        a.to_weights[r] += (float)total;
    }
}
