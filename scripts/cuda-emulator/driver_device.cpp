// libcuda: initialisation, devices, contexts, error texts and the emulator's own calls.

#include <cstring>
#include <vector>

#include "driver.h"
#include "memory.h"
#include "streams.h"

namespace {

bool initialised = false;
auto& contexts = *new std::vector<Context>;  // the primary context of each device
thread_local Context* current = nullptr;

bool is_device(int device) { return device >= 0 && device < static_cast<int>(contexts.size()); }

// CUdevice_attribute numbers; what is not listed is 0.
int attribute(int number) {
    switch (number) {
        case 1: case 2: case 3: return 1024;  // threads of a block, its x and y
        case 4: return 64;                    // its z
        case 5: return 0x7fffffff;            // x of a grid
        case 6: case 7: return 65535;         // its y and z
        case 8: return 49152;                 // shared memory of a block
        case 10: return 32;                   // threads of a warp
        case 12: return 65536;                // registers of a block
        case 13: return 1785000;              // kHz
        case 16: return 132;                  // multiprocessors
        case 36: return 2619000;              // kHz of the memory
        case 37: return 5120;                 // bits of the memory's bus
        case 38: return 50 << 20;             // L2 cache
        case 39: return 2048;                 // threads of a multiprocessor
        case 75: return 9;                    // compute capability
        case 76: return 0;
        case 115: return 1;                   // memory pools
        default: return 0;
    }
}

}  // namespace

std::recursive_mutex& driver_lock() {
    static auto& lock = *new std::recursive_mutex;
    return lock;
}
bool is_initialised() { return initialised; }
Context* current_context() { return current; }

// ---- The emulator's own calls ----

// launches, memsets, copies host to device, device to host and device to device,
// allocations, graph launches, synchronisations. Recorded and replayed work is
// not counted again.
I2M2_API void i2m2_emulator_counts(unsigned long out[8]) {
    const std::lock_guard<std::recursive_mutex> guard(driver_lock());
    memcpy(out, counts, sizeof(counts));
}
// Reads the environment again: for tests with several settings in one process.
// The number of devices is fixed at the first cuInit that succeeds.
I2M2_API void i2m2_emulator_reload() {
    const std::lock_guard<std::recursive_mutex> guard(driver_lock());
    reload_settings();
}

// ---- Initialisation and errors ----

I2M2_API int cuInit(unsigned) {
    ENTER(cuInit);
    if (initialised) return CUDA_SUCCESS;
    if (settings().devices <= 0) return CUDA_ERROR_NO_DEVICE;
    for (int device = 0; device < settings().devices; ++device) contexts.push_back({device, 0});
    initialised = true;
    return CUDA_SUCCESS;
}
I2M2_API int cuDriverGetVersion(int* version) {
    ENTER(cuDriverGetVersion);
    *version = settings().driver_version;
    return CUDA_SUCCESS;
}

#define X(name, code, text) \
    case code: *out = pick(#name, text); return CUDA_SUCCESS;
#define LOOK_UP(pick)                                          \
    switch (result) {                                          \
        I2M2_RESULTS(X)                                        \
        default: *out = nullptr; return CUDA_ERROR_INVALID_VALUE; \
    }
I2M2_API int cuGetErrorName(int result, const char** out) {
    ENTER(cuGetErrorName);
    const auto pick = [](const char* name, const char*) { return name; };
    LOOK_UP(pick)
}
I2M2_API int cuGetErrorString(int result, const char** out) {
    ENTER(cuGetErrorString);
    const auto pick = [](const char*, const char* text) { return text; };
    LOOK_UP(pick)
}
#undef X

// ---- Devices ----

I2M2_API int cuDeviceGetCount(int* count) {
    ENTER(cuDeviceGetCount);
    NEED_INIT;
    *count = static_cast<int>(contexts.size());
    return CUDA_SUCCESS;
}
I2M2_API int cuDeviceGet(int* device, int ordinal) {
    ENTER(cuDeviceGet);
    NEED_INIT;
    if (!is_device(ordinal)) return CUDA_ERROR_INVALID_DEVICE;
    *device = ordinal;
    return CUDA_SUCCESS;
}
I2M2_API int cuDeviceGetName(char* name, int bytes, int device) {
    ENTER(cuDeviceGetName);
    NEED_INIT;
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    if (bytes <= 0) return CUDA_ERROR_INVALID_VALUE;
    strncpy(name, settings().device_name.c_str(), bytes - 1);
    name[bytes - 1] = '\0';
    return CUDA_SUCCESS;
}
I2M2_API int cuDeviceGetUuid_v2(unsigned char uuid[16], int device) {
    ENTER(cuDeviceGetUuid_v2);
    NEED_INIT;
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    memcpy(uuid, "i2m2-emulator-#0", 16);
    uuid[15] = static_cast<unsigned char>('0' + device);
    return CUDA_SUCCESS;
}
I2M2_API int cuDeviceTotalMem_v2(size_t* bytes, int device) {
    ENTER(cuDeviceTotalMem_v2);
    NEED_INIT;
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    *bytes = settings().memory;
    return CUDA_SUCCESS;
}
I2M2_API int cuDeviceGetAttribute(int* value, int number, int device) {
    ENTER(cuDeviceGetAttribute);
    NEED_INIT;
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    *value = attribute(number);
    return CUDA_SUCCESS;
}

// ---- Contexts ----

I2M2_API int cuDevicePrimaryCtxRetain(Context** context, int device) {
    ENTER(cuDevicePrimaryCtxRetain);
    NEED_INIT;
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    ++contexts[device].users;
    *context = &contexts[device];
    return CUDA_SUCCESS;
}
I2M2_API int cuDevicePrimaryCtxRelease_v2(int device) {
    ENTER(cuDevicePrimaryCtxRelease_v2);
    NEED_INIT;
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    if (contexts[device].users == 0) return CUDA_ERROR_INVALID_CONTEXT;
    --contexts[device].users;
    return CUDA_SUCCESS;
}
I2M2_API int cuCtxSetCurrent(Context* context) {
    ENTER(cuCtxSetCurrent);
    NEED_INIT;
    if (context && (!is_device(static_cast<int>(context - contexts.data())))) return CUDA_ERROR_INVALID_CONTEXT;
    current = context;
    return CUDA_SUCCESS;
}
I2M2_API int cuCtxGetCurrent(Context** context) {
    ENTER(cuCtxGetCurrent);
    NEED_INIT;
    *context = current;
    return CUDA_SUCCESS;
}
I2M2_API int cuCtxGetDevice(int* device) {
    ENTER(cuCtxGetDevice);
    NEED_CONTEXT;
    *device = current->device;
    return CUDA_SUCCESS;
}
I2M2_API int cuCtxSynchronize() {
    ENTER(cuCtxSynchronize);
    NEED_CONTEXT;
    TRY(require_no_captures());
    ++counts[synchronisations];
    return CUDA_SUCCESS;
}
