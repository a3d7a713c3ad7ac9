// Products of weights with activations: convolutions, their input gradients, linear layers and theirs, the projections of
// low-rank fusion. For every z:
//
//   out[row, column] = activation(start + sum over (channel, tap) of weight[row, channel, tap] * input[channel, column + tap])
//
// A column is (y, x, example), the example innermost; a tap shifts y and x, and counts only inside of the image. Of a strided
// convolution, the input is another image than that of the columns: `stride` pixels to a column's one, or, on the way back, one
// pixel to a column's `spread`.
//
// A warp is 32 threads, each with `count` neighbouring columns of `rows_of_block` rows. Where there are few columns, several
// warps share the channels, and their sums are added up pair by pair: `threads.y` of them, a power of two.

struct Project {
    const float* weight;
    const float* input;
    // The output whose activation's slope the input is multiplied with; may be null.
    const float* mask;
    // Start of the sums, per row; may be null.
    const float* bias;
    float* out;
    u32 weight_z, input_z, bias_z, out_z;
    u32 rows, channels, columns;
    // Channels of a group stand `weight_channel` apart, groups `weight_group`.
    u32 weight_row, weight_group, group, weight_channel;
    // 1, or -1 for a turned kernel (then `weight` is its last tap).
    int weight_tap;
    u32 input_channel, out_row;
    u32 height, width, batch, kernel;
    // The input's image; used by strided kernels only.
    u32 from_height, from_width, stride, spread;
    // 1: adds to what is in `out`.
    u32 accumulate;
    // 1: a negative output is multiplied by `slope`.
    u32 activate;
    float slope, mask_slope;
};

// The pixel of an axis of the input that a tap reads, `shift` away from the one under a column; negative where there is none.
__device__ __forceinline__ int pixel_under(u32 at, int shift, u32 stride, u32 spread, u32 size) {
    const int place = (int)(at * stride) + shift;
    if (place < 0 || place % (int)spread != 0) {
        return -1;
    }
    const int from = place / (int)spread;
    return from < (int)size ? from : -1;
}

