// What a CUDA C kernel source sees when it is compiled for the CPU. The
// emulated NVRTC includes this file before the source. It covers what our
// kernels use; anything else is a compile error, which is intended.
#pragma once

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <type_traits>

#include "kernel_abi.h"

#define I2M2_EMULATOR 1

// ---- Kernels -----------------------------------------------------------------

#define I2M2_EXPORT extern "C" __attribute__((visibility("default")))

// In .data, because the driver overwrites .bss (see __shared__ below).
__attribute__((section(".data"))) static I2m2KernelState i2m2_state = {i2m2_abi};
I2M2_EXPORT I2m2KernelState* i2m2_kernel_state() { return &i2m2_state; }

#define KERNEL_BOUNDS(name, Args, threads)                            \
    static void i2m2_body_##name(const Args& a);                      \
    I2M2_EXPORT void name(const void* args) {                         \
        i2m2_body_##name(*static_cast<const Args*>(args));            \
    }                                                                 \
    I2M2_EXPORT unsigned long name##_size() { return sizeof(Args); }  \
    I2M2_EXPORT unsigned name##_threads() { return threads; }         \
    static void i2m2_body_##name([[maybe_unused]] const Args& a)
#define KERNEL(name, Args) KERNEL_BOUNDS(name, Args, 1024)

// ---- Qualifiers --------------------------------------------------------------

#define __global__
#define __device__
#define __host__
#define __constant__ static const
// One block runs at a time, so a static is enough. It lies in .bss, which the
// driver fills with 0xFF bytes (NaN) before each block, because real shared
// memory is not initialised either. A __device__ variable needs an initialiser
// to stay out of .bss.
#define __shared__ static
// The shared memory whose size the launch decides; it ends at a guard page. A source
// has `extern __shared__ T name[];` for CUDA, and for the emulator
// `#define name (i2m2_dynamic_shared<T>())`.
template <class T>
static inline T* i2m2_dynamic_shared() {
    return static_cast<T*>(i2m2_state.dynamic_shared);
}
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

// ---- Vector types ------------------------------------------------------------

using uint3 = I2m2Index;
using dim3 = I2m2Index;

#define I2M2_VECTOR2(name, T)                                                   \
    struct alignas(2 * sizeof(T)) name { T x, y; };                             \
    static inline name make_##name(T x, T y) { return {x, y}; }
#define I2M2_VECTOR4(name, T, alignment)                                        \
    struct alignas(alignment) name { T x, y, z, w; };                           \
    static inline name make_##name(T x, T y, T z, T w) { return {x, y, z, w}; }

I2M2_VECTOR2(float2, float)
I2M2_VECTOR2(double2, double)
I2M2_VECTOR2(int2, int)
I2M2_VECTOR2(uint2, unsigned)
I2M2_VECTOR4(float4, float, 16)
I2M2_VECTOR4(int4, int, 16)
I2M2_VECTOR4(uint4, unsigned, 16)

// ---- Built-in variables ------------------------------------------------------

#define threadIdx (static_cast<const uint3&>(i2m2_state.thread))
#define blockIdx (static_cast<const uint3&>(i2m2_state.block))
#define blockDim (static_cast<const dim3&>(i2m2_state.block_size))
#define gridDim (static_cast<const dim3&>(i2m2_state.grid_size))
#define warpSize 32

// ---- Barriers and warp collectives -------------------------------------------
// __activemask() is missing on purpose: its result depends on the hardware.

static inline void i2m2_compiler_fence() { asm volatile("" ::: "memory"); }
static inline void __threadfence() { i2m2_compiler_fence(); }
static inline void __threadfence_block() { i2m2_compiler_fence(); }

static inline void __syncthreads() {
    i2m2_compiler_fence();
    i2m2_state.sync_block();
    i2m2_compiler_fence();
}

static inline unsigned __ballot_sync(unsigned mask, int predicate) {
    i2m2_compiler_fence();
    const unsigned bits = i2m2_state.ballot(mask, predicate != 0);
    i2m2_compiler_fence();
    return bits;
}
static inline void __syncwarp(unsigned mask = ~0u) { __ballot_sync(mask, 0); }
static inline int __any_sync(unsigned mask, int p) { return __ballot_sync(mask, p) != 0; }
static inline int __all_sync(unsigned mask, int p) { return __ballot_sync(mask, !p) == 0; }

