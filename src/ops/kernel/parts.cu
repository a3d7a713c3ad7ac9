// A result that several blocks have computed parts of, added up.

// out[i] (+)= the sum of parts[i], parts[i + apart], .. in this order.
struct AddParts {
    const float* parts;
    float* out;
    u32 count, apart, splits;
    // 1: adds to what is in `out`.
    u32 accumulate;
};

KERNEL(add_parts, AddParts) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.count) {
        return;
    }
    float sum = a.parts[i];
    for (u32 split = 1; split < a.splits; ++split) {
        sum += a.parts[(long long)split * a.apart + i];
    }
    a.out[i] = a.accumulate ? a.out[i] + sum : sum;
}