template <int kernel, int rows_of_block, int count, bool strided = false>
__device__ __forceinline__ void project(const Project& a) {
    // Channels whose weights are together in shared memory, and weights of one row then.
    constexpr u32 together = kernel == 1 ? 8 : 1;
    constexpr u32 taps = kernel == 1 ? 8 : kernel * kernel;
    constexpr u32 weights_of_slice = (taps * rows_of_block + 3) / 4 * 4;
    float* shared = reinterpret_cast<float*>(shared_words);
    const u32 lane = threadIdx.x, slice = threadIdx.y, slices = blockDim.y, z = blockIdx.z;
    float* weights = shared + slice * weights_of_slice;
    float* exchange = shared + slices * weights_of_slice;
    const u32 first = blockIdx.y * rows_of_block;
    const u32 column = (blockIdx.x * WARP + lane) * count;
    const bool inside = column < a.columns;
    const int x = kernel == 1 && !strided ? 0 : column / a.batch % a.width;
    const int y = kernel == 1 && !strided ? 0 : column / a.batch / a.width;
    const float* weight = a.weight + z * a.weight_z;
    const float* input = a.input + z * a.input_z;
    const u32 share = (a.channels + slices * together - 1) / (slices * together) * together;
    const u32 begin = slice * share, end = min(begin + share, a.channels);

    float sum[rows_of_block][count] = {};
    for (u32 channel = begin; channel < end; channel += together) {
        __syncwarp();
        for (u32 i = lane; i < taps * rows_of_block; i += WARP) {
            const u32 row = first + i % rows_of_block, tap = i / rows_of_block;
            const u32 of = kernel == 1 ? channel + tap : channel;
            float value = 0.0f;
            if (row < a.rows && of < end) {
                const u32 at = row * a.weight_row + of / a.group * a.weight_group + of % a.group * a.weight_channel;
                value = weight[(long long)at + (kernel == 1 ? 0 : a.weight_tap * (int)tap)];
            }
            weights[tap * rows_of_block + i % rows_of_block] = operand(value);
        }
        __syncwarp();
        if (!inside) {
            continue;
        }
#pragma unroll
        for (int tap = 0; tap < (int)taps; ++tap) {
            long long at;
            if (kernel == 1) {
                if (channel + tap >= end) {
                    break;
                }
                at = (long long)(channel + tap) * a.input_channel + column;
            }
            if (strided) {
                const int dy = kernel == 1 ? 0 : tap / kernel - kernel / 2, dx = kernel == 1 ? 0 : tap % kernel - kernel / 2;
                const int from_y = pixel_under(y, dy, a.stride, a.spread, a.from_height);
                const int from_x = pixel_under(x, dx, a.stride, a.spread, a.from_width);
                if (from_y < 0 || from_x < 0) {
                    continue;
                }
                const u32 of = kernel == 1 ? channel + tap : channel;
                at = (long long)of * a.input_channel + (from_y * a.from_width + from_x) * a.batch + column % a.batch;
            } else if (kernel > 1) {
                const int dy = tap / kernel - kernel / 2, dx = tap % kernel - kernel / 2;
                if (y + dy < 0 || y + dy >= (int)a.height || x + dx < 0 || x + dx >= (int)a.width) {
                    continue;
                }
                at = (long long)channel * a.input_channel + column + (dy * (int)a.width + dx) * (int)a.batch;
            }
            Floats<count> values = load<count>(input + at);
            if (kernel == 1 && a.mask) {
                const Floats<count> mask = load<count>(a.mask + z * a.input_z + at);
#pragma unroll
                for (int j = 0; j < count; ++j) {
                    values.at[j] = mask.at[j] > 0.0f ? values.at[j] : a.mask_slope * values.at[j];
                }
            }
#pragma unroll
            for (int j = 0; j < count; ++j) {
                values.at[j] = operand(values.at[j]);
            }
#pragma unroll
            for (int row = 0; row < rows_of_block; ++row) {
                const float factor = weights[tap * rows_of_block + row];
#pragma unroll
                for (int j = 0; j < count; ++j) {
                    sum[row][j] = fmaf(factor, values.at[j], sum[row][j]);
                }
            }
        }
    }

    for (u32 half = slices / 2; half > 0; half /= 2) {
        __syncthreads();
        if (slice >= half && slice < 2 * half) {
            float* to = exchange + (slice - half) * rows_of_block * count * WARP + lane;
#pragma unroll
            for (int i = 0; i < rows_of_block * count; ++i) {
                to[i * WARP] = sum[i / count][i % count];
            }
        }
        __syncthreads();
        if (slice < half) {
            const float* from = exchange + slice * rows_of_block * count * WARP + lane;
#pragma unroll
            for (int i = 0; i < rows_of_block * count; ++i) {
                sum[i / count][i % count] += from[i * WARP];
            }
        }
    }
    if (slice > 0 || !inside) {
        return;
    }
#pragma unroll
    for (int row = 0; row < rows_of_block; ++row) {
        if (first + row >= a.rows) {
            break;
        }
        float* out = a.out + (long long)z * a.out_z + (long long)(first + row) * a.out_row + column;
        const float bias = a.bias ? a.bias[z * a.bias_z + first + row] : 0.0f;
        Floats<count> values;
        if (a.accumulate) {
            values = load<count>(out);
        }
#pragma unroll
        for (int j = 0; j < count; ++j) {
            float value = sum[row][j] + bias;
            // Written so that a NaN stays one.
            value = a.activate && value <= 0.0f ? a.slope * value : value;
            values.at[j] = a.accumulate ? values.at[j] + value : value;
        }
        store<count>(out, values);
    }
}

// Kernels of any odd size: no weights in shared memory, one column of one row per thread.
__device__ __forceinline__ void project_generic(const Project& a) {
    const u32 column = blockIdx.x * WARP + threadIdx.x, row = blockIdx.y, z = blockIdx.z;
    if (column >= a.columns || threadIdx.y > 0) {
        return;
    }
    const int k = a.kernel, x = column / a.batch % a.width, y = column / a.batch / a.width;
    float sum = 0.0f;
    for (u32 channel = 0; channel < a.channels; ++channel) {
        const u32 of = row * a.weight_row + channel / a.group * a.weight_group + channel % a.group * a.weight_channel;
        for (int tap = 0; tap < k * k; ++tap) {
            const int from_y = pixel_under(y, tap / k - k / 2, a.stride, a.spread, a.from_height);
            const int from_x = pixel_under(x, tap % k - k / 2, a.stride, a.spread, a.from_width);
            if (from_y < 0 || from_x < 0) {
                continue;
            }
            const u32 at = (from_y * a.from_width + from_x) * a.batch + column % a.batch;
            const float value = a.input[z * a.input_z + (long long)channel * a.input_channel + at];
            sum = fmaf(operand(a.weight[(long long)(z * a.weight_z + of) + a.weight_tap * tap]), operand(value), sum);
        }
    }
    float* out = a.out + (long long)z * a.out_z + (long long)row * a.out_row + column;
    *out = a.accumulate ? *out + sum : sum;
}