template <class T>
static inline T i2m2_shuffle(unsigned mask, T value, unsigned source) {
    static_assert(std::is_arithmetic_v<T> && sizeof(T) >= 4 && sizeof(T) <= 8,
                  "only numbers of 32 and 64 bits can be shuffled");
    unsigned long long bits = 0;
    memcpy(&bits, &value, sizeof(T));
    i2m2_compiler_fence();
    bits = i2m2_state.shuffle(mask, source, bits);
    i2m2_compiler_fence();
    memcpy(&value, &bits, sizeof(T));
    return value;
}
// A warp is split into segments of `width` lanes, a power of two.
template <class T>
static inline T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
    const unsigned first = i2m2_state.lane & ~(width - 1u);
    return i2m2_shuffle(mask, value, first | (unsigned(source) & (width - 1u)));
}
template <class T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    const unsigned lane = i2m2_state.lane, last = lane | (width - 1u);
    return i2m2_shuffle(mask, value, lane + delta <= last ? lane + delta : lane);
}
template <class T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    const unsigned lane = i2m2_state.lane, first = lane & ~(width - 1u);
    return i2m2_shuffle(mask, value, lane >= first + delta ? lane - delta : lane);
}
template <class T>
static inline T __shfl_xor_sync(unsigned mask, T value, int flip, int width = 32) {
    const unsigned lane = i2m2_state.lane, last = lane | (width - 1u), source = lane ^ flip;
    return i2m2_shuffle(mask, value, source <= last ? source : lane);
}

// ---- Atomics -----------------------------------------------------------------
// Integers only. Threads never run at the same time here, so plain code is atomic.

#define I2M2_ATOMICS(T)                                                         \
    static inline T atomicAdd(T* p, T v) { T old = *p; *p = old + v; return old; }  \
    static inline T atomicExch(T* p, T v) { T old = *p; *p = v; return old; }       \
    static inline T atomicMax(T* p, T v) { T old = *p; *p = old < v ? v : old; return old; }
I2M2_ATOMICS(int)
I2M2_ATOMICS(unsigned)
static inline unsigned atomicInc(unsigned* p, unsigned limit) {
    const unsigned old = *p;
    *p = old >= limit ? 0 : old + 1;
    return old;
}
// Refused at compile time: the order of a floating-point atomicAdd is not fixed,
// so its result would differ from run to run.
float atomicAdd(float*, float) = delete;     // a kernel must not add floats in no fixed order
double atomicAdd(double*, double) = delete;  // a kernel must not add doubles in no fixed order

// ---- Arithmetic --------------------------------------------------------------

#define CUDART_INF_F (__builtin_inff())
#define CUDART_NAN_F (__builtin_nanf(""))
#define CUDART_INF (__builtin_inf())
#define CUDART_NAN (__builtin_nan(""))

#define I2M2_MIN_MAX(T)                                             \
    static inline constexpr T min(T a, T b) { return b < a ? b : a; } \
    static inline constexpr T max(T a, T b) { return a < b ? b : a; }
I2M2_MIN_MAX(int)
I2M2_MIN_MAX(unsigned)
I2M2_MIN_MAX(long)
I2M2_MIN_MAX(unsigned long)
I2M2_MIN_MAX(long long)
I2M2_MIN_MAX(unsigned long long)
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }

// Of two types, which CUDA allows, too: (int, unsigned) gives unsigned.
template <class A, class B>
using i2m2_mixed = std::enable_if_t<std::is_integral_v<A> == std::is_integral_v<B>, std::common_type_t<A, B>>;
template <class A, class B>
static inline i2m2_mixed<A, B> min(A a, B b) { return min(i2m2_mixed<A, B>(a), i2m2_mixed<A, B>(b)); }
template <class A, class B>
static inline i2m2_mixed<A, B> max(A a, B b) { return max(i2m2_mixed<A, B>(a), i2m2_mixed<A, B>(b)); }

template <class T>
static inline T __ldg(const T* p) { return *p; }

template <class To, class From>
static inline To i2m2_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof(to));
    return to;
}
static inline unsigned __float_as_uint(float v) { return i2m2_bits<unsigned>(v); }
static inline int __float_as_int(float v) { return i2m2_bits<int>(v); }
static inline float __uint_as_float(unsigned v) { return i2m2_bits<float>(v); }
static inline float __int_as_float(int v) { return i2m2_bits<float>(v); }
static inline long long __double_as_longlong(double v) { return i2m2_bits<long long>(v); }
static inline double __longlong_as_double(long long v) { return i2m2_bits<double>(v); }

static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __clz(int v) { return v == 0 ? 32 : __builtin_clz(unsigned(v)); }
static inline int __ffs(int v) { return __builtin_ffs(v); }

static inline float __frcp_rn(float v) { return 1.0f / v; }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float v) { return sqrtf(v); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float i2m2_rsqrtf(float v) { return 1.0f / sqrtf(v); }
static inline double i2m2_rsqrt(double v) { return 1.0 / sqrt(v); }
// Macros, because a C library may declare functions of these names.
#define rsqrtf i2m2_rsqrtf
#define rsqrt i2m2_rsqrt
#define __expf(v) expf(v)
#define __logf(v) logf(v)

static inline long long clock64() { return 0; }

// g++ takes the attribute after `static`, the keyword not: __shared__ alignas(16) float x[4];
#define alignas(n) __attribute__((aligned(n)))
