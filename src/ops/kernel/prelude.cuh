// What all kernels share: how a kernel is declared, sums over a block, and the ticket that makes the last block finish.
//
// Invariant: every sum has one fixed order. Blocks leave partial sums, and the one that comes last (an integer ticket tells)
// adds them up in the order of the blocks, so it does not matter which one that is.

#ifndef KERNEL
// A kernel has one parameter, a struct that the host fills: `a`.
#define KERNEL(name, Args) extern "C" __global__ void name(const __grid_constant__ Args a)
#define KERNEL_BOUNDS(name, Args, threads) \
    extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ Args a)
// Shared memory whose size the launch decides.
extern __shared__ float4 shared_words[];
#else  // the emulator of scripts/cuda-emulator
#define shared_words (i2m2_dynamic_shared<float4>())
#endif

typedef unsigned int u32;

#define MINUS_INFINITY __int_as_float(0xff800000)

constexpr u32 WARP = 32;
constexpr u32 ALL_LANES = 0xffffffffu;

// `count` neighbouring floats; aligned to their size, so that they are read at once.
template <int count> struct alignas(4 * count) Floats { float at[count]; };

template <int count>
__device__ __forceinline__ Floats<count> load(const float* from) {
    return *reinterpret_cast<const Floats<count>*>(from);
}

template <int count>
__device__ __forceinline__ void store(float* to, const Floats<count>& values) {
    *reinterpret_cast<Floats<count>*>(to) = values;
}

// An operand of the large products. With I2M2_TF32 it is rounded to the 10 bits of fraction that tensor cores read, to nearest and
// ties away from zero (`cvt.rna.tf32.f32`); products are then exact in f32, and sums stay f32.
__device__ __forceinline__ float operand(float value) {
#ifdef I2M2_TF32
    const u32 bits = __float_as_uint(value);
    // Infinity and NaN stay what they are.
    return (bits & 0x7f800000u) == 0x7f800000u ? value : __uint_as_float((bits + 0x1000u) & 0xffffe000u);
#else
    return value;
#endif
}

// The sum over a warp, in every lane.
template <typename T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(ALL_LANES, value, distance);
    }
    return value;
}

// The sums of two values over a block of up to 1024 threads (whole warps), in every thread of the first warp.
__device__ __forceinline__ double2 block_sum(double first, double second) {
    __shared__ double sums[2][WARP];
    const u32 thread = threadIdx.y * blockDim.x + threadIdx.x;
    const u32 warps = blockDim.x * blockDim.y / WARP;
    first = warp_sum(first);
    second = warp_sum(second);
    __syncthreads();
    if (thread % WARP == 0) {
        sums[0][thread / WARP] = first;
        sums[1][thread / WARP] = second;
    }
    __syncthreads();
    first = thread < warps ? sums[0][thread] : 0.0;
    second = thread < warps ? sums[1][thread] : 0.0;
    return make_double2(warp_sum(first), warp_sum(second));
}

// Whether this block is the last of `blocks` to come here. What the others wrote before can be read after. The ticket is
// back at zero afterwards.
__device__ __forceinline__ bool last_block(u32* ticket, u32 blocks) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) {
        last = atomicInc(ticket, blocks - 1) == blocks - 1;
    }
    __syncthreads();
    __threadfence();
    return last;
}

// The sums of two values over `gridDim.x` blocks, which leave theirs in `partial` and are added up in the order of the blocks. True
// in one thread of the last block, where `total` then holds them; everywhere else there is nothing more to do.
__device__ __forceinline__ bool blocks_sum(double first, double second, double* partial, u32* ticket, double2& total) {
    const double2 own = block_sum(first, second);
    if (threadIdx.x == 0) {
        partial[2 * blockIdx.x] = own.x;
        partial[2 * blockIdx.x + 1] = own.y;
    }
    if (!last_block(ticket, gridDim.x) || threadIdx.x > 0) {
        return false;
    }
    total = make_double2(0.0, 0.0);
    for (u32 block = 0; block < gridDim.x; ++block) {
        total.x += partial[2 * block];
        total.y += partial[2 * block + 1];
    }
    return true;
}
