// A whole GRU layer in one kernel per direction: a block per example walks through the steps. Gate order r, z, n;
// input (steps, features, batch), states (steps, units, batch), gates (steps, 4 units, batch): r, z, n, and
// m = W_hn h + b_hn.

struct GruForward {
    const float* input;
    const float* w_input;
    const float* w_hidden;
    const float* b_input;
    const float* b_hidden;
    float* states;
    float* gates;
    u32 steps, features, units, batch;
    // 1: the weights fit into shared memory.
    u32 resident;
    u32 padding;
};

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// Threads: at least 3 units and as many as features. Shared: features + units + 4 units, and the weights, turned, if they fit.
KERNEL(gru_forward, GruForward) {
    float* shared = reinterpret_cast<float*>(shared_words);
    const u32 thread = threadIdx.x, threads = blockDim.x, n = blockIdx.x;
    const u32 units = a.units, features = a.features, rows = 3 * units;
    float* x = shared;
    float* h = x + features;
    float* sums = h + units;
    float* w_input = sums + 4 * units;
    float* w_hidden = w_input + rows * features;
    if (a.resident) {
        for (u32 i = thread; i < rows * features; i += threads) {
            w_input[i % features * rows + i / features] = a.w_input[i];
        }
        for (u32 i = thread; i < rows * units; i += threads) {
            w_hidden[i % units * rows + i / units] = a.w_hidden[i];
        }
    }
    for (u32 i = thread; i < units; i += threads) {
        h[i] = 0.0f;
    }
    for (u32 step = 0; step < a.steps; ++step) {
        for (u32 i = thread; i < features; i += threads) {
            x[i] = a.input[((long long)step * features + i) * a.batch + n];
        }
        __syncthreads();
        for (u32 row = thread; row < rows; row += threads) {
            float of_input = a.b_input[row], of_hidden = a.b_hidden[row];
            if (a.resident) {
                for (u32 k = 0; k < features; ++k) {
                    of_input = fmaf(w_input[k * rows + row], x[k], of_input);
                }
                for (u32 k = 0; k < units; ++k) {
                    of_hidden = fmaf(w_hidden[k * rows + row], h[k], of_hidden);
                }
            } else {
                for (u32 k = 0; k < features; ++k) {
                    of_input = fmaf(a.w_input[row * features + k], x[k], of_input);
                }
                for (u32 k = 0; k < units; ++k) {
                    of_hidden = fmaf(a.w_hidden[row * units + k], h[k], of_hidden);
                }
            }
            if (row < 2 * units) {
                sums[row] = sigmoid(of_input + of_hidden);
            } else {
                sums[row] = of_input;
                sums[row + units] = of_hidden;
            }
        }
        __syncthreads();
        for (u32 unit = thread; unit < units; unit += threads) {
            const float r = sums[unit], z = sums[units + unit], m = sums[3 * units + unit];
            const float fresh = tanhf(fmaf(r, m, sums[2 * units + unit]));
            // (1 - z) n + z h
            const float next = fmaf(z, h[unit] - fresh, fresh);
            float* gates = a.gates + ((long long)step * 4 * units + unit) * a.batch + n;
            const long long plane = (long long)units * a.batch;
            gates[0] = r;
            gates[plane] = z;
            gates[2 * plane] = fresh;
            gates[3 * plane] = m;
            a.states[((long long)step * units + unit) * a.batch + n] = next;
            h[unit] = next;
        }
    }
}

struct GruBackward {
    const float* w_input;
    const float* w_hidden;
    const float* states;
    const float* gates;
    const float* gradient;
    // Of the sums of r, z, n and m: as the gates.
    float* deltas;
    // Null where it is not wanted.
    float* input_gradient;
    u32 steps, features, units, batch;
    u32 resident;
    u32 padding;
};

