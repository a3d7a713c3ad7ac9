// A thread of a block runs until it ends or waits. One fiber runs one thread
// after the other as long as they just end, so a kernel without barriers is a
// plain loop; a thread that waits keeps its fiber, and another fiber goes on
// with the threads that have not started.
//
// The scheduler goes round after round through all threads, each time in the
// order asked for. When a round can run nothing and threads are left, they wait
// for something that cannot happen.

#include "block.h"

#include <cstdio>
#include <memory>

#include "fibers.h"

namespace {

enum class Status : unsigned char { unstarted, ready, waiting, ended };
enum class Wait : unsigned char { block, shuffle, ballot };

struct Thread {
    Fiber* fiber;
    Wait wait;
    unsigned mask;               // of a warp collective
    unsigned source;             // lane of a shuffle
    unsigned long long value;    // brought to a warp collective
    unsigned long long result;   // taken from it
};

struct Warp {
    unsigned live = 0;     // lanes that have not ended
    unsigned waiting = 0;  // lanes at a warp collective
};

struct Scheduler {
    Block block{};
    unsigned count = 0;  // threads of the block
    std::vector<I2m2Index> indices;
    I2m2Index indices_of{0, 0, 0};  // block size that `indices` is for
    std::vector<Status> status;
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    unsigned live = 0, at_barrier = 0;

    std::vector<unsigned> order;  // of this round
    unsigned cursor = 0;          // how far the round has come
    unsigned current = 0;         // the thread that runs
    std::string error;

    std::vector<std::unique_ptr<Fiber>> fibers;
    std::vector<Fiber*> idle;
    Fiber* running = nullptr;
    void* stack_pointer = nullptr;  // of the scheduler itself, while a fiber runs
};

// Never destroyed: threads of the host may still call while the process ends.
Scheduler& s = *new Scheduler;

// ---- On the stack of a fiber ----

void back_to_scheduler() { i2m2_fiber_switch(&s.running->stack_pointer, s.stack_pointer); }

void enter_thread(unsigned thread) {
    s.current = thread;
    s.block.state->thread = s.indices[thread];
    s.block.state->lane = thread % 32;
}

void release_block_if_complete() {
    if (s.at_barrier == 0 || s.at_barrier != s.live) return;
    for (unsigned t = 0; t < s.count; ++t) {
        if (s.status[t] == Status::waiting && s.threads[t].wait == Wait::block) s.status[t] = Status::ready;
    }
    s.at_barrier = 0;
}

// Lets the lanes of a collective go on when all live lanes in its mask are there.
void release_warp_if_complete(unsigned warp, Wait wait, unsigned mask) {
    Warp& w = s.warps[warp];
    const unsigned needed = mask & w.live;
    if (needed == 0 || (w.waiting & needed) != needed) return;
    Thread* lanes = &s.threads[warp * 32];
    unsigned votes = 0;
    for (unsigned left = needed; left; left &= left - 1) {
        const unsigned lane = __builtin_ctz(left);
        if (lanes[lane].wait != wait || lanes[lane].mask != mask) return;
        votes |= (lanes[lane].value != 0) << lane;
    }
    for (unsigned left = needed; left; left &= left - 1) {
        const unsigned lane = __builtin_ctz(left), source = lanes[lane].source;
        // CUDA does not define what comes from a lane that takes no part: NaN here.
        const bool defined = source < 32 && (needed >> source & 1);
        lanes[lane].result = wait == Wait::ballot ? votes : defined ? lanes[source].value : ~0ull;
        s.status[warp * 32 + lane] = Status::ready;
    }
    w.waiting &= ~needed;
}

void wait_here(Wait wait) {
    Thread& me = s.threads[s.current];
    me.fiber = s.running;
    me.wait = wait;
    s.status[s.current] = Status::waiting;
}

void sync_block() {
    wait_here(Wait::block);
    ++s.at_barrier;
    release_block_if_complete();
    back_to_scheduler();
}

unsigned long long collective(Wait wait, unsigned mask, unsigned source, unsigned long long value) {
    const unsigned thread = s.current, warp = thread / 32, lane = thread % 32;
    if (!(mask >> lane & 1)) {
        s.error = "a warp collective's mask does not name the lane that calls it";
        back_to_scheduler();  // never comes back
    }
    Thread& me = s.threads[thread];
    me.mask = mask;
    me.source = source;
    me.value = value;
    wait_here(wait);
    s.warps[warp].waiting |= 1u << lane;
    release_warp_if_complete(warp, wait, mask);
    back_to_scheduler();
    return me.result;
}

unsigned long long shuffle(unsigned mask, unsigned source, unsigned long long value) {
    return collective(Wait::shuffle, mask, source, value);
}

unsigned ballot(unsigned mask, bool predicate) {
    return static_cast<unsigned>(collective(Wait::ballot, mask, 0, predicate));
}

// A thread that has ended is no longer waited for.
void end_thread() {
    const unsigned thread = s.current, warp = thread / 32;
    s.status[thread] = Status::ended;
    --s.live;
    release_block_if_complete();
    Warp& w = s.warps[warp];
    w.live &= ~(1u << thread % 32);
    for (unsigned left = w.waiting; left; left &= left - 1) {
        const unsigned lane = __builtin_ctz(left);
        if (!(w.waiting >> lane & 1)) continue;  // released meanwhile
        const Thread& waiting = s.threads[warp * 32 + lane];
        release_warp_if_complete(warp, waiting.wait, waiting.mask);
    }
}

// What every fiber does for ever: the threads that have not started, up to one
// that has, and then idle.
void work() {
    for (;;) {
        while (s.cursor < s.count && s.status[s.order[s.cursor]] == Status::unstarted) {
            enter_thread(s.order[s.cursor++]);
            s.block.kernel(s.block.args);
            end_thread();
        }
        s.idle.push_back(s.running);
        back_to_scheduler();
    }
}

// ---- On the stack of the host's thread ----

void switch_to(Fiber* fiber) {
    s.running = fiber;
    i2m2_fiber_switch(&s.stack_pointer, fiber->stack_pointer);
}

Fiber* take_idle_fiber() {
    if (s.idle.empty()) {
        auto fiber = std::make_unique<Fiber>();
        if (!create_fiber(*fiber, work)) return nullptr;
        s.idle.push_back(fiber.get());
        s.fibers.push_back(std::move(fiber));
    }
    Fiber* fiber = s.idle.back();
    s.idle.pop_back();
    return fiber;
}

// Throws away the threads that are left, wherever they are.
void abandon_threads() {
    s.idle.clear();
    for (auto& fiber : s.fibers) {
        restart_fiber(*fiber);
        s.idle.push_back(fiber.get());
    }
}

std::string describe(const I2m2Index& i) {
    return "(" + std::to_string(i.x) + "," + std::to_string(i.y) + "," + std::to_string(i.z) + ")";
}

// "deadlock: 32 threads (first (0,0,0)) wait at __syncthreads, ..."
std::string describe_deadlock() {
    struct Group { std::string at; unsigned count, first; };
    std::vector<Group> groups;
    for (unsigned t = 0; t < s.count; ++t) {
        if (s.status[t] != Status::waiting) continue;
        char at[64] = "__syncthreads";
        if (s.threads[t].wait != Wait::block) {
            snprintf(at, sizeof(at), "a warp %s with mask 0x%08x",
                     s.threads[t].wait == Wait::shuffle ? "shuffle" : "vote or barrier", s.threads[t].mask);
        }
        bool known = false;
        for (Group& group : groups) {
            if (group.at == at) { ++group.count; known = true; }
        }
        if (!known) groups.push_back({at, 1, t});
    }
    std::string text = "deadlock";
    for (const Group& group : groups) {
        text += (&group == &groups[0] ? ": " : ", ") + std::to_string(group.count) + " threads (first " +
                describe(s.indices[group.first]) + ") wait at " + group.at;
    }
    return text + ", " + std::to_string(s.count - s.live) + " have ended";
}

void prepare(const Block& block) {
    const I2m2Index size = block.state->block_size;
    s.block = block;
    block.state->sync_block = sync_block;
    block.state->shuffle = shuffle;
    block.state->ballot = ballot;
    s.count = size.x * size.y * size.z;
    if (size.x != s.indices_of.x || size.y != s.indices_of.y || size.z != s.indices_of.z) {
        s.indices.resize(s.count);
        for (unsigned t = 0; t < s.count; ++t) s.indices[t] = coordinates(t, size);
        s.indices_of = size;
    }
    s.threads.resize(max_block_threads);
    s.status.assign(s.count, Status::unstarted);
    s.warps.assign((s.count + 31) / 32, Warp{~0u, 0});
    if (s.count % 32) s.warps.back().live = (1u << s.count % 32) - 1;
    s.live = s.count;
    s.at_barrier = 0;
    s.error.clear();
}

}  // namespace

