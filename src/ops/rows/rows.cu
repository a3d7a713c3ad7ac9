// Rows taken by number, and their gradients handed back. Elements are numbers, or four neighbouring ones where a row is whole fours.

struct GatherRows {
    const float* from;
    // The rows that are taken of a sample.
    const u32* index;
    float* to;
    // Elements that are taken, and those of a row.
    u32 count, features;
    // Rows that are taken of a sample, and rows that it has.
    u32 taken, of;
};

// The element of the samples' rows that element `i` of the taken ones is.
__device__ __forceinline__ long long row_element(const GatherRows& a, u32 i) {
    const u32 place = i / a.features;
    return (long long)(place / a.taken * a.of + a.index[place % a.taken]) * a.features + i % a.features;
}

template <int count>
__device__ __forceinline__ void gather_rows(const GatherRows& a) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < a.count) {
        store<count>(a.to + (long long)count * i, load<count>(a.from + count * row_element(a, i)));
    }
}

// Of rows that are taken once at most: `from` are gradients of what was taken.
template <int count>
__device__ __forceinline__ void scatter_rows(const GatherRows& a) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.count) {
        return;
    }
    float* to = a.to + count * row_element(a, i);
    const Floats<count> gradient = load<count>(a.from + (long long)count * i);
    Floats<count> sum = load<count>(to);
#pragma unroll
    for (int k = 0; k < count; ++k) {
        sum.at[k] += gradient.at[k];
    }
    store<count>(to, sum);
}

KERNEL(gather_rows_n1, GatherRows) { gather_rows<1>(a); }
KERNEL(gather_rows_n4, GatherRows) { gather_rows<4>(a); }
KERNEL(scatter_rows_n1, GatherRows) { scatter_rows<1>(a); }
KERNEL(scatter_rows_n4, GatherRows) { scatter_rows<4>(a); }

// Of rows that are taken several times: each gets its gradients in the order of their places.
struct AddRows {
    const float* from;
    // The rows that were taken, where the places of each begin among all of them (and, last, where they end), and the places.
    const u32* targets;
    const u32* starts;
    const u32* places;
    float* to;
    u32 count, features;
    // Different rows that were taken of a sample, all rows that were, and rows that it has.
    u32 distinct, taken, of;
    u32 padding;
};

// A thread per sample, target and feature.
KERNEL(add_rows, AddRows) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.count) {
        return;
    }
    const u32 feature = i % a.features, target = i / a.features % a.distinct, sample = i / a.features / a.distinct;
    float* to = a.to + (long long)(sample * a.of + a.targets[target]) * a.features + feature;
    float sum = *to;
    for (u32 k = a.starts[target]; k < a.starts[target + 1]; ++k) {
        sum += a.from[(long long)(sample * a.taken + a.places[k]) * a.features + feature];
    }
    *to = sum;
}
