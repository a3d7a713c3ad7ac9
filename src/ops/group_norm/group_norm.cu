// GroupNorm and ReLU. Maps are (channels, height, width, batch); statistics are the means of each group and example, then as
// many times 1 / deviation.
//
// Sums are taken in double: each thread over its elements, then over the block. A block has a group of one example, or a
// channel; no sum is split over blocks.

struct GroupNorm {
    const float* x;
    const float* weight;
    const float* bias;
    float* statistics;
    // The output, or in backward its gradient.
    float* out;
    float* x_gradient;
    float* weight_gradient;
    float* bias_gradient;
    // In backward: two sums of each group and example.
    float* sums;
    double epsilon;
    u32 channels, groups, map, batch;
};

// A sum over the block, in every thread.
__device__ __forceinline__ double2 block_sum_for_all(double first, double second) {
    __shared__ double2 all;
    const double2 sum = block_sum(first, second);
    if (threadIdx.x == 0) {
        all = sum;
    }
    __syncthreads();
    const double2 found = all;
    __syncthreads();
    return found;
}

// Mean, then squares around it. A block per group and example.
KERNEL_BOUNDS(group_statistics, GroupNorm, 256) {
    const u32 group = blockIdx.x / a.batch, n = blockIdx.x % a.batch;
    const u32 count = a.channels / a.groups * a.map;
    const float* x = a.x + (long long)group * count * a.batch + n;
    double sum = 0.0;
    for (u32 i = threadIdx.x; i < count; i += blockDim.x) {
        sum += (double)x[(long long)i * a.batch];
    }
    const double mean = block_sum_for_all(sum, 0.0).x / (double)count;
    double squares = 0.0;
    for (u32 i = threadIdx.x; i < count; i += blockDim.x) {
        const double away = (double)x[(long long)i * a.batch] - mean;
        squares += away * away;
    }
    const double variance = block_sum_for_all(squares, 0.0).x / (double)count;
    if (threadIdx.x == 0) {
        a.statistics[blockIdx.x] = (float)mean;
        a.statistics[a.groups * a.batch + blockIdx.x] = (float)(1.0 / sqrt(variance + a.epsilon));
    }
}

// What an element is made of.
struct Normed {
    float hat, inverse, value;
    u32 channel, place;
};

__device__ __forceinline__ Normed normed(const GroupNorm& a, long long i) {
    Normed found;
    found.channel = (u32)(i / ((long long)a.map * a.batch));
    found.place = found.channel / (a.channels / a.groups) * a.batch + (u32)(i % a.batch);
    found.inverse = a.statistics[a.groups * a.batch + found.place];
    found.hat = (a.x[i] - a.statistics[found.place]) * found.inverse;
    found.value = fmaf(found.hat, a.weight[found.channel], a.bias[found.channel]);
    return found;
}

KERNEL(group_norm_relu, GroupNorm) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < (long long)a.channels * a.map * a.batch) {
        const float value = normed(a, i).value;
        // Written so that a NaN stays one.
        a.out[i] = value < 0.0f ? 0.0f : value;
    }
}

// Of each group and example: the sums of weight * gradient, and of that times the normed input.
KERNEL_BOUNDS(group_backward_sums, GroupNorm, 256) {
    const u32 group = blockIdx.x / a.batch, n = blockIdx.x % a.batch;
    const u32 count = a.channels / a.groups * a.map;
    const long long first = (long long)group * count * a.batch + n;
    double plain = 0.0, with_hat = 0.0;
    for (u32 k = threadIdx.x; k < count; k += blockDim.x) {
        const long long i = first + (long long)k * a.batch;
        const Normed here = normed(a, i);
        if (here.value > 0.0f) {
            const double gradient = (double)a.out[i] * (double)a.weight[here.channel];
            plain += gradient;
            with_hat += gradient * (double)here.hat;
        }
    }
    const double2 sum = block_sum(plain, with_hat);
    if (threadIdx.x == 0) {
        a.sums[2 * blockIdx.x] = (float)sum.x;
        a.sums[2 * blockIdx.x + 1] = (float)sum.y;
    }
}

// Gradients of weight and bias. A block per channel.
KERNEL_BOUNDS(group_backward_affine, GroupNorm, 256) {
    const u32 count = a.map * a.batch;
    const long long first = (long long)blockIdx.x * count;
    double plain = 0.0, with_hat = 0.0;
    for (u32 k = threadIdx.x; k < count; k += blockDim.x) {
        const Normed here = normed(a, first + k);
        if (here.value > 0.0f) {
            const double gradient = (double)a.out[first + k];
            plain += gradient;
            with_hat += gradient * (double)here.hat;
        }
    }
    const double2 sum = block_sum(plain, with_hat);
    if (threadIdx.x == 0) {
        if (a.weight_gradient) {
            a.weight_gradient[blockIdx.x] += (float)sum.y;
        }
        if (a.bias_gradient) {
            a.bias_gradient[blockIdx.x] += (float)sum.x;
        }
    }
}

KERNEL(group_backward_spread, GroupNorm) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (long long)a.channels * a.map * a.batch) {
        return;
    }
    const Normed here = normed(a, i);
    const float gradient = here.value > 0.0f ? a.out[i] * a.weight[here.channel] : 0.0f;
    const float share = 1.0f / (float)(a.channels / a.groups * a.map);
    const float common = fmaf(here.hat, a.sums[2 * here.place + 1], a.sums[2 * here.place]) * share;
    a.x_gradient[i] = fmaf(gradient - common, here.inverse, a.x_gradient[i]);
}
