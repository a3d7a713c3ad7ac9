// A batch out of a dataset that lives on the device: rows picked, and turned so that the examples are innermost.

struct Gather {
    // Samples, one after the other, `features` each.
    const float* samples;
    // Which sample each row of the split has; null: its own.
    const u32* index;
    // The rows of an epoch, in order.
    const u32* order;
    // Steps done in this epoch, of `stride` rows each; null: none.
    const u32* step;
    // Labels of the split's rows, and of the batch; null where another launch takes care of them.
    const u32* labels;
    u32* batch_labels;
    float* out;
    // The first row of the order.
    u32 first;
    u32 stride, features, batch;
};

constexpr u32 TILE = 32;

// A block turns 32 features of 32 examples.
KERNEL_BOUNDS(gather, Gather, 256) {
    __shared__ float tile[TILE][TILE + 1];
    const u32 feature = blockIdx.x * TILE, example = blockIdx.y * TILE;
    const u32* order = a.order + a.first + (a.step ? *a.step * a.stride : 0);
    for (u32 i = threadIdx.y; i < TILE; i += blockDim.y) {
        if (example + i < a.batch && feature + threadIdx.x < a.features) {
            const u32 row = order[example + i], sample = a.index ? a.index[row] : row;
            tile[i][threadIdx.x] = a.samples[(long long)sample * a.features + feature + threadIdx.x];
        }
    }
    __syncthreads();
    for (u32 i = threadIdx.y; i < TILE; i += blockDim.y) {
        if (example + threadIdx.x < a.batch && feature + i < a.features) {
            a.out[(long long)(feature + i) * a.batch + example + threadIdx.x] = tile[threadIdx.x][i];
        }
    }
    if (a.labels && blockIdx.x == 0 && threadIdx.y == 0 && example + threadIdx.x < a.batch) {
        a.batch_labels[example + threadIdx.x] = a.labels[order[example + threadIdx.x]];
    }
}
