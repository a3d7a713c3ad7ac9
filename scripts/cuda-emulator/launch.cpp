#include "launch.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <functional>

#include "block.h"
#include "results.h"

namespace {

// ---- What a crash says ----
// A kernel that reads or writes where it may not ends the process, as the memory
// behind it is gone. Before that, one line says which thread of which kernel did it.

std::atomic<const Function*> running{nullptr};
std::atomic<int> running_in{0};  // the host's thread

constexpr int signals[] = {SIGSEGV, SIGBUS, SIGFPE};
struct sigaction previous[3];

const char* explain(int signal, const siginfo_t* info) {
    if (signal == SIGFPE) return "an integer division by zero";
    if (is_stack_overflow(info->si_addr)) return "the stack of a thread is full";
    if (info->si_code == SI_KERNEL) return "a misaligned vector access or an address that cannot be";
    return "a read or write outside of device or shared memory, or after a free";
}

void on_crash(int signal, siginfo_t* info, void*) {
    const Function* function = running;
    if (function && running_in == gettid()) {
        const I2m2KernelState& at = *function->module->state;
        char line[400];
        const int length =
            snprintf(line, sizeof(line),
                     "i2m2 CUDA emulator: kernel '%s', block (%u,%u,%u), thread (%u,%u,%u): %s, address %p\n",
                     function->name.c_str(), at.block.x, at.block.y, at.block.z, at.thread.x, at.thread.y,
                     at.thread.z, explain(signal, info), info->si_addr);
        if (write(STDERR_FILENO, line, length) < 0) {}
    }
    // Back at the instruction, the signal comes again and goes to who had it before.
    for (int i = 0; i < 3; ++i) {
        if (signals[i] == signal) sigaction(signal, &previous[i], nullptr);
    }
}

// Whoever else handles these signals (Rust's runtime does) stays behind us.
void catch_crashes() {
    static bool done = false;
    if (!done) {
        struct sigaction action{};
        action.sa_sigaction = on_crash;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        for (int i = 0; i < 3; ++i) sigaction(signals[i], &action, &previous[i]);
        done = true;
    }
    // The handler needs a stack when that of an emulated thread is full.
    static char stack[64 << 10];
    stack_t current;
    if (sigaltstack(nullptr, &current) == 0 && (current.ss_flags & SS_DISABLE)) {
        stack_t ours{};
        ours.ss_sp = stack;
        ours.ss_size = sizeof(stack);
        sigaltstack(&ours, nullptr);
    }
}

// Memory that ends at a guard page, for launches with dynamic shared memory: none
// if there is no memory. The last `bytes` of it, aligned to 16.
char* dynamic_shared(unsigned bytes) {
    static char* memory = nullptr;
    if (!memory) {
        void* mapped = mmap(nullptr, max_shared_bytes + 4096, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED) return nullptr;
        memory = static_cast<char*>(mapped);
        mprotect(memory + max_shared_bytes, 4096, PROT_NONE);
    }
    return memory + max_shared_bytes - (bytes + 15) / 16 * 16;
}

}  // namespace

int run_grid(const Function& function, I2m2Index grid, I2m2Index block, unsigned shared_bytes,
             const void* args) {
    const Module& module = *function.module;
    I2m2KernelState& state = *module.state;
    const Settings& wanted = settings();
    Permutation order(wanted.order, wanted.seed ^ std::hash<std::string>{}(function.name));
    const unsigned long blocks = static_cast<unsigned long>(grid.x) * grid.y * grid.z;
    if (blocks > ~0u) return CUDA_ERROR_INVALID_VALUE;
    std::vector<unsigned> block_order;
    order.fill(block_order, static_cast<unsigned>(blocks));

    char* dynamic = dynamic_shared(shared_bytes);
    if (!dynamic) return CUDA_ERROR_OUT_OF_MEMORY;

    catch_crashes();
    running_in = gettid();
    running = &function;
    state.grid_size = grid;
    state.block_size = block;
    state.dynamic_shared = dynamic;
    std::string error;
    for (unsigned index : block_order) {
        state.block = coordinates(index, grid);
        memset(module.shared, 0xff, module.shared_bytes);
        memset(dynamic, 0xff, shared_bytes);
        error = run_block({&state, function.entry, args, &order});
        if (!error.empty()) break;
    }
    running = nullptr;
    if (error.empty()) return CUDA_SUCCESS;
    fprintf(stderr, "i2m2 CUDA emulator: kernel '%s', block (%u,%u,%u): %s\n", function.name.c_str(),
            state.block.x, state.block.y, state.block.z, error.c_str());
    return CUDA_ERROR_LAUNCH_FAILED;
}
