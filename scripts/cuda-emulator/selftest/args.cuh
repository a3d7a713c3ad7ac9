// The kernels' parameters, for the kernels and for the test that launches them.
// The emulated NVRTC gets this file as a header.
#pragma once

struct ReduceArgs { const float* values; float* sums; int count; };
struct OutArgs { int* out; int count; };
struct FloatArgs { float* out; int count; };
struct ExchangeArgs { int* ints; double* doubles; unsigned* bits; };
