// libcublas: handles work, so that dfdx can make its device; no product does,
// as our own kernels are to compute everything.

#include <cstddef>

#include "settings.h"

namespace {

constexpr int success = 0, not_initialised = 1, not_supported = 15;

struct Handle {
    void* stream = nullptr;
};

}  // namespace

#define ENTER(function) \
    if (const auto fault = injected_fault(#function)) return *fault

I2M2_API int cublasCreate_v2(Handle** handle) {
    ENTER(cublasCreate_v2);
    *handle = new Handle;
    return success;
}
I2M2_API int cublasDestroy_v2(Handle* handle) {
    ENTER(cublasDestroy_v2);
    if (!handle) return not_initialised;
    delete handle;
    return success;
}
I2M2_API int cublasSetStream_v2(Handle* handle, void* stream) {
    ENTER(cublasSetStream_v2);
    if (!handle) return not_initialised;
    handle->stream = stream;
    return success;
}
I2M2_API int cublasGetStream_v2(Handle* handle, void** stream) {
    ENTER(cublasGetStream_v2);
    if (!handle) return not_initialised;
    *stream = handle->stream;
    return success;
}
I2M2_API int cublasSetMathMode(Handle* handle, int) {
    ENTER(cublasSetMathMode);
    return handle ? success : not_initialised;
}
I2M2_API int cublasSetWorkspace_v2(Handle* handle, void*, size_t) {
    ENTER(cublasSetWorkspace_v2);
    return handle ? success : not_initialised;
}
I2M2_API int cublasGetVersion_v2(Handle* handle, int* version) {
    ENTER(cublasGetVersion_v2);
    if (!handle) return not_initialised;
    *version = 130000;
    return success;
}

#define UNSUPPORTED(function)      \
    I2M2_API int function() {      \
        ENTER(function);           \
        return not_supported;      \
    }

// All products that cudarc 0.9 wraps, and their neighbours.
UNSUPPORTED(cublasDgemm_v2)
UNSUPPORTED(cublasDgemmBatched)
UNSUPPORTED(cublasDgemmStridedBatched)
UNSUPPORTED(cublasDgemv_v2)
UNSUPPORTED(cublasGemmBatchedEx)
UNSUPPORTED(cublasGemmEx)
UNSUPPORTED(cublasGemmStridedBatchedEx)
UNSUPPORTED(cublasHgemm)
UNSUPPORTED(cublasHgemmStridedBatched)
UNSUPPORTED(cublasSgemm_v2)
UNSUPPORTED(cublasSgemmBatched)
UNSUPPORTED(cublasSgemmEx)
UNSUPPORTED(cublasSgemmStridedBatched)
UNSUPPORTED(cublasSgemv_v2)
