// Fibers: stacks of their own for the emulated threads, and the switch between
// them, which is a handful of instructions and no system call.
#pragma once

#include <cstddef>

struct Fiber {
    void* stack_pointer = nullptr;  // while it does not run
    char* stack = nullptr;          // lowest usable byte; a guard page lies below
    void (*entry)() = nullptr;      // never returns
};

constexpr size_t fiber_stack_bytes = 64 << 10;

// Maps a stack and makes the fiber start at `entry` when it is first switched to.
// False when there is no memory for it.
bool create_fiber(Fiber& fiber, void (*entry)());
// Forgets where the fiber was: it starts at its entry again.
void restart_fiber(Fiber& fiber);
// Whether the address lies in the guard page below the stack.
bool in_fiber_guard(const Fiber& fiber, const void* address);

// Saves where the caller is in `*from` and goes on at `to`.
extern "C" void i2m2_fiber_switch(void** from, void* to);
