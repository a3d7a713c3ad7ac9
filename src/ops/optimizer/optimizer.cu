// Clipping by the global gradient norm and the optimiser's update of all parameters: two launches.

// A parameter that is trained.
struct Slot {
    float* value;
    // RMSprop's running mean of squared gradients; null for SGD.
    float* square;
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
};

struct UpdateAll {
    const Slot* slots;
    const float* loss;
    State* state;
    // Loss and gradient norm of each step.
    float2* log;
    double* partial;
    u32* ticket;
    double clip_norm;
    u32 count;
    float learning_rate, weight_decay;
    // 1: RMSprop.
    u32 rmsprop;
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
}

// PyTorch's SGD and RMSprop.
KERNEL_BOUNDS(optimizer_update, UpdateAll, 256) {
    if (a.state->failed) {
        return;
    }
    const float clip = a.state->clip;
    const Slot slot = a.slots[slot_of_block(a.slots, a.count, blockIdx.x)];
    const u32 begin = (blockIdx.x - slot.first_block) * ELEMENTS_OF_BLOCK;
    const u32 end = min(begin + ELEMENTS_OF_BLOCK, slot.length);
    for (u32 i = begin + threadIdx.x; i < end; i += blockDim.x) {
        const float p = slot.value[i], g = fmaf(a.weight_decay, p, slot.gradient[i] * clip);
        if (a.rmsprop) {
            const float v = fmaf(0.01f * g, g, slot.square[i] * 0.99f);
            slot.square[i] = v;
            slot.value[i] = fmaf(-a.learning_rate, g / (sqrtf(v) + 1e-8f), p);
        } else {
            slot.value[i] = fmaf(-a.learning_rate, g, p);
        }
    }
}
