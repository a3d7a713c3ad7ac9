// Device memory: every allocation is a mapping of its own that ends at a guard page.
#pragma once

#include <cstddef>
#include <cstdint>

using CUdeviceptr = unsigned long long;

// These return a CUresult; what went wrong goes to stderr.
int allocate(size_t bytes, CUdeviceptr* address);
int release(CUdeviceptr address);
// CUDA_SUCCESS when the range lies in one live allocation.
int check_range(CUdeviceptr address, size_t bytes, const char* function);

size_t allocated_bytes();
