// What a compiled kernel library and the emulated driver share: the built-in
// variables of the thread that runs now, and the calls with which it waits for
// other threads. The library owns the one state; the driver fills it in.
#pragma once

struct I2m2Index {
    unsigned x, y, z;
};

// Counts the changes of this file: a program may keep compiled kernels.
constexpr unsigned i2m2_abi = 1;

struct I2m2KernelState {
    unsigned abi;  // that the library was compiled with
    I2m2Index thread, block, block_size, grid_size;
    unsigned lane;         // of the warp, 0..31
    void* dynamic_shared;  // as many bytes as the launch asks for

    // __syncthreads()
    void (*sync_block)();
    // The value that lane `source` of the warp brings to the same call.
    unsigned long long (*shuffle)(unsigned mask, unsigned source, unsigned long long value);
    // One bit for each lane named in `mask` that brings a true predicate.
    unsigned (*ballot)(unsigned mask, bool predicate);
};

// A kernel library exports, for every KERNEL(name, Args):
//   void name(const void* args)      runs the body as the current thread
//   unsigned long name_size()        sizeof(Args)
//   unsigned name_threads()          the largest block it may be launched with
// and once:
//   I2m2KernelState* i2m2_kernel_state()
