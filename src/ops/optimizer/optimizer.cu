// Clipping by the global gradient norm and the optimiser's update of all parameters: two launches.

// A parameter that is trained.
struct Slot {
    float* value;
    // RMSprop's and AdamW's running mean of squared gradients; null for SGD.
    float* square;
    // AdamW's running mean of gradients; null for the others.
    float* mean;
    const float* gradient;
    u32 length;
    // The first block that works on it.
    u32 first_block;
};

// What a step leaves for the host, and for the next one.
struct State {
    // Steps of this epoch.
    u32 step;
    // 1 once a loss or a norm was not finite: from then on nothing changes.
    u32 failed;
    // Factor of the gradients in this step.
    float clip;
    // Entries of the log, which is a ring.
    u32 capacity;
    // AdamW's corrections: of the learning rate, and of the root of the mean of squares.
    float rate, root;
};

struct UpdateAll {
    const Slot* slots;
    const float* loss;
    State* state;
    // Loss and gradient norm of each step.
    float2* log;
    double* partial;
    u32* ticket;
    // AdamW's number of steps; null for the others.
    float* steps;
    // Infinite where nothing is clipped.
    double clip_norm, learning_rate;
    // Of AdamW: the shares of the old means of gradients and of their squares.
    double beta1, beta2;
    float weight_decay;
    u32 count;
    // 0: SGD, 1: RMSprop, 2: AdamW.
    u32 rule, padding;
};

constexpr u32 ELEMENTS_OF_BLOCK = 2048;

// The slot that a block works on.
__device__ __forceinline__ u32 slot_of_block(const Slot* slots, u32 count, u32 block) {
    u32 low = 0, high = count;
    while (high - low > 1) {
        const u32 middle = (low + high) / 2;
        if (slots[middle].first_block <= block) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// The norm, in double; the last block decides about the step.
KERNEL_BOUNDS(optimizer_norm, UpdateAll, 256) {
    const Slot slot = a.slots[slot_of_block(a.slots, a.count, blockIdx.x)];
    const u32 begin = (blockIdx.x - slot.first_block) * ELEMENTS_OF_BLOCK;
    const u32 end = min(begin + ELEMENTS_OF_BLOCK, slot.length);
    double sum = 0.0;
    for (u32 i = begin + threadIdx.x; i < end; i += blockDim.x) {
        const double g = (double)slot.gradient[i];
        sum += g * g;
    }
    const double total = block_sum(sum, 0.0).x;
    if (threadIdx.x == 0) {
        a.partial[blockIdx.x] = total;
    }
    if (!last_block(a.ticket, gridDim.x)) {
        return;
    }
    sum = 0.0;
    for (u32 block = threadIdx.x; block < gridDim.x; block += blockDim.x) {
        sum += a.partial[block];
    }
    const double norm = sqrt(block_sum(sum, 0.0).x);
    if (threadIdx.x > 0) {
        return;
    }
    const float loss = *a.loss;
    State& state = *a.state;
    a.log[state.step % state.capacity] = make_float2(loss, (float)norm);
    state.step += 1;
    const double clip = a.clip_norm / (norm + 1e-6);
    state.clip = (float)(clip < 1.0 ? clip : 1.0);
    if (!isfinite(norm) || !isfinite(loss)) {
        state.failed = 1;
    }
    if (a.steps && !state.failed) {
        const double t = (double)*a.steps + 1.0;
        *a.steps = (float)t;
        state.rate = (float)(a.learning_rate / (1.0 - pow(a.beta1, t)));
        state.root = (float)(1.0 / sqrt(1.0 - pow(a.beta2, t)));
    }
}

// PyTorch's SGD, RMSprop and AdamW.
KERNEL_BOUNDS(optimizer_update, UpdateAll, 256) {
    if (a.state->failed) {
        return;
    }
    const float clip = a.state->clip, rate = (float)a.learning_rate;
    const Slot slot = a.slots[slot_of_block(a.slots, a.count, blockIdx.x)];
    const u32 begin = (blockIdx.x - slot.first_block) * ELEMENTS_OF_BLOCK;
    const u32 end = min(begin + ELEMENTS_OF_BLOCK, slot.length);
    for (u32 i = begin + threadIdx.x; i < end; i += blockDim.x) {
        const float p = slot.value[i], clipped = slot.gradient[i] * clip;
        if (a.rule == 2) {
            const float admit = (float)(1.0 - a.beta1), admit_square = (float)(1.0 - a.beta2);
            const float m = fmaf(admit, clipped, (float)a.beta1 * slot.mean[i]);
            const float v = fmaf(admit_square * clipped, clipped, (float)a.beta2 * slot.square[i]);
            slot.mean[i] = m;
            slot.square[i] = v;
            const float kept = (float)(1.0 - a.learning_rate * (double)a.weight_decay) * p;
            slot.value[i] = fmaf(-a.state->rate, m / fmaf(sqrtf(v), a.state->root, 1e-8f), kept);
            continue;
        }
        const float g = fmaf(a.weight_decay, p, clipped);
        if (a.rule == 1) {
            const float v = fmaf(0.01f * g, g, slot.square[i] * 0.99f);
            slot.square[i] = v;
            slot.value[i] = fmaf(-rate, g / (sqrtf(v) + 1e-8f), p);
        } else {
            slot.value[i] = fmaf(-rate, g, p);
        }
    }
}