KERNEL(project_any, Project) { project_generic(a); }
KERNEL_BOUNDS(project_k1_r6_n1, Project, 512) { project<1, 6, 1>(a); }
KERNEL_BOUNDS(project_k1_r6_n2, Project, 512) { project<1, 6, 2>(a); }
KERNEL_BOUNDS(project_k1_r6_n4, Project, 256) { project<1, 6, 4>(a); }
KERNEL_BOUNDS(project_k1_r12_n1, Project, 512) { project<1, 12, 1>(a); }
KERNEL_BOUNDS(project_k1_r12_n2, Project, 512) { project<1, 12, 2>(a); }
KERNEL_BOUNDS(project_k1_r12_n4, Project, 256) { project<1, 12, 4>(a); }
KERNEL_BOUNDS(project_k3_r6_n1, Project, 512) { project<3, 6, 1>(a); }
KERNEL_BOUNDS(project_k3_r6_n2, Project, 512) { project<3, 6, 2>(a); }
KERNEL_BOUNDS(project_k3_r6_n4, Project, 256) { project<3, 6, 4>(a); }
KERNEL_BOUNDS(project_k3_r12_n1, Project, 512) { project<3, 12, 1>(a); }
KERNEL_BOUNDS(project_k3_r12_n2, Project, 512) { project<3, 12, 2>(a); }
KERNEL_BOUNDS(project_k3_r12_n4, Project, 256) { project<3, 12, 4>(a); }
KERNEL_BOUNDS(project_k5_r6_n1, Project, 512) { project<5, 6, 1>(a); }
KERNEL_BOUNDS(project_k5_r6_n2, Project, 512) { project<5, 6, 2>(a); }
KERNEL_BOUNDS(project_k5_r6_n4, Project, 256) { project<5, 6, 4>(a); }
KERNEL_BOUNDS(project_k5_r12_n1, Project, 512) { project<5, 12, 1>(a); }
KERNEL_BOUNDS(project_k5_r12_n2, Project, 512) { project<5, 12, 2>(a); }
KERNEL_BOUNDS(project_k5_r12_n4, Project, 256) { project<5, 12, 4>(a); }
KERNEL_BOUNDS(project_k1s_r6_n1, Project, 512) { project<1, 6, 1, true>(a); }
KERNEL_BOUNDS(project_k1s_r6_n2, Project, 512) { project<1, 6, 2, true>(a); }
KERNEL_BOUNDS(project_k1s_r6_n4, Project, 256) { project<1, 6, 4, true>(a); }
KERNEL_BOUNDS(project_k1s_r12_n1, Project, 512) { project<1, 12, 1, true>(a); }
KERNEL_BOUNDS(project_k1s_r12_n2, Project, 512) { project<1, 12, 2, true>(a); }
KERNEL_BOUNDS(project_k1s_r12_n4, Project, 256) { project<1, 12, 4, true>(a); }
KERNEL_BOUNDS(project_k3s_r6_n1, Project, 512) { project<3, 6, 1, true>(a); }
KERNEL_BOUNDS(project_k3s_r6_n2, Project, 512) { project<3, 6, 2, true>(a); }
KERNEL_BOUNDS(project_k3s_r6_n4, Project, 256) { project<3, 6, 4, true>(a); }
KERNEL_BOUNDS(project_k3s_r12_n1, Project, 512) { project<3, 12, 1, true>(a); }
KERNEL_BOUNDS(project_k3s_r12_n2, Project, 512) { project<3, 12, 2, true>(a); }
KERNEL_BOUNDS(project_k3s_r12_n4, Project, 256) { project<3, 12, 4, true>(a); }
