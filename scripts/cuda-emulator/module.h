// A kernel library that the emulated NVRTC compiled, loaded into the process.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "kernel_abi.h"

struct Module;

struct Function {
    Module* module;
    std::string name;
    void (*entry)(const void* args);
    size_t args_bytes;
    unsigned max_threads;
};

struct Module {
    ~Module();

    // The kernel of this name; none if the library has no such kernel.
    Function* function(const std::string& name);

    void* library = nullptr;
    int file = -1;
    I2m2KernelState* state = nullptr;
    char* shared = nullptr;  // the __shared__ variables of all its kernels
    size_t shared_bytes = 0;
    std::map<std::string, std::unique_ptr<Function>> functions;
};

// None when `image` is not a kernel library.
std::unique_ptr<Module> load_module(const void* image);
