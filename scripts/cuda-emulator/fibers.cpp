#include "fibers.h"

#include <sys/mman.h>

#include <cstdint>

namespace {
constexpr size_t guard_bytes = 4096;
}

// The System V ABI asks a function to keep rbx, rbp and r12 to r15; all other
// registers are dead at a call. The floating-point control words are the same
// for all fibers and stay as they are. It ends with a jump, as the processor would
// predict that `ret` goes back to the caller, which it never does: half the time
// of a barrier.
asm(R"(
    .text
    .globl i2m2_fiber_switch
    .hidden i2m2_fiber_switch
    .type i2m2_fiber_switch, @function
i2m2_fiber_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    jmp *%rcx
    .size i2m2_fiber_switch, . - i2m2_fiber_switch
)");

bool create_fiber(Fiber& fiber, void (*entry)()) {
    void* memory = mmap(nullptr, guard_bytes + fiber_stack_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
    mprotect(memory, guard_bytes, PROT_NONE);
    fiber.stack = static_cast<char*>(memory) + guard_bytes;
    fiber.entry = entry;
    restart_fiber(fiber);
    return true;
}

void restart_fiber(Fiber& fiber) {
    // What the switch pops: six registers, then the address to go on at. At the
    // entry the stack pointer is 8 off a multiple of 16, as after a call.
    auto* top = reinterpret_cast<uintptr_t*>(fiber.stack + fiber_stack_bytes);
    *--top = 0;  // the entry's return address: there is none
    *--top = reinterpret_cast<uintptr_t>(fiber.entry);
    for (int i = 0; i < 6; ++i) *--top = 0;
    fiber.stack_pointer = top;
}

bool in_fiber_guard(const Fiber& fiber, const void* address) {
    const char* at = static_cast<const char*>(address);
    return at >= fiber.stack - guard_bytes && at < fiber.stack;
}
