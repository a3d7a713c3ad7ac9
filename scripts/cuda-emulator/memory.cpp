#include "memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>

#include "results.h"
#include "settings.h"

namespace {

constexpr size_t page = 4096;
constexpr size_t alignment = 16;
constexpr unsigned char fill = 0xff;  // floats of these bytes are NaN
// Freed addresses are not used again at once, so that a late access crashes.
constexpr size_t quarantined = 256;

struct Mapping {
    char* base;
    size_t bytes;  // with the guard page
};
struct Allocation {
    Mapping mapping;
    size_t bytes;  // asked for
};

// Never destroyed: threads of the host may still call while the process ends.
auto& allocations = *new std::map<CUdeviceptr, Allocation>;
auto& freed = *new std::deque<Mapping>;
size_t total = 0;

size_t round_up(size_t bytes, size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

bool untouched(const char* from, const char* to) {
    return std::all_of(from, to, [](char c) { return static_cast<unsigned char>(c) == fill; });
}

}  // namespace

int allocate(size_t bytes, CUdeviceptr* address) {
    if (bytes > settings().memory || total > settings().memory - bytes) return CUDA_ERROR_OUT_OF_MEMORY;
    const size_t used = round_up(bytes, alignment), readable = round_up(used, page);
    void* memory = mmap(nullptr, readable + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
    char* base = static_cast<char*>(memory);
    if (readable > 0) {
        if (mprotect(base, readable, PROT_READ | PROT_WRITE) != 0) {
            munmap(base, readable + page);
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
        memset(base, fill, readable);
    }
    *address = reinterpret_cast<CUdeviceptr>(base + readable - used);
    allocations[*address] = {{base, readable + page}, bytes};
    total += bytes;
    return CUDA_SUCCESS;
}

int release(CUdeviceptr address) {
    const auto found = allocations.find(address);
    if (found == allocations.end()) {
        fprintf(stderr, "i2m2 CUDA emulator: 0x%llx is freed, but is no allocation\n", address);
        return CUDA_ERROR_INVALID_VALUE;
    }
    const auto [mapping, bytes] = found->second;
    allocations.erase(found);
    total -= bytes;
    // What the guard page cannot see: writes just before and up to 15 bytes behind.
    const char* first = reinterpret_cast<const char*>(address);
    const bool intact = untouched(mapping.base, first) &&
                        untouched(first + bytes, mapping.base + mapping.bytes - page);
    mmap(mapping.base, mapping.bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    freed.push_back(mapping);
    if (freed.size() > quarantined) {
        munmap(freed.front().base, freed.front().bytes);
        freed.pop_front();
    }
    if (intact) return CUDA_SUCCESS;
    fprintf(stderr, "i2m2 CUDA emulator: a kernel wrote outside of the %zu bytes at 0x%llx\n", bytes, address);
    return CUDA_ERROR_ILLEGAL_ADDRESS;
}

int check_range(CUdeviceptr address, size_t bytes, const char* function) {
    if (bytes == 0) return CUDA_SUCCESS;
    auto next = allocations.upper_bound(address);
    if (next != allocations.begin()) {
        const auto& [first, allocation] = *std::prev(next);
        const size_t offset = address - first;
        if (offset <= allocation.bytes && bytes <= allocation.bytes - offset) return CUDA_SUCCESS;
    }
    fprintf(stderr, "i2m2 CUDA emulator: %s: the %zu bytes at 0x%llx lie in no single live allocation\n",
            function, bytes, address);
    return CUDA_ERROR_ILLEGAL_ADDRESS;
}

size_t allocated_bytes() { return total; }
