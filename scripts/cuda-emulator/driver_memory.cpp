// libcuda: allocations, copies and memsets.

#include <cstdlib>
#include <cstring>
#include <set>

#include "driver.h"
#include "memory.h"
#include "streams.h"

namespace {

auto& pinned = *new std::set<void*>;  // memory of the host from cuMemHostAlloc
char default_pool;       // its address is the handle

char* pointer(CUdeviceptr address) { return reinterpret_cast<char*>(address); }

int allocate_counted(CUdeviceptr* address, size_t bytes) {
    TRY(allocate(bytes, address));
    ++counts[allocation_count];
    return CUDA_SUCCESS;
}

// Copies between host and device end a capture, so they run at once.
int to_device(CUdeviceptr to, const void* from, size_t bytes, const char* function) {
    TRY(check_range(to, bytes, function));
    ++counts[host_to_device];
    if (bytes > 0) memcpy(pointer(to), from, bytes);
    return CUDA_SUCCESS;
}
int to_host(void* to, CUdeviceptr from, size_t bytes, const char* function) {
    TRY(check_range(from, bytes, function));
    ++counts[device_to_host];
    if (bytes > 0) memcpy(to, pointer(from), bytes);
    return CUDA_SUCCESS;
}
int copy(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream, const char* function) {
    return submit(stream, device_to_device, [=] {
        TRY(check_range(from, bytes, function));
        TRY(check_range(to, bytes, function));
        if (bytes > 0) memmove(pointer(to), pointer(from), bytes);
        return int{CUDA_SUCCESS};
    });
}
template <class T>
int set(CUdeviceptr to, T value, size_t count, CUstream stream, const char* function) {
    if (to % sizeof(T) != 0) return CUDA_ERROR_INVALID_VALUE;
    return submit(stream, memsets, [=] {
        TRY(check_range(to, count * sizeof(T), function));
        for (size_t i = 0; i < count; ++i) memcpy(pointer(to) + i * sizeof(T), &value, sizeof(T));
        return int{CUDA_SUCCESS};
    });
}

}  // namespace

// ---- Allocations ----

I2M2_API int cuMemAlloc_v2(CUdeviceptr* address, size_t bytes) {
    ENTER(cuMemAlloc_v2);
    NEED_CONTEXT;
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    TRY(require_no_captures());
    return allocate_counted(address, bytes);
}
I2M2_API int cuMemAllocAsync(CUdeviceptr* address, size_t bytes, CUstream stream) {
    ENTER(cuMemAllocAsync);
    NEED_CONTEXT;
    if (bytes == 0 && settings().zero_allocation_fails) return CUDA_ERROR_INVALID_VALUE;
    TRY(require_no_capture(stream));
    return allocate_counted(address, bytes);
}
I2M2_API int cuMemFree_v2(CUdeviceptr address) {
    ENTER(cuMemFree_v2);
    NEED_CONTEXT;
    TRY(require_no_captures());
    return release(address);
}
I2M2_API int cuMemFreeAsync(CUdeviceptr address, CUstream stream) {
    ENTER(cuMemFreeAsync);
    NEED_CONTEXT;
    TRY(require_no_capture(stream));
    return release(address);
}
I2M2_API int cuMemGetInfo_v2(size_t* free, size_t* total) {
    ENTER(cuMemGetInfo_v2);
    NEED_CONTEXT;
    *total = settings().memory;
    *free = *total - allocated_bytes();
    return CUDA_SUCCESS;
}
I2M2_API int cuMemHostAlloc(void** memory, size_t bytes, unsigned) {
    ENTER(cuMemHostAlloc);
    NEED_CONTEXT;
    *memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!*memory) return CUDA_ERROR_OUT_OF_MEMORY;
    pinned.insert(*memory);
    return CUDA_SUCCESS;
}
I2M2_API int cuMemFreeHost(void* memory) {
    ENTER(cuMemFreeHost);
    NEED_CONTEXT;
    if (pinned.erase(memory) == 0) return CUDA_ERROR_INVALID_VALUE;
    free(memory);
    return CUDA_SUCCESS;
}
I2M2_API int cuDeviceGetDefaultMemPool(void** pool, int) {
    ENTER(cuDeviceGetDefaultMemPool);
    NEED_INIT;
    *pool = &default_pool;
    return CUDA_SUCCESS;
}
I2M2_API int cuMemPoolSetAttribute(void* pool, int, void*) {
    ENTER(cuMemPoolSetAttribute);
    NEED_INIT;
    return pool == &default_pool ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

// ---- Copies ----

I2M2_API int cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) {
    ENTER(cuMemcpyHtoD_v2);
    NEED_CONTEXT;
    TRY(require_no_captures());
    return to_device(to, from, bytes, "cuMemcpyHtoD_v2");
}
I2M2_API int cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
    ENTER(cuMemcpyHtoDAsync_v2);
    NEED_CONTEXT;
    TRY(require_no_capture(stream));
    return to_device(to, from, bytes, "cuMemcpyHtoDAsync_v2");
}
I2M2_API int cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) {
    ENTER(cuMemcpyDtoH_v2);
    NEED_CONTEXT;
    TRY(require_no_captures());
    return to_host(to, from, bytes, "cuMemcpyDtoH_v2");
}
I2M2_API int cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
    ENTER(cuMemcpyDtoHAsync_v2);
    NEED_CONTEXT;
    TRY(require_no_capture(stream));
    return to_host(to, from, bytes, "cuMemcpyDtoHAsync_v2");
}
I2M2_API int cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
    ENTER(cuMemcpyDtoD_v2);
    NEED_CONTEXT;
    TRY(require_no_captures());
    return copy(to, from, bytes, nullptr, "cuMemcpyDtoD_v2");
}
I2M2_API int cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    ENTER(cuMemcpyDtoDAsync_v2);
    NEED_CONTEXT;
    return copy(to, from, bytes, stream, "cuMemcpyDtoDAsync_v2");
}

// ---- Memsets ----

I2M2_API int cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
    ENTER(cuMemsetD8_v2);
    NEED_CONTEXT;
    TRY(require_no_captures());
    return set(to, value, count, nullptr, "cuMemsetD8_v2");
}
I2M2_API int cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
    ENTER(cuMemsetD8Async);
    NEED_CONTEXT;
    return set(to, value, count, stream, "cuMemsetD8Async");
}
I2M2_API int cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
    ENTER(cuMemsetD32Async);
    NEED_CONTEXT;
    return set(to, value, count, stream, "cuMemsetD32Async");
}