// Threads: at least 3 units. Shared: 4 units, units, 3 units, and the hidden weights if they fit.
KERNEL(gru_backward, GruBackward) {
    float* shared = reinterpret_cast<float*>(shared_words);
    const u32 thread = threadIdx.x, threads = blockDim.x, n = blockIdx.x;
    const u32 units = a.units, features = a.features;
    float* delta = shared;
    float* carried = delta + 4 * units;
    float* parts = carried + units;
    float* copy = parts + 3 * units;
    if (a.resident) {
        for (u32 i = thread; i < 3 * units * units; i += threads) {
            copy[i] = a.w_hidden[i];
        }
    }
    const float* w_hidden = a.resident ? copy : a.w_hidden;
    for (u32 i = thread; i < units; i += threads) {
        carried[i] = 0.0f;
    }
    __syncthreads();
    const long long plane = (long long)units * a.batch;
    for (u32 step = a.steps; step-- > 0;) {
        for (u32 unit = thread; unit < units; unit += threads) {
            const long long at = ((long long)step * units + unit) * a.batch + n;
            const long long gate = ((long long)step * 4 * units + unit) * a.batch + n;
            const float r = a.gates[gate], z = a.gates[gate + plane];
            const float fresh = a.gates[gate + 2 * plane], m = a.gates[gate + 3 * plane];
            const float before = step > 0 ? a.states[at - plane] : 0.0f;
            const float g = a.gradient[at] + carried[unit];
            const float keep = 1.0f - z;
            const float to_z = g * (before - fresh) * (z * keep);
            const float to_n = g * keep * (1.0f - fresh * fresh);
            const float to_r = to_n * m * (r * (1.0f - r));
            delta[unit] = to_r;
            delta[units + unit] = to_z;
            delta[2 * units + unit] = to_n;
            delta[3 * units + unit] = to_n * r;
            a.deltas[gate] = to_r;
            a.deltas[gate + plane] = to_z;
            a.deltas[gate + 2 * plane] = to_n;
            a.deltas[gate + 3 * plane] = to_n * r;
            carried[unit] = g * z;
        }
        __syncthreads();
        // A previous state acts through r, z and m.
        for (u32 i = thread; i < 3 * units; i += threads) {
            const u32 part = i / units, unit = i % units;
            const float* of = delta + (part == 2 ? 3 : part) * units;
            float sum = 0.0f;
            for (u32 k = 0; k < units; ++k) {
                sum = fmaf(w_hidden[(part * units + k) * units + unit], of[k], sum);
            }
            parts[i] = sum;
        }
        if (a.input_gradient) {
            for (u32 i = thread; i < features; i += threads) {
                float sum = 0.0f;
                for (u32 k = 0; k < 3 * units; ++k) {
                    sum = fmaf(a.w_input[k * features + i], delta[k], sum);
                }
                a.input_gradient[((long long)step * features + i) * a.batch + n] += sum;
            }
        }
        __syncthreads();
        for (u32 unit = thread; unit < units; unit += threads) {
            carried[unit] += parts[unit] + parts[units + unit] + parts[2 * units + unit];
        }
        __syncthreads();
    }
}

struct GruWeights {
    const float* input;
    const float* states;
    const float* deltas;
    // Null where it is not wanted.
    float* w_input;
    float* w_hidden;
    float* b_input;
    float* b_hidden;
    u32 steps, features, units, batch;
};

// Weight gradients: a block has 6 rows of the deltas and 9 columns of (input, previous state, one).
KERNEL_BOUNDS(gru_weights, GruWeights, 256) {
    constexpr int COLUMNS = 9;
    __shared__ float totals[8][ROWS * COLUMNS];
    const u32 thread = threadIdx.x, threads = blockDim.x, lane = thread % WARP, warp = thread / WARP;
    const u32 units = a.units, features = a.features, bias = features + units;
    const u32 first_row = blockIdx.y * ROWS, first_column = blockIdx.x * COLUMNS;
    float sum[ROWS][COLUMNS] = {};
    for (u32 j = thread; j < a.steps * a.batch; j += threads) {
        const u32 step = j / a.batch, n = j % a.batch;
        float g[ROWS];
#pragma unroll
        for (int row = 0; row < ROWS; ++row) {
            const u32 of = first_row + row;
            g[row] = of < 4 * units ? a.deltas[((long long)step * 4 * units + of) * a.batch + n] : 0.0f;
        }
#pragma unroll
        for (int column = 0; column < COLUMNS; ++column) {
            const u32 of = first_column + column;
            float value = 0.0f;
            if (of < features) {
                value = a.input[((long long)step * features + of) * a.batch + n];
            } else if (of < bias) {
                value = step > 0 ? a.states[((long long)(step - 1) * units + of - features) * a.batch + n] : 0.0f;
            } else if (of == bias) {
                value = 1.0f;
            }
#pragma unroll
            for (int row = 0; row < ROWS; ++row) {
                sum[row][column] = fmaf(g[row], value, sum[row][column]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < ROWS * COLUMNS; ++i) {
        const float total = warp_sum(sum[i / COLUMNS][i % COLUMNS]);
        if (lane == 0) {
            totals[warp][i] = total;
        }
    }
    __syncthreads();
    for (u32 i = thread; i < ROWS * COLUMNS; i += threads) {
        const u32 row = first_row + i / COLUMNS, column = first_column + i % COLUMNS;
        float total = 0.0f;
        for (u32 w = 0; w < threads / WARP; ++w) {
            total += totals[w][i];
        }
        // r and z stand in both; n belongs to the input, m to the state.
        const u32 gate = row / units;
        const bool to_input = gate < 3, to_hidden = gate != 2;
        const u32 hidden_row = gate == 3 ? row - units : row;
        if (gate > 3) {
            continue;
        }
        if (column < features) {
            if (to_input && a.w_input) {
                a.w_input[row * features + column] += total;
            }
        } else if (column < bias) {
            if (to_hidden && a.w_hidden) {
                a.w_hidden[hidden_row * units + column - features] += total;
            }
        } else if (column == bias) {
            if (to_input && a.b_input) {
                a.b_input[row] += total;
            }
            if (to_hidden && a.b_hidden) {
                a.b_hidden[hidden_row] += total;
            }
        }
    }
}
