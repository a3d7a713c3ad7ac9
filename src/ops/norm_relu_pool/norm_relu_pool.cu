// BatchNorm2d, ReLU and 2x2 max-pool. Maps are (channels, height, width, batch).
//
// Sums over a channel are taken in double: each thread over its elements, then over the block, then over the blocks in order.
// saved = mean, 1 / deviation, scale and shift of every channel, one array after the other.

struct NormStatistics {
    const float* x;
    const float* weight;
    const float* bias;
    float* running_mean;
    float* running_variance;
    float* saved;
    // Two sums per block of a channel, and a ticket per channel.
    double* partial;
    u32* tickets;
    double epsilon, momentum;
    u32 channels, map;
};

__device__ __forceinline__ void save(const NormStatistics& a, u32 channel, double mean, double variance) {
    const double inverse = 1.0 / sqrt(variance + a.epsilon);
    const double scale = (double)a.weight[channel] * inverse;
    a.saved[channel] = (float)mean;
    a.saved[a.channels + channel] = (float)inverse;
    a.saved[2 * a.channels + channel] = (float)scale;
    a.saved[3 * a.channels + channel] = (float)((double)a.bias[channel] - mean * scale);
}

// Of the batch; moves the running ones. A row of blocks per channel.
KERNEL_BOUNDS(norm_statistics, NormStatistics, 256) {
    const u32 channel = blockIdx.y, stride = gridDim.x * blockDim.x;
    const float* x = a.x + (long long)channel * a.map;
    // Near the mean, so that nothing cancels.
    const float shift = x[0];
    double sum = 0.0, squares = 0.0;
    if (a.map % 4 == 0) {
        for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < a.map / 4; i += stride) {
            const Floats<4> values = load<4>(x + 4 * i);
            float s = 0.0f, q = 0.0f;
#pragma unroll
            for (int k = 0; k < 4; ++k) {
                const float d = values.at[k] - shift;
                s += d;
                q = fmaf(d, d, q);
            }
            sum += (double)s;
            squares += (double)q;
        }
    } else {
        for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < a.map; i += stride) {
            const float d = x[i] - shift;
            sum += (double)d;
            squares += (double)d * (double)d;
        }
    }
    double2 all;
    if (!blocks_sum(sum, squares, a.partial + 2 * (long long)channel * gridDim.x, a.tickets + channel, all)) {
        return;
    }
    const double count = (double)a.map, from_shift = all.x / count, mean = (double)shift + from_shift;
    const double found = all.y / count - from_shift * from_shift;
    // Written so that a NaN stays one.
    const double variance = found < 0.0 ? 0.0 : found;
    const double unbiased = variance * (count / (count - 1.0)), keep = 1.0 - a.momentum;
    a.running_mean[channel] = (float)(keep * (double)a.running_mean[channel] + a.momentum * mean);
    a.running_variance[channel] = (float)(keep * (double)a.running_variance[channel] + a.momentum * unbiased);
    save(a, channel, mean, variance);
}

// Of the running ones.
KERNEL(norm_running, NormStatistics) {
    const u32 channel = blockIdx.x * blockDim.x + threadIdx.x;
    if (channel < a.channels) {
        save(a, channel, (double)a.running_mean[channel], (double)a.running_variance[channel]);
    }
}

struct NormPool {
    const float* x;
    const float* saved;
    float* out;
    u32 channels, height, width, batch;
};

// The four elements of a pooling window, before and after the affine map.
struct Window {
    float x[4], y[4];
};

__device__ __forceinline__ Window window_at(const float* x, u32 width, u32 batch, float scale, float shift) {
    Window w;
    w.x[0] = x[0];
    w.x[1] = x[batch];
    w.x[2] = x[width * batch];
    w.x[3] = x[width * batch + batch];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        w.y[i] = fmaf(w.x[i], scale, shift);
    }
    return w;
}

// Which element of the window is the first largest one.
__device__ __forceinline__ int first_largest(const Window& w) {
    int best = 0;
#pragma unroll
    for (int i = 1; i < 4; ++i) {
        best = w.y[i] > w.y[best] ? i : best;
    }
    return best;
}

// One thread per pooled element.
KERNEL(norm_relu_pool, NormPool) {
    const u32 rows = a.height / 2, columns = a.width / 2;
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x, pooled = rows * columns * a.batch;
    if (i >= a.channels * pooled) {
        return;
    }
    const u32 channel = i / pooled, n = i % a.batch, column = i / a.batch % columns, row = i / a.batch / columns % rows;
    const long long at = (((long long)channel * a.height + 2 * row) * a.width + 2 * column) * a.batch + n;
    const float scale = a.saved[2 * a.channels + channel], shift = a.saved[3 * a.channels + channel];
    const Window w = window_at(a.x + at, a.width, a.batch, scale, shift);
    const float best = w.y[first_largest(w)];
    // Written so that a NaN stays one.
    a.out[i] = 0.0f > best ? 0.0f : best;
}

