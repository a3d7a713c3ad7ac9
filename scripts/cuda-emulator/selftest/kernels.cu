// Kernels for the emulator's own test, written the way ours are.
#ifndef KERNEL
#define KERNEL(name, Args) extern "C" __global__ void name(const Args a)
#define KERNEL_BOUNDS(name, Args, threads) extern "C" __global__ void __launch_bounds__(threads) name(const Args a)
extern __shared__ float4 shared_words[];
#else
#define shared_words (i2m2_dynamic_shared<float4>())
#endif

#include "selftest/args.cuh"

__constant__ float weights[4] = {1.0f, 0.5f, 0.25f, 0.125f};
__device__ unsigned finished_blocks = 0;

template <int Width, class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
    for (int step = Width / 2; step > 0; step /= 2) value += __shfl_down_sync(0xffffffffu, value, step);
    return value;
}

// The sum of a block's values: over strides, a tree in shared memory, a warp.
KERNEL_BOUNDS(reduce, ReduceArgs, 256) {
    __shared__ float tile[256];
    const unsigned t = threadIdx.x;
    float sum = 0.0f;
    for (int i = blockIdx.x * blockDim.x + t; i < a.count; i += gridDim.x * blockDim.x) {
        sum = fmaf(__ldg(a.values + i), weights[i % 4], sum);
    }
    tile[t] = sum;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half >= warpSize; half /= 2) {
        if (t < half) tile[t] += tile[t + half];
        __syncthreads();
    }
    if (t < warpSize) {
        sum = warp_sum<32>(tile[t]);
        if (t == 0) {
            a.sums[blockIdx.x] = sum;
            __threadfence();
            atomicAdd(&finished_blocks, 1u);
        }
    }
}

// A thread's coordinates, without any barrier.
KERNEL(coordinates, OutArgs) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    const int z = blockIdx.z * blockDim.z + threadIdx.z;
    const int width = gridDim.x * blockDim.x, height = gridDim.y * blockDim.y;
    const int i = (z * height + y) * width + x;
    if (i < a.count) a.out[i] = x + 1000 * y + 1000000 * z;
}

// One warp: everything that lanes can exchange.
KERNEL(exchange, ExchangeArgs) {
    const int lane = threadIdx.x;
    int* ints = a.ints + lane * 8;
    ints[0] = __shfl_sync(~0u, lane * 10, 5);
    ints[1] = __shfl_sync(~0u, lane * 10, lane + 1, 8);
    ints[2] = __shfl_down_sync(~0u, lane, 3, 16);
    ints[3] = __shfl_up_sync(~0u, lane, 3, 16);
    ints[4] = __shfl_xor_sync(~0u, lane, 9);
    ints[5] = __shfl_xor_sync(~0u, lane, 9, 8);
    ints[6] = __any_sync(~0u, lane == 7) + 2 * __any_sync(~0u, lane == 99);
    ints[7] = __all_sync(~0u, lane < 32) + 2 * __all_sync(~0u, lane < 31);
    a.doubles[lane] = __shfl_xor_sync(~0u, lane + 0.5, 1);
    a.bits[lane] = __ballot_sync(~0u, lane % 3 == 0);
    // Half a warp alone.
    if (lane < 16) {
        __syncwarp(0xffffu);
        a.bits[lane] ^= __ballot_sync(0xffffu, 1);
    }
}

// Reverses a block of any shape, through shared memory and over all its warps.
KERNEL(reverse_block, OutArgs) {
    __shared__ __align__(16) int tile[1024];
    const int last = blockDim.x * blockDim.y * blockDim.z - 1;
    const int t = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    tile[t] = t;
    __syncthreads();
    a.out[t] = tile[last - t];
}

// Neighbours in shared memory whose size the launch decides; NaN where nobody writes.
KERNEL(dynamic, FloatArgs) {
    const unsigned t = threadIdx.x;
    if (t != 3) shared_words[t] = make_float4(t, t, t, t);
    __syncthreads();
    a.out[t] = shared_words[(t + 1) % blockDim.x].w;
}

// Integer atomics, whose result knows no order.
KERNEL(atomics, OutArgs) {
    atomicAdd(a.out, int(threadIdx.x));
    atomicMax(a.out + 1, int(threadIdx.x));
    atomicInc(reinterpret_cast<unsigned*>(a.out + 2), 9u);
    if (threadIdx.x == 0) atomicExch(a.out + 3, 77);
}

KERNEL(arithmetic, FloatArgs) {
    const float4 v = make_float4(1.0f, 4.0f, 2.0f, 0.5f);
    a.out[0] = rsqrtf(v.y) + __frcp_rn(v.z) + __fdividef(v.x, v.w);
    a.out[1] = fmaxf(v.x, fminf(v.y, v.z)) + max(3, 4) + min(2u, 7u) + fabsf(-v.w);
    a.out[2] = isfinite(CUDART_INF_F) ? 1.0f : isnan(CUDART_INF_F - CUDART_INF_F) ? 2.0f : 3.0f;
    a.out[3] = __uint_as_float(__float_as_uint(1.5f)) + __int_as_float(__float_as_int(-0.25f));
    a.out[4] = __popc(0xf0f0u) + __clz(1) + __clz(0) + float(clock64());
    a.out[5] = expf(0.0f) + logf(1.0f) + tanhf(0.0f) + sqrtf(9.0f) + float(exp(0.0) + sqrt(4.0) + fma(2.0, 3.0, 1.0));
}

// ---- Wrong kernels ----

// The threads and the blocks add in whatever order they come.
KERNEL(racy_sum, FloatArgs) { a.out[0] += 1.0f / (1 + blockIdx.x * blockDim.x + threadIdx.x); }

// Reads a neighbour's value without a barrier.
KERNEL(missing_barrier, OutArgs) {
    __shared__ int tile[64];
    tile[threadIdx.x] = threadIdx.x;
    a.out[threadIdx.x] = tile[threadIdx.x ^ 1];
}

// Nobody writes what is read.
KERNEL(uninitialised, FloatArgs) {
    __shared__ alignas(16) float tile[64];
    a.out[threadIdx.x] = tile[threadIdx.x];
    __syncthreads();
    tile[threadIdx.x] = 1.0f;
}

KERNEL(deadlock, OutArgs) {
    if (threadIdx.x < 16) __syncthreads();
    else a.out[threadIdx.x] = __shfl_sync(~0u, 1, 0);
}

KERNEL(wrong_mask, OutArgs) { a.out[threadIdx.x] = __shfl_sync(1u, 1, 0); }

// Defined since Volta: threads that have ended are not waited for.
KERNEL(early_exit, OutArgs) {
    if (threadIdx.x >= 40) return;
    __syncthreads();
    a.out[threadIdx.x] = int(__ballot_sync(~0u, 1));
}

KERNEL(overrun, OutArgs) { a.out[threadIdx.x] = 1; }

KERNEL(divide, OutArgs) { a.out[threadIdx.x] = 100 / a.count; }

__device__ __noinline__ int deep(int level, volatile int* out) {
    volatile char frame[1024];
    frame[level % 1024] = char(level);
    out[0] = level;
    return level == 0 ? 0 : deep(level - 1, out) + frame[level % 1024];
}
KERNEL(deep_stack, OutArgs) { a.out[1] = deep(100000, a.out); }
