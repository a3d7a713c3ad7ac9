// GroupNorm and ReLU. Maps are (channels, height, width, batch); statistics are the means of each group and example, then as
// many times 1 / deviation.
//
// Sums are taken in double, for `abreast` neighbouring examples at a time, so that neighbouring threads read neighbouring numbers
// whatever the batch. Where a sum is long, several blocks share it: each leaves a part, and the one that comes last adds them up.

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
    // In backward: two sums of each group and example, and of each channel and example.
    float* sums;
    double* channel_sums;
    // Two numbers for each block and example, and one ticket per sum; unused where no block shares one.
    double* parts;
    u32* tickets;
    double epsilon;
    u32 channels, groups, map, batch;
    // Examples of a block: a power of two up to 32.
    u32 abreast;
    // Blocks that share a sum, none of them without a part in it (blockIdx.x).
    u32 chunks;
};

constexpr u32 NORM_THREADS = 256;

// Where a thread of a sum stands: blockIdx.y has a group or channel, and in it `abreast` examples.
struct NormThread {
    u32 unit, example, lane, lanes;
    // Its part of the terms, and whether there is such an example.
    u32 begin, end;
    bool inside;
};

__device__ __forceinline__ u32 norm_share(const GroupNorm& a, u32 terms) {
    return (terms + a.chunks - 1) / a.chunks;
}

__device__ __forceinline__ NormThread norm_thread(const GroupNorm& a, u32 terms) {
    const u32 sets = (a.batch + a.abreast - 1) / a.abreast, share = norm_share(a, terms);
    NormThread found;
    found.unit = blockIdx.y / sets;
    found.example = blockIdx.y % sets * a.abreast + threadIdx.x % a.abreast;
    found.lane = threadIdx.x / a.abreast;
    found.lanes = NORM_THREADS / a.abreast;
    found.begin = blockIdx.x * share;
    found.end = min(found.begin + share, terms);
    found.inside = found.example < a.batch;
    return found;
}

// The sums of two values over the threads of a block that have the same example, in every one of them.
__device__ __forceinline__ double2 example_sum(const GroupNorm& a, double first, double second) {
    __shared__ double sums[2][NORM_THREADS / WARP][WARP];
    for (u32 distance = WARP / 2; distance >= a.abreast; distance /= 2) {
        first += __shfl_xor_sync(ALL_LANES, first, distance);
        second += __shfl_xor_sync(ALL_LANES, second, distance);
    }
    const u32 warp = threadIdx.x / WARP, example = threadIdx.x % a.abreast;
    __syncthreads();
    if (threadIdx.x % WARP < a.abreast) {
        sums[0][warp][example] = first;
        sums[1][warp][example] = second;
    }
    __syncthreads();
    double2 total = make_double2(0.0, 0.0);
    for (u32 i = 0; i < NORM_THREADS / WARP; ++i) {
        total.x += sums[0][i][example];
        total.y += sums[1][i][example];
    }
    return total;
}

// Where a block leaves its first number for the thread's example; the second one stands `abreast` behind.
__device__ __forceinline__ double* norm_part(const GroupNorm& a, u32 chunk) {
    return a.parts + ((long long)blockIdx.y * a.chunks + chunk) * 2 * a.abreast + threadIdx.x % a.abreast;
}

// Leaves two numbers of the thread's example; true in all threads of the last of the blocks that share a sum.
__device__ __forceinline__ bool norm_last(const GroupNorm& a, double first, double second) {
    if (threadIdx.x < a.abreast) {
        double* part = norm_part(a, blockIdx.x);
        part[0] = first;
        part[a.abreast] = second;
    }
    return last_block(a.tickets + blockIdx.y, a.chunks);
}

// Mean, then squares around it. Of a shared sum, each block has those of its own terms; squares around the mean of all are those
// around a block's own mean, and for each term the square of the means' distance.
KERNEL_BOUNDS(group_statistics, GroupNorm, 256) {
    const u32 count = a.channels / a.groups * a.map;
    const NormThread thread = norm_thread(a, count);
    const float* x = a.x + (long long)thread.unit * count * a.batch + thread.example;
    double sum = 0.0, squares = 0.0;
    for (u32 k = thread.begin + thread.lane; k < thread.end && thread.inside; k += thread.lanes) {
        sum += (double)x[(long long)k * a.batch];
    }
    sum = example_sum(a, sum, 0.0).x;
    double mean = sum / (double)(thread.end - thread.begin);
    for (u32 k = thread.begin + thread.lane; k < thread.end && thread.inside; k += thread.lanes) {
        const double away = (double)x[(long long)k * a.batch] - mean;
        squares += away * away;
    }
    squares = example_sum(a, squares, 0.0).x;
    if (a.chunks > 1) {
        if (!norm_last(a, sum, squares)) {
            return;
        }
        sum = 0.0;
        squares = 0.0;
        for (u32 chunk = thread.lane; chunk < a.chunks; chunk += thread.lanes) {
            sum += *norm_part(a, chunk);
        }
        mean = example_sum(a, sum, 0.0).x / (double)count;
        const u32 share = norm_share(a, count);
        for (u32 chunk = thread.lane; chunk < a.chunks; chunk += thread.lanes) {
            const double* part = norm_part(a, chunk);
            const double terms = (double)min(share, count - chunk * share), away = part[0] / terms - mean;
            squares += part[a.abreast] + terms * away * away;
        }
        squares = example_sum(a, squares, 0.0).x;
    }
    if (thread.lane == 0 && thread.inside) {
        const u32 place = thread.unit * a.batch + thread.example;
        a.statistics[place] = (float)mean;
        a.statistics[a.groups * a.batch + place] = (float)(1.0 / sqrt(squares / (double)count + a.epsilon));
    }
}

