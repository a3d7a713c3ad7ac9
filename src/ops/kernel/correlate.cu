// Weight gradients: sums over examples (and pixels, or time steps) of gradient * input. For every z:
//
//   sums[row, channel, tap] += sum over j of gradient[row, j] * input[channel, j + tap]
//   biases[row]             += sum over j of gradient[row, j]
//
// Of a strided convolution, the input's image has `stride` pixels to one of the gradient's.
//
// A block has 6 rows and 9 pairs (channel, tap): one channel with its 3 x 3 taps, a row of 5 of 5 x 5 taps, or 9 channels
// with one tap each, where a channel that is one too many is the bias. Its threads share j; their sums are added up in the
// warps, then over the warps. Where j is long, several blocks share it, and the last of them adds up what they left.

struct Correlate {
    const float* gradient;
    const float* input;
    // The output whose activation's slope the gradient is multiplied with; may be null.
    const float* mask;
    float* sums;
    // Null where there is none.
    float* biases;
    // One partial result per chunk, and one ticket per pair of groups; unused with one chunk.
    float* partial;
    u32* tickets;
    u32 gradient_z, input_z, sums_z, bias_z;
    u32 rows, channels;
    // j runs over `steps` times `inner`.
    u32 steps, inner;
    u32 gradient_row, gradient_step, input_channel, input_step;
    u32 sums_row, sums_channel;
    u32 height, width, batch, kernel;
    // The input's image; used by strided kernels only.
    u32 from_height, from_width, stride;
    // Blocks that share j.
    u32 chunks;
    // Groups of pairs (blockIdx.z = z * groups + group).
    u32 groups;
    float mask_slope;
};

constexpr int ROWS = 6;

template <int kernel, int count, bool strided = false>
__device__ __forceinline__ void correlate(const Correlate& a) {
    constexpr int pairs = kernel == 5 ? 5 : 9;
    __shared__ float totals[16][ROWS * pairs];
    const u32 thread = threadIdx.y * WARP + threadIdx.x, threads = blockDim.y * WARP;
    const u32 chunk = blockIdx.x, first = blockIdx.y * ROWS;
    const u32 z = blockIdx.z / a.groups, group = blockIdx.z % a.groups;
    const u32 channel = kernel == 1 ? group * pairs : kernel == 3 ? group : group / 5;
    const int first_tap = kernel == 5 ? group % 5 * 5 : 0;
    const float* gradient = a.gradient + (long long)z * a.gradient_z;
    const float* input = a.input + (long long)z * a.input_z;
    const u32 all = a.steps * (a.inner / count);
    const u32 share = (all + a.chunks - 1) / a.chunks;
    const u32 begin = chunk * share, end = min(begin + share, all);

    float sum[ROWS][pairs] = {};
    for (u32 j = begin + thread; j < end; j += threads) {
        const u32 step = j / (a.inner / count), i = j % (a.inner / count) * count;
        Floats<count> g[ROWS];
#pragma unroll
        for (int row = 0; row < ROWS; ++row) {
            if (first + row < a.rows) {
                const long long at = (long long)step * a.gradient_step + (long long)(first + row) * a.gradient_row + i;
                g[row] = load<count>(gradient + at);
                if (kernel == 1 && a.mask) {
                    const Floats<count> mask = load<count>(a.mask + (long long)z * a.gradient_z + at);
#pragma unroll
                    for (int k = 0; k < count; ++k) {
                        g[row].at[k] = mask.at[k] > 0.0f ? g[row].at[k] : a.mask_slope * g[row].at[k];
                    }
                }
#pragma unroll
                for (int k = 0; k < count; ++k) {
                    g[row].at[k] = operand(g[row].at[k]);
                }
            } else {
                g[row] = Floats<count>{};
            }
        }
        const int x = kernel == 1 && !strided ? 0 : i / a.batch % a.width;
        const int y = kernel == 1 && !strided ? 0 : i / a.batch / a.width;
#pragma unroll
        for (int pair = 0; pair < pairs; ++pair) {
            Floats<count> values;
            if (kernel == 1) {
                if (channel + pair < a.channels) {
                    const long long at = (long long)step * a.input_step + (long long)(channel + pair) * a.input_channel;
                    const u32 under = strided ? (y * a.from_width + x) * a.stride * a.batch + i % a.batch : i;
                    values = load<count>(input + at + under);
                } else if (channel + pair == a.channels && a.biases) {
#pragma unroll
                    for (int k = 0; k < count; ++k) {
                        values.at[k] = 1.0f;
                    }
                } else {
                    break;
                }
            } else {
                const int tap = first_tap + pair, dy = tap / kernel - kernel / 2, dx = tap % kernel - kernel / 2;
                if (strided) {
                    const int from_y = pixel_under(y, dy, a.stride, 1, a.from_height);
                    const int from_x = pixel_under(x, dx, a.stride, 1, a.from_width);
                    if (from_y < 0 || from_x < 0) {
                        continue;
                    }
                    const u32 at = (from_y * a.from_width + from_x) * a.batch + i % a.batch;
                    values = load<count>(input + (long long)channel * a.input_channel + at);
                } else {
                    if (y + dy < 0 || y + dy >= (int)a.height || x + dx < 0 || x + dx >= (int)a.width) {
                        continue;
                    }
                    const long long shift = (dy * (int)a.width + dx) * (int)a.batch;
                    values = load<count>(input + (long long)channel * a.input_channel + i + shift);
                }
            }
#pragma unroll
            for (int k = 0; k < count; ++k) {
                values.at[k] = operand(values.at[k]);
            }
#pragma unroll
            for (int row = 0; row < ROWS; ++row) {
#pragma unroll
                for (int k = 0; k < count; ++k) {
                    sum[row][pair] = fmaf(g[row].at[k], values.at[k], sum[row][pair]);
                }
            }
        }
    }

#pragma unroll
    for (int i = 0; i < ROWS * pairs; ++i) {
        const float total = warp_sum(sum[i / pairs][i % pairs]);
        if (threadIdx.x == 0) {
            totals[threadIdx.y][i] = total;
        }
    }
    __syncthreads();
    const u32 unit = (z * a.groups + group) * gridDim.y + blockIdx.y;
    for (u32 i = thread; i < ROWS * pairs; i += threads) {
        float total = 0.0f;
        for (u32 warp = 0; warp < blockDim.y; ++warp) {
            total += totals[warp][i];
        }
        if (a.chunks > 1) {
            a.partial[((long long)unit * a.chunks + chunk) * (ROWS * pairs) + i] = total;
        } else {
            totals[0][i] = total;
        }
    }
    if (a.chunks > 1 && !last_block(a.tickets + unit, a.chunks)) {
        return;
    }
    for (u32 i = thread; i < ROWS * pairs; i += threads) {
        float total = 0.0f;
        if (a.chunks > 1) {
            for (u32 k = 0; k < a.chunks; ++k) {
                total += a.partial[((long long)unit * a.chunks + k) * (ROWS * pairs) + i];
            }
        } else {
            total = totals[0][i];
        }
        const u32 row = first + i / pairs, pair = i % pairs, of = kernel == 1 ? channel + pair : channel;
        if (row >= a.rows) {
            continue;
        }
        if (of < a.channels) {
            const u32 tap = kernel == 1 ? 0 : first_tap + pair;
            a.sums[(long long)z * a.sums_z + (long long)row * a.sums_row + (long long)of * a.sums_channel + tap] += total;
        } else if (of == a.channels && a.biases) {
            a.biases[z * a.bias_z + row] += total;
        }
    }
}

