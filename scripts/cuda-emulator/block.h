// Runs the threads of one block at a time: which thread goes next, and what
// they wait for.
#pragma once

#include <string>
#include <vector>

#include "kernel_abi.h"
#include "settings.h"

constexpr unsigned max_block_threads = 1024;

// Threads or blocks in the order the settings ask for.
class Permutation {
  public:
    Permutation(Order order, uint64_t seed) : order_(order), random_(seed) {}
    void fill(std::vector<unsigned>& indices, unsigned count);

  private:
    uint64_t next_random();

    Order order_;
    uint64_t random_;
};

struct Block {
    I2m2KernelState* state;  // block, block_size and grid_size are set
    void (*kernel)(const void* args);
    const void* args;
    Permutation* order;
};

// An empty text, or what went wrong: a deadlock or a wrong use of a warp
// collective. Only one thread of the process may be in here at a time.
std::string run_block(const Block& block);

// The coordinates of thread number `index` of a block.
I2m2Index coordinates(unsigned long index, const I2m2Index& size);
// Whether the address lies right below the stack of an emulated thread.
bool is_stack_overflow(const void* address);
