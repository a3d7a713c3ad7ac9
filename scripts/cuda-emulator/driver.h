// What the files of the emulated libcuda have in common.
#pragma once

#include <mutex>

#include "results.h"
#include "settings.h"

struct Context {
    int device;
    int users;
};

// One lock for the whole driver: calls of several threads run one at a time.
std::recursive_mutex& driver_lock();
bool is_initialised();
// Of the calling thread.
Context* current_context();

// First line of every function: the lock, and a fault if one is asked for.
#define ENTER(function)                                                      \
    const std::lock_guard<std::recursive_mutex> i2m2_guard(driver_lock());   \
    if (const auto fault = injected_fault(#function)) return *fault
// For a function that needs cuInit, and one that needs a context, too.
#define NEED_INIT if (!is_initialised()) return CUDA_ERROR_NOT_INITIALIZED
#define NEED_CONTEXT \
    NEED_INIT;       \
    if (!current_context()) return CUDA_ERROR_INVALID_CONTEXT
// Returns from the function when `call` gives anything but success.
#define TRY(call)                                      \
    do {                                               \
        const int i2m2_result = (call);                \
        if (i2m2_result != CUDA_SUCCESS) return i2m2_result; \
    } while (false)
