// Runs a kernel on a whole grid, one block after the other.
#pragma once

#include "module.h"

constexpr unsigned max_shared_bytes = 48 << 10;  // of a launch

// A CUresult. What went wrong goes to stderr.
int run_grid(const Function& function, I2m2Index grid, I2m2Index block, unsigned shared_bytes, const void* args);
