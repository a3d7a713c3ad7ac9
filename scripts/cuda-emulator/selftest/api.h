// The parts of CUDA that the test calls, by the names and types of the real
// libraries: no CUDA header is needed.
#pragma once

#include <cstddef>

using Pointer = unsigned long long;
using Handle = void*;

extern "C" {
int cuInit(unsigned);
int cuDriverGetVersion(int*);
int cuDeviceGetCount(int*);
int cuDeviceGet(int*, int);
int cuDeviceGetName(char*, int, int);
int cuDeviceGetAttribute(int*, int, int);
int cuDeviceTotalMem_v2(size_t*, int);
int cuDevicePrimaryCtxRetain(Handle*, int);
int cuCtxSetCurrent(Handle);
int cuCtxSynchronize();
int cuEventCreate(Handle*, unsigned);
int cuEventRecord(Handle, Handle);
int cuEventElapsedTime(float*, Handle, Handle);
int cuEventDestroy_v2(Handle);
int cuStreamCreate(Handle*, unsigned);
int cuStreamDestroy_v2(Handle);
int cuStreamSynchronize(Handle);
int cuStreamBeginCapture_v2(Handle, int);
int cuStreamEndCapture(Handle, Handle*);
int cuGraphGetNodes(Handle, Handle*, size_t*);
int cuGraphInstantiateWithFlags(Handle*, Handle, unsigned long long);
int cuGraphLaunch(Handle, Handle);
int cuGraphExecDestroy(Handle);
int cuGraphDestroy(Handle);
int cuMemAlloc_v2(Pointer*, size_t);
int cuMemAllocAsync(Pointer*, size_t, Handle);
int cuMemFree_v2(Pointer);
int cuMemFreeAsync(Pointer, Handle);
int cuMemGetInfo_v2(size_t*, size_t*);
int cuMemHostAlloc(void**, size_t, unsigned);
int cuMemFreeHost(void*);
int cuMemcpyHtoD_v2(Pointer, const void*, size_t);
int cuMemcpyHtoDAsync_v2(Pointer, const void*, size_t, Handle);
int cuMemcpyDtoH_v2(void*, Pointer, size_t);
int cuMemcpyDtoDAsync_v2(Pointer, Pointer, size_t, Handle);
int cuMemsetD8Async(Pointer, unsigned char, size_t, Handle);
int cuMemsetD32Async(Pointer, unsigned, size_t, Handle);
int cuModuleLoadData(Handle*, const void*);
int cuModuleUnload(Handle);
int cuModuleGetFunction(Handle*, Handle, const char*);
int cuFuncGetParamInfo(Handle, size_t, size_t*, size_t*);
int cuLaunchKernel(Handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Handle, void**, void**);
int cuGetErrorName(int, const char**);
int cuGetErrorString(int, const char**);
int cuProfilerStart();

int nvrtcCreateProgram(Handle*, const char*, const char*, int, const char* const*, const char* const*);
int nvrtcCompileProgram(Handle, int, const char* const*);
int nvrtcDestroyProgram(Handle*);
int nvrtcGetCUBINSize(Handle, size_t*);
int nvrtcGetCUBIN(Handle, char*);
int nvrtcGetPTXSize(Handle, size_t*);
int nvrtcGetProgramLogSize(Handle, size_t*);
int nvrtcGetProgramLog(Handle, char*);
int nvrtcVersion(int*, int*);
const char* nvrtcGetErrorString(int);

int cublasCreate_v2(Handle*);
int cublasSetStream_v2(Handle, Handle);
int cublasDestroy_v2(Handle);
int cublasSgemm_v2(...);

void i2m2_emulator_counts(unsigned long[8]);
void i2m2_emulator_reload();
}