// What the elements of a channel and example are made of.
struct Normed {
    u32 place;
    float mean, inverse, weight, bias;

    __device__ __forceinline__ float hat(float x) const { return (x - mean) * inverse; }
    __device__ __forceinline__ float value(float hat) const { return fmaf(hat, weight, bias); }
};

__device__ __forceinline__ Normed normed(const GroupNorm& a, u32 channel, u32 example) {
    const u32 place = channel / (a.channels / a.groups) * a.batch + example;
    return {place, a.statistics[place], a.statistics[a.groups * a.batch + place], a.weight[channel], a.bias[channel]};
}

// A plane of blocks per channel.
KERNEL(group_norm_relu, GroupNorm) {
    const u32 within = blockIdx.x * blockDim.x + threadIdx.x, channel = blockIdx.y;
    if (within < a.map * a.batch) {
        const long long i = (long long)channel * a.map * a.batch + within;
        const Normed here = normed(a, channel, within % a.batch);
        const float value = here.value(here.hat(a.x[i]));
        // Written so that a NaN stays one.
        a.out[i] = value < 0.0f ? 0.0f : value;
    }
}

// Of each channel and example: the sums of the gradient, and of that times the normed input.
KERNEL_BOUNDS(group_backward_sums, GroupNorm, 256) {
    const NormThread thread = norm_thread(a, a.map);
    double plain = 0.0, with_hat = 0.0;
    if (thread.inside) {
        const Normed here = normed(a, thread.unit, thread.example);
        const long long first = (long long)thread.unit * a.map * a.batch + thread.example;
        for (u32 k = thread.begin + thread.lane; k < thread.end; k += thread.lanes) {
            const long long i = first + (long long)k * a.batch;
            const float hat = here.hat(a.x[i]);
            if (here.value(hat) > 0.0f) {
                const double gradient = (double)a.out[i];
                plain += gradient;
                with_hat += gradient * (double)hat;
            }
        }
    }
    double2 sum = example_sum(a, plain, with_hat);
    if (a.chunks > 1) {
        if (!norm_last(a, sum.x, sum.y)) {
            return;
        }
        plain = 0.0;
        with_hat = 0.0;
        for (u32 chunk = thread.lane; chunk < a.chunks; chunk += thread.lanes) {
            const double* part = norm_part(a, chunk);
            plain += part[0];
            with_hat += part[a.abreast];
        }
        sum = example_sum(a, plain, with_hat);
    }
    if (thread.lane == 0 && thread.inside) {
        double* to = a.channel_sums + 2 * ((long long)thread.unit * a.batch + thread.example);
        to[0] = sum.x;
        to[1] = sum.y;
    }
}

// A thread per group and example, for what `group_backward_spread` needs; then one per channel, for the gradients of weight and bias.
KERNEL(group_backward_gather, GroupNorm) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x, places = a.groups * a.batch;
    double plain = 0.0, with_hat = 0.0;
    if (i < places) {
        const u32 channels = a.channels / a.groups, first = i / a.batch * channels;
        for (u32 channel = first; channel < first + channels; ++channel) {
            const double* sums = a.channel_sums + 2 * ((long long)channel * a.batch + i % a.batch);
            plain += (double)a.weight[channel] * sums[0];
            with_hat += (double)a.weight[channel] * sums[1];
        }
        a.sums[2 * i] = (float)plain;
        a.sums[2 * i + 1] = (float)with_hat;
    } else if (i < places + a.channels) {
        const u32 channel = i - places;
        for (u32 example = 0; example < a.batch; ++example) {
            const double* sums = a.channel_sums + 2 * ((long long)channel * a.batch + example);
            plain += sums[0];
            with_hat += sums[1];
        }
        if (a.weight_gradient) {
            a.weight_gradient[channel] += (float)with_hat;
        }
        if (a.bias_gradient) {
            a.bias_gradient[channel] += (float)plain;
        }
    }
}

// A plane of blocks per channel.
KERNEL(group_backward_spread, GroupNorm) {
    const u32 within = blockIdx.x * blockDim.x + threadIdx.x, channel = blockIdx.y;
    if (within >= a.map * a.batch) {
        return;
    }
    const long long i = (long long)channel * a.map * a.batch + within;
    const Normed here = normed(a, channel, within % a.batch);
    const float hat = here.hat(a.x[i]);
    const float gradient = here.value(hat) > 0.0f ? a.out[i] * here.weight : 0.0f;
    const float share = 1.0f / (float)(a.channels / a.groups * a.map);
    const float common = fmaf(hat, a.sums[2 * here.place + 1], a.sums[2 * here.place]) * share;
    a.x_gradient[i] = fmaf(gradient - common, here.inverse, a.x_gradient[i]);
}