// Kernels of any odd size: a block per weight, its threads share the pixels.
__device__ __forceinline__ void correlate_generic(const Correlate& a) {
    const u32 weight = blockIdx.x, taps = a.kernel * a.kernel;
    const u32 row = weight / (a.channels * taps), channel = weight / taps % a.channels;
    const int k = a.kernel, tap = weight % taps, dy = tap / k - k / 2, dx = tap % k - k / 2;
    double sum = 0.0;
    for (u32 i = threadIdx.x; i < a.inner; i += blockDim.x) {
        const int from_y = pixel_under(i / a.batch / a.width, dy, a.stride, 1, a.from_height);
        const int from_x = pixel_under(i / a.batch % a.width, dx, a.stride, 1, a.from_width);
        if (from_y < 0 || from_x < 0) {
            continue;
        }
        const u32 at = (from_y * a.from_width + from_x) * a.batch + i % a.batch;
        const float gradient = a.gradient[(long long)row * a.gradient_row + i];
        const float input = a.input[(long long)channel * a.input_channel + at];
        sum += (double)operand(gradient) * (double)operand(input);
    }
    const double total = block_sum(sum, 0.0).x;
    if (threadIdx.x == 0) {
        a.sums[weight] += (float)total;
    }
}

KERNEL(correlate_any, Correlate) { correlate_generic(a); }
KERNEL_BOUNDS(correlate_k1_n1, Correlate, 512) { correlate<1, 1>(a); }
KERNEL_BOUNDS(correlate_k1_n4, Correlate, 256) { correlate<1, 4>(a); }
KERNEL_BOUNDS(correlate_k3_n1, Correlate, 256) { correlate<3, 1>(a); }
KERNEL_BOUNDS(correlate_k3_n4, Correlate, 256) { correlate<3, 4>(a); }
KERNEL_BOUNDS(correlate_k5_n1, Correlate, 256) { correlate<5, 1>(a); }
KERNEL_BOUNDS(correlate_k5_n4, Correlate, 256) { correlate<5, 4>(a); }
KERNEL_BOUNDS(correlate_k1s_n1, Correlate, 512) { correlate<1, 1, true>(a); }
KERNEL_BOUNDS(correlate_k1s_n4, Correlate, 256) { correlate<1, 4, true>(a); }
KERNEL_BOUNDS(correlate_k3s_n1, Correlate, 256) { correlate<3, 1, true>(a); }
KERNEL_BOUNDS(correlate_k3s_n4, Correlate, 256) { correlate<3, 4, true>(a); }