std::string run_block(const Block& block) {
    prepare(block);
    bool progress = true;
    while (s.live > 0 && progress) {
        progress = false;
        block.order->fill(s.order, s.count);
        for (s.cursor = 0; s.cursor < s.count;) {
            const unsigned thread = s.order[s.cursor];
            Fiber* fiber = nullptr;
            if (s.status[thread] == Status::unstarted) {
                fiber = take_idle_fiber();  // its loop moves the cursor
                if (!fiber) return abandon_threads(), "no memory for the stack of a thread";
            } else {
                ++s.cursor;
                if (s.status[thread] != Status::ready) continue;
                enter_thread(thread);
                fiber = s.threads[thread].fiber;
            }
            progress = true;
            switch_to(fiber);
            if (!s.error.empty()) {
                abandon_threads();
                return "thread " + describe(s.indices[s.current]) + ": " + s.error;
            }
        }
    }
    if (s.live == 0) return "";
    const std::string deadlock = describe_deadlock();
    abandon_threads();
    return deadlock;
}

I2m2Index coordinates(unsigned long index, const I2m2Index& size) {
    const unsigned long row = index / size.x;
    return {static_cast<unsigned>(index % size.x), static_cast<unsigned>(row % size.y),
            static_cast<unsigned>(row / size.y)};
}

bool is_stack_overflow(const void* address) {
    for (const auto& fiber : s.fibers) {
        if (in_fiber_guard(*fiber, address)) return true;
    }
    return false;
}

void Permutation::fill(std::vector<unsigned>& indices, unsigned count) {
    indices.resize(count);
    for (unsigned i = 0; i < count; ++i) indices[i] = order_ == Order::reverse ? count - 1 - i : i;
    if (order_ != Order::shuffle) return;
    for (unsigned i = count; i > 1; --i) std::swap(indices[i - 1], indices[next_random() % i]);
}

uint64_t Permutation::next_random() {  // splitmix64
    uint64_t z = random_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}
