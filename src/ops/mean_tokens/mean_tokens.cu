// The mean over the tokens of each sample.

struct MeanTokens {
    const float* from;
    float* to;
    u32 tokens, features;
    // Elements that are written.
    u32 count;
    u32 padding;
};

// A thread per sample and feature.
KERNEL(mean_tokens, MeanTokens) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.count) {
        return;
    }
    const float* from = a.from + (long long)(i / a.features) * a.tokens * a.features + i % a.features;
    float sum = 0.0f;
    for (u32 token = 0; token < a.tokens; ++token) {
        sum += from[(long long)token * a.features];
    }
    a.to[i] = sum / (float)a.tokens;
}

// A thread per element of the tokens.
KERNEL(mean_tokens_backward, MeanTokens) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < a.count) {
        a.to[i] += a.from[i / a.features / a.tokens * a.features + i % a.features] / (float)a.tokens;
    }
}
