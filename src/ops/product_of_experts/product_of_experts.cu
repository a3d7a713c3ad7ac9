// The product of experts and its cross-entropy. Logits and log-probabilities are classes x examples.

constexpr u32 MOST_EXPERTS = 8;

struct Product {
    const float* experts[MOST_EXPERTS];
    const u32* labels;
    float* out;
    float* loss;
    u32 count, classes, examples, padding;
};

// log_softmax(sum over e of log_softmax(z_e)) of one example: its first class stands at `first`, the others follow at distances of
// `examples`.
__device__ __forceinline__ void product_of_column(
    const float* const* experts, float* out, u32 count, u32 classes, u32 examples, u32 first) {
    for (u32 e = 0; e < count; ++e) {
        // The largest logit is taken off first: sums of large logits then lose nothing that matters.
        float largest = MINUS_INFINITY;
        for (u32 k = 0; k < classes; ++k) {
            const float logit = experts[e][first + k * examples];
            largest = logit > largest ? logit : largest;
        }
        for (u32 k = 0; k < classes; ++k) {
            const u32 i = first + k * examples;
            const float relative = experts[e][i] - largest;
            out[i] = e == 0 ? relative : out[i] + relative;
        }
    }
    float largest = MINUS_INFINITY;
    for (u32 k = 0; k < classes; ++k) {
        const float value = out[first + k * examples];
        largest = value > largest ? value : largest;
    }
    float sum = 0.0f;
    for (u32 k = 0; k < classes; ++k) {
        sum += expf(out[first + k * examples] - largest);
    }
    const float log_sum = logf(sum);
    for (u32 k = 0; k < classes; ++k) {
        const u32 i = first + k * examples;
        out[i] = out[i] - largest - log_sum;
    }
}

// out = log_softmax(sum over e of log_softmax(z_e)), loss = mean of -out[label]. One block.
KERNEL_BOUNDS(product_forward, Product, 256) {
    double total = 0.0;
    for (u32 n = threadIdx.x; n < a.examples; n += blockDim.x) {
        product_of_column(a.experts, a.out, a.count, a.classes, a.examples, n);
        total -= (double)a.out[a.labels[n] * a.examples + n];
    }
    const double sum = block_sum(total, 0.0).x;
    if (threadIdx.x == 0) {
        *a.loss = (float)(sum / (double)a.examples);
    }
}

struct ProductBackward {
    float* gradients[MOST_EXPERTS];
    const float* log_probabilities;
    const u32* labels;
    const float* loss_gradient;
    u32 count, classes, examples, padding;
};

// Adds (softmax(out) - onehot(label)) / examples, times the loss's gradient, to every expert's gradient.
KERNEL(product_backward, ProductBackward) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.classes * a.examples) {
        return;
    }
    const float scale = (float)((double)*a.loss_gradient / (double)a.examples);
    const float probability = expf(a.log_probabilities[i]) * scale;
    const float gradient = a.labels[i % a.examples] == i / a.examples ? probability - scale : probability;
    for (u32 e = 0; e < a.count; ++e) {
        a.gradients[e][i] += gradient;
    }
}

struct HeadsProduct {
    const float* experts[MOST_EXPERTS];
    const u32* labels;
    // Of each class, head by head.
    const float* weights;
    float* out;
    float* loss;
    // Of each head: the sum of the examples' weights.
    float* totals;
    u32 count, heads, classes, examples;
};

// The class of a head in a label: a digit in base `classes`.
__device__ __forceinline__ u32 class_of(u32 label, u32 head, u32 classes) {
    for (u32 h = 0; h < head; ++h) {
        label /= classes;
    }
    return label % classes;
}

// Each head's product as above, and the sum of the heads' weighted losses. One block.
KERNEL_BOUNDS(heads_forward, HeadsProduct, 256) {
    double all = 0.0;
    for (u32 head = 0; head < a.heads; ++head) {
        const u32 first = head * a.classes * a.examples;
        double total = 0.0, weights = 0.0;
        for (u32 n = threadIdx.x; n < a.examples; n += blockDim.x) {
            product_of_column(a.experts, a.out, a.count, a.classes, a.examples, first + n);
            const u32 y = class_of(a.labels[n], head, a.classes);
            const double weight = (double)a.weights[head * a.classes + y];
            total -= weight * (double)a.out[first + y * a.examples + n];
            weights += weight;
        }
        const double2 sums = block_sum(total, weights);
        if (threadIdx.x == 0) {
            a.totals[head] = (float)sums.y;
            all += sums.x / sums.y;
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        *a.loss = (float)all;
    }
}

struct HeadsBackward {
    float* gradients[MOST_EXPERTS];
    const float* log_probabilities;
    const u32* labels;
    const float* weights;
    const float* totals;
    const float* loss_gradient;
    u32 count, heads, classes, examples;
};

// Adds weight / total * (softmax(out) - onehot(class)), times the loss's gradient, to every expert's gradient.
KERNEL(heads_backward, HeadsBackward) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.heads * a.classes * a.examples) {
        return;
    }
    const u32 n = i % a.examples, head = i / a.examples / a.classes, k = i / a.examples % a.classes;
    const u32 y = class_of(a.labels[n], head, a.classes);
    const double weight = (double)a.weights[head * a.classes + y] / (double)a.totals[head];
    const float scale = (float)((double)*a.loss_gradient * weight);
    const float probability = expf(a.log_probabilities[i]) * scale;
    const float gradient = k == y ? probability - scale : probability;
    for (u32 e = 0; e < a.count; ++e) {
        a.gradients[e][i] += gradient;
    }
}