struct NormBackward {
    const float* x;
    const float* saved;
    const float* gradient;
    float* x_gradient;
    // Null where it is frozen.
    float* weight_gradient;
    float* bias_gradient;
    // What is taken off every element's gradient: a mean and a slope per channel.
    float* centre;
    double* partial;
    u32* tickets;
    u32 channels, height, width, batch;
    // 1: statistics of the batch, through which gradients flow, too.
    u32 of_batch;
    u32 padding;
};

// The sums of g and of g * (x - mean), where g is the gradient after the affine map. A row of blocks per channel.
KERNEL_BOUNDS(norm_backward_sums, NormBackward, 256) {
    const u32 channel = blockIdx.y, rows = a.height / 2, columns = a.width / 2, pooled = rows * columns * a.batch;
    const float mean = a.saved[channel];
    const float scale = a.saved[2 * a.channels + channel], shift = a.saved[3 * a.channels + channel];
    double sum = 0.0, slope = 0.0;
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < pooled; i += gridDim.x * blockDim.x) {
        const u32 n = i % a.batch, column = i / a.batch % columns, row = i / a.batch / columns;
        const long long at = (((long long)channel * a.height + 2 * row) * a.width + 2 * column) * a.batch + n;
        const Window w = window_at(a.x + at, a.width, a.batch, scale, shift);
        const int best = first_largest(w);
        if (w.y[best] > 0.0f) {
            const double g = (double)a.gradient[(long long)channel * pooled + i];
            sum += g;
            slope += g * (double)(w.x[best] - mean);
        }
    }
    double2 all;
    if (!blocks_sum(sum, slope, a.partial + 2 * (long long)channel * gridDim.x, a.tickets + channel, all)) {
        return;
    }
    const double inverse = (double)a.saved[a.channels + channel];
    const double map = (double)a.height * (double)a.width * (double)a.batch;
    a.centre[channel] = a.of_batch ? (float)(all.x / map) : 0.0f;
    a.centre[a.channels + channel] = a.of_batch ? (float)(all.y * inverse * inverse / map) : 0.0f;
    if (a.weight_gradient) {
        a.weight_gradient[channel] += (float)(all.y * inverse);
    }
    if (a.bias_gradient) {
        a.bias_gradient[channel] += (float)all.x;
    }
}

// Adds scale * (g - centre - (x - mean) * slope) to the input's gradient. One thread per window of an example; an odd last
// row or column has windows of its own, which nothing pools.
KERNEL(norm_backward_spread, NormBackward) {
    const u32 rows = (a.height + 1) / 2, columns = (a.width + 1) / 2;
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.channels * rows * columns * a.batch) {
        return;
    }
    const u32 n = i % a.batch, column = i / a.batch % columns;
    const u32 row = i / a.batch / columns % rows, channel = i / a.batch / columns / rows;
    const long long at = (((long long)channel * a.height + 2 * row) * a.width + 2 * column) * a.batch + n;
    const bool whole = 2 * row + 1 < a.height && 2 * column + 1 < a.width;
    const float mean = a.saved[channel];
    const float scale = a.saved[2 * a.channels + channel], shift = a.saved[3 * a.channels + channel];
    const float centre = a.centre[channel], slope = a.centre[a.channels + channel];
    int best = -1;
    float gradient = 0.0f;
    if (whole) {
        const Window w = window_at(a.x + at, a.width, a.batch, scale, shift);
        best = first_largest(w);
        const u32 pooled_rows = a.height / 2, pooled_columns = a.width / 2;
        const long long from = (((long long)channel * pooled_rows + row) * pooled_columns + column) * a.batch + n;
        gradient = w.y[best] > 0.0f ? a.gradient[from] : 0.0f;
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
        const u32 down = k / 2, right = k % 2;
        if (2 * row + down < a.height && 2 * column + right < a.width) {
            const long long element = at + ((long long)down * a.width + right) * a.batch;
            const float g = k == best ? gradient : 0.0f;
            const float centred = fmaf(a.x[element] - mean, -slope, g - centre);
            a.x_gradient[element] = fmaf(centred, scale, a.x_gradient[element]);
        }
    }
}
