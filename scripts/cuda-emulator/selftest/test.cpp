// The emulator's own test: everything it promises, through the libraries' C
// interfaces. Prints what fails; exit code 1 if anything does.
//
//   test FOLDER      where kernels.cu and args.cuh lie

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "api.h"
#include "args.cuh"

namespace {

int failures = 0, checks = 0;

void check(bool good, const char* text, int line) {
    ++checks;
    if (good) return;
    ++failures;
    printf("test.cpp:%d: failed: %s\n", line, text);
}
#define CHECK(condition) check(condition, #condition, __LINE__)
// The code that a call returns; 0 is success.
#define GIVES(code, call)                                                             \
    do {                                                                              \
        const int got = (call);                                                       \
        check(got == (code), (std::string(#call) + " gave " + std::to_string(got)).c_str(), __LINE__); \
    } while (false)

// ---- Helpers ----

void set_environment(const char* name, const char* value) {
    if (value) setenv(name, value, 1);
    else unsetenv(name);
    i2m2_emulator_reload();
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

struct Child {
    int signal, code;
    std::string errors;  // what it wrote to stderr
};
Child in_child(const std::function<int()>& run) {
    int ends[2];
    if (pipe(ends) != 0) abort();
    fflush(stdout);
    const pid_t process = fork();
    if (process == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        _exit(run());
    }
    close(ends[1]);
    std::string errors;
    char buffer[4096];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof(buffer))) > 0;) errors.append(buffer, n);
    close(ends[0]);
    int status = 0;
    waitpid(process, &status, 0);
    return {WIFSIGNALED(status) ? WTERMSIG(status) : 0, WIFEXITED(status) ? WEXITSTATUS(status) : -1, errors};
}
bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

struct Compiled {
    int result;
    std::string image, log;
};
Compiled compile(const std::string& source, const std::string& header, const std::vector<const char*>& extra = {}) {
    Handle program = nullptr;
    const char *headers[] = {header.c_str()}, *names[] = {"selftest/args.cuh"};
    GIVES(0, nvrtcCreateProgram(&program, source.c_str(), "kernels.cu", 1, headers, names));
    std::vector<const char*> options = {"--gpu-architecture=sm_90", "-std=c++17", "--fmad=false"};
    options.insert(options.end(), extra.begin(), extra.end());
    Compiled out{nvrtcCompileProgram(program, int(options.size()), options.data()), "", ""};
    size_t bytes = 0;
    GIVES(0, nvrtcGetProgramLogSize(program, &bytes));
    out.log.resize(bytes);
    GIVES(0, nvrtcGetProgramLog(program, out.log.data()));
    if (out.result == 0) {
        GIVES(0, nvrtcGetCUBINSize(program, &bytes));
        out.image.resize(bytes);
        GIVES(0, nvrtcGetCUBIN(program, out.image.data()));
        size_t ptx = 0;
        GIVES(0, nvrtcGetPTXSize(program, &ptx));
        CHECK(ptx == bytes);
    } else {
        GIVES(4, nvrtcGetCUBINSize(program, &bytes));
    }
    GIVES(0, nvrtcDestroyProgram(&program));
    return out;
}

Handle module = nullptr;

template <class Args>
int launch(const char* kernel, unsigned blocks, unsigned threads, Args args, Handle stream = nullptr,
           unsigned shared_bytes = 0) {
    Handle function = nullptr;
    GIVES(0, cuModuleGetFunction(&function, module, kernel));
    size_t offset = 99, bytes = 0;
    GIVES(0, cuFuncGetParamInfo(function, 0, &offset, &bytes));
    CHECK(offset == 0 && bytes == sizeof(Args));
    void* parameters[] = {&args};
    return cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, shared_bytes, stream, parameters, nullptr);
}

// Device memory for `count` values.
template <class T>
struct Buffer {
    explicit Buffer(size_t count) : count(count) { GIVES(0, cuMemAllocAsync(&address, count * sizeof(T), nullptr)); }
    explicit Buffer(const std::vector<T>& values) : Buffer(values.size()) {
        GIVES(0, cuMemcpyHtoD_v2(address, values.data(), count * sizeof(T)));
    }
    ~Buffer() { GIVES(0, cuMemFreeAsync(address, nullptr)); }
    T* pointer() const { return reinterpret_cast<T*>(address); }
    std::vector<T> read() const {
        std::vector<T> values(count);
        GIVES(0, cuMemcpyDtoH_v2(values.data(), address, count * sizeof(T)));
        return values;
    }
    size_t count;
    Pointer address = 0;
};

const char* const orders[] = {"forward", "reverse", "shuffle:1", "shuffle:2"};

// ---- Before anything is initialised ----

void test_no_device() {
    const auto init_with = [](const char* name, const char* value) {
        return in_child([=] {
            setenv(name, value, 1);
            return cuInit(0) & 0xff;
        });
    };
    CHECK(init_with("I2M2_EMULATOR_DEVICES", "0").code == 100);
    CHECK(init_with("I2M2_EMULATOR_FAIL", "cuInit:46").code == 46);
    CHECK(init_with("I2M2_EMULATOR_FAIL", "cuInit:98765").code == (98765 & 0xff));
    const Child wrong = init_with("I2M2_EMULATOR_ORDER", "sideways");
    CHECK(wrong.signal == SIGABRT && has(wrong.errors, "expected forward, reverse or shuffle:SEED"));
    const Child many = in_child([] {
        setenv("I2M2_EMULATOR_DEVICES", "3", 1);
        int count = 0, device = 0;
        if (cuInit(0) != 0 || cuDeviceGetCount(&count) != 0 || cuDeviceGet(&device, 3) != 101) return 99;
        return count;
    });
    CHECK(many.code == 3);
    int device = 0;
    GIVES(3, cuDeviceGet(&device, 0));
}

void test_device() {
    GIVES(0, cuInit(0));
    int version = 0, count = 0, device = -1, major = 0, minor = 0;
    GIVES(0, cuDriverGetVersion(&version));
    CHECK(version == 13000);
    set_environment("I2M2_EMULATOR_DRIVER", "11040");
    GIVES(0, cuDriverGetVersion(&version));
    CHECK(version == 11040);
    set_environment("I2M2_EMULATOR_DRIVER", nullptr);
    GIVES(0, cuDeviceGetCount(&count));
    CHECK(count == 1);
    GIVES(101, cuDeviceGet(&device, 1));
    GIVES(0, cuDeviceGet(&device, 0));
    char name[64];
    GIVES(0, cuDeviceGetName(name, sizeof(name), device));
    CHECK(!strcmp(name, "i2m2 CUDA emulator"));
    set_environment("I2M2_EMULATOR_NAME", "another");
    GIVES(0, cuDeviceGetName(name, sizeof(name), device));
    CHECK(!strcmp(name, "another"));
    set_environment("I2M2_EMULATOR_NAME", nullptr);
    GIVES(0, cuDeviceGetAttribute(&major, 75, device));
    GIVES(0, cuDeviceGetAttribute(&minor, 76, device));
    CHECK(major == 9 && minor == 0);
    size_t memory = 0;
    GIVES(0, cuDeviceTotalMem_v2(&memory, device));
    CHECK(memory == size_t{8} << 30);
    const char* text = nullptr;
    GIVES(0, cuGetErrorName(719, &text));
    CHECK(!strcmp(text, "CUDA_ERROR_LAUNCH_FAILED"));
    GIVES(0, cuGetErrorString(2, &text));
    CHECK(!strcmp(text, "out of memory"));
    GIVES(1, cuGetErrorName(98765, &text));
    CHECK(text == nullptr);
    GIVES(801, cuProfilerStart());

    Pointer none = 0;
    GIVES(201, cuMemAllocAsync(&none, 4, nullptr));
    Handle context = nullptr;
    GIVES(0, cuDevicePrimaryCtxRetain(&context, device));
    GIVES(0, cuCtxSetCurrent(context));
    GIVES(0, cuCtxSynchronize());
}

void test_compile(const std::string& source, const std::string& header) {
    int major = 0, minor = 0;
    GIVES(0, nvrtcVersion(&major, &minor));
    CHECK(major == 13 && minor == 0);
    const Compiled good = compile(source, header);
    if (good.result != 0) printf("%s\n", good.log.c_str());
    CHECK(good.result == 0);
    GIVES(0, cuModuleLoadData(&module, good.image.data()));
    Handle other = nullptr, function = nullptr;
    GIVES(200, cuModuleLoadData(&other, "// no kernel"));
    GIVES(500, cuModuleGetFunction(&function, module, "no_such_kernel"));
    GIVES(500, cuModuleGetFunction(&function, module, "memcpy"));

    const std::string start = "struct Args { float* sum; double* d; };\n";
    const Compiled adds = compile(start + "KERNEL(add, Args) { atomicAdd(a.sum, 1.0f); }\n", "");
    CHECK(adds.result == 6);
    CHECK(has(adds.log, "kernels.cu:2:") && has(adds.log, "use of deleted function") &&
          has(adds.log, "a kernel must not add floats in no fixed order"));
    CHECK(compile(start + "KERNEL(add, Args) { atomicAdd(a.d, 1.0); }\n", "").result == 6);
    CHECK(!strcmp(nvrtcGetErrorString(6), "NVRTC_ERROR_COMPILATION"));
    const std::string needs =
        "struct Args { int x; };\n#if VALUE != 3 || !defined(FLAG)\n#error no\n#endif\nKERNEL(k, Args) {}\n";
    CHECK(compile(needs, "", {"-DVALUE=3", "--define-macro=FLAG"}).result == 0);
    CHECK(compile(needs, "", {"-D", "VALUE=3"}).result == 6);

    // A module that is gone takes its functions with it.
    const Compiled small = compile("struct Args { int* out; };\nKERNEL(one, Args) { a.out[0] = 1; }\n", "");
    GIVES(0, cuModuleLoadData(&other, small.image.data()));
    GIVES(0, cuModuleGetFunction(&function, other, "one"));
    GIVES(0, cuModuleUnload(other));
    int* nowhere = nullptr;
    void* parameters[] = {&nowhere};
    GIVES(400, cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr));
}

// ---- Kernels ----

std::vector<float> reduce(const Buffer<float>& values) {
    Buffer<float> sums(7);
    GIVES(0, launch("reduce", 7, 256, ReduceArgs{values.pointer(), sums.pointer(), int(values.count)}));
    return sums.read();
}

void test_reduction() {
    std::vector<float> host(10007);
    double expected = 0;
    for (size_t i = 0; i < host.size(); ++i) {
        host[i] = std::sin(float(i));
        expected += double(host[i]) / (1 << i % 4);
    }
    const Buffer<float> values(host);
    const std::vector<float> first = reduce(values);
    double sum = 0;
    for (float s : first) sum += s;
    CHECK(std::fabs(sum - expected) < 1e-3);
    for (const char* order : orders) {
        set_environment("I2M2_EMULATOR_ORDER", order);
        CHECK(reduce(values) == first);
    }
    set_environment("I2M2_EMULATOR_ORDER", nullptr);
    // More threads than __launch_bounds__ says.
    GIVES(1, launch("reduce", 1, 512, ReduceArgs{values.pointer(), nullptr, 0}));
}

void test_coordinates() {
    const Buffer<int> out(4 * 6 * 10);
    Handle function = nullptr;
    GIVES(0, cuModuleGetFunction(&function, module, "coordinates"));
    OutArgs args{out.pointer(), int(out.count)};
    void* parameters[] = {&args};
    for (const char* order : orders) {
        set_environment("I2M2_EMULATOR_ORDER", order);
        GIVES(0, cuMemsetD8Async(out.address, 0, out.count * 4, nullptr));
        GIVES(0, cuLaunchKernel(function, 2, 3, 5, 2, 2, 2, 0, nullptr, parameters, nullptr));
        const std::vector<int> got = out.read();
        bool right = true;
        for (int i = 0; i < int(out.count); ++i) right &= got[i] == i % 4 + 1000 * (i / 4 % 6) + 1000000 * (i / 24);
        CHECK(right);
    }
    set_environment("I2M2_EMULATOR_ORDER", nullptr);
    GIVES(1, cuLaunchKernel(function, 0, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr));
    GIVES(1, cuLaunchKernel(function, 1, 1, 1, 1025, 1, 1, 0, nullptr, parameters, nullptr));
    GIVES(1, cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 49153, nullptr, parameters, nullptr));
}

void test_full_block() {
    const Buffer<int> out(1024);
    Handle function = nullptr;
    GIVES(0, cuModuleGetFunction(&function, module, "reverse_block"));
    OutArgs args{out.pointer(), 0};
    void* parameters[] = {&args};
    for (const char* order : orders) {
        set_environment("I2M2_EMULATOR_ORDER", order);
        GIVES(0, cuLaunchKernel(function, 1, 1, 1, 32, 8, 4, 0, nullptr, parameters, nullptr));
        const std::vector<int> got = out.read();
        bool right = true;
        for (int i = 0; i < 1024; ++i) right &= got[i] == 1023 - i;
        CHECK(right);
    }
    set_environment("I2M2_EMULATOR_ORDER", nullptr);
}

void test_exchange() {
    for (const char* order : orders) {
        set_environment("I2M2_EMULATOR_ORDER", order);
        const Buffer<int> ints(32 * 8);
        const Buffer<double> doubles(32);
        const Buffer<unsigned> bits(32);
        GIVES(0, launch("exchange", 1, 32, ExchangeArgs{ints.pointer(), doubles.pointer(), bits.pointer()}));
        const auto i = ints.read();
        const auto d = doubles.read();
        const auto b = bits.read();
        unsigned thirds = 0;
        for (int lane = 0; lane < 32; lane += 3) thirds |= 1u << lane;
        bool right = true;
        for (int lane = 0; lane < 32; ++lane) {
            const int segment = lane & ~7, crossed = lane ^ 9;
            const int wanted[] = {50,
                                  10 * (segment + (lane + 1) % 8),
                                  lane % 16 + 3 < 16 ? lane + 3 : lane,
                                  lane % 16 >= 3 ? lane - 3 : lane,
                                  crossed,
                                  crossed <= segment + 7 ? crossed : lane,
                                  1,
                                  1};
            for (int k = 0; k < 8; ++k) right &= i[lane * 8 + k] == wanted[k];
            right &= d[lane] == (lane ^ 1) + 0.5;
            right &= b[lane] == (lane < 16 ? thirds ^ 0xffffu : thirds);
        }
        CHECK(right);
    }
    set_environment("I2M2_EMULATOR_ORDER", nullptr);
}

void test_other_kernels() {
    const Buffer<int> ints(std::vector<int>(64, 0));
    GIVES(0, launch("atomics", 1, 64, OutArgs{ints.pointer(), 0}));
    const auto i = ints.read();
    CHECK(i[0] == 63 * 64 / 2 && i[1] == 63 && i[2] == 64 % 10 && i[3] == 77);
    const Buffer<float> floats(64);
    CHECK(std::isnan(floats.read()[0]));
    GIVES(0, launch("arithmetic", 1, 1, FloatArgs{floats.pointer(), 0}));
    const auto f = floats.read();
    CHECK(f[0] == 3.0f && f[1] == 2.0f + 4 + 2 + 0.5f && f[2] == 2.0f && f[3] == 1.25f && f[4] == 8 + 31 + 32);
    CHECK(f[5] == 1 + 3 + 1 + 2 + 7);
    GIVES(0, launch("early_exit", 1, 64, OutArgs{ints.pointer(), 0}));
    const auto e = ints.read();
    CHECK(e[0] == -1 && e[31] == -1 && e[32] == 0xff && e[39] == 0xff && e[40] == 0);
    GIVES(0, launch("dynamic", 2, 8, FloatArgs{floats.pointer(), 0}, nullptr, 8 * 16));
    const auto d = floats.read();
    CHECK(d[0] == 1.0f && d[6] == 7.0f && d[7] == 0.0f && std::isnan(d[2]));
    for (int round = 0; round < 2; ++round) {
        GIVES(0, launch("uninitialised", 2, 64, FloatArgs{floats.pointer(), 0}));
        CHECK(std::isnan(floats.read()[5]));
    }
}

// ---- What the emulator is to find ----

void test_races() {
    std::vector<float> sums;
    std::vector<std::vector<int>> tiles;
    for (const char* order : orders) {
        set_environment("I2M2_EMULATOR_ORDER", order);
        const Buffer<float> sum(std::vector<float>{0.0f});
        GIVES(0, launch("racy_sum", 8, 128, FloatArgs{sum.pointer(), 0}));
        sums.push_back(sum.read()[0]);
        const Buffer<int> tile(64);
        GIVES(0, launch("missing_barrier", 1, 64, OutArgs{tile.pointer(), 0}));
        tiles.push_back(tile.read());
    }
    set_environment("I2M2_EMULATOR_ORDER", nullptr);
    CHECK(sums[0] != sums[1] && sums[0] != sums[2]);
    CHECK(tiles[0] != tiles[1] && tiles[0] != tiles[2]);
}

void test_deadlocks() {
    const Buffer<int> out(64);
    const OutArgs args{out.pointer(), 0};
    const auto errors_of = [&](const char* kernel) {
        const Child child = in_child([&] { return launch(kernel, 2, 32, args) == 719 ? 0 : 1; });
        CHECK(child.code == 0);
        return child.errors;
    };
    const std::string deadlock = errors_of("deadlock");
    CHECK(has(deadlock, "kernel 'deadlock', block (0,0,0): deadlock: 16 threads (first (0,0,0)) wait at __syncthreads, "
                        "16 threads (first (16,0,0)) wait at a warp shuffle with mask 0xffffffff, 0 have ended"));
    CHECK(has(errors_of("wrong_mask"), "thread (1,0,0): a warp collective's mask does not name the lane"));
    // The emulator goes on after both.
    fflush(stderr);
    const Child after = in_child([&] {
        if (launch("deadlock", 1, 32, args) != 719 || launch("wrong_mask", 1, 2, args) != 719) return 1;
        if (launch("early_exit", 1, 64, args) != 0) return 2;
        return out.read()[3] == -1 ? 0 : 3;
    });
    CHECK(after.code == 0);
}

void test_crashes() {
    const auto crash = [](const std::function<int()>& run, int signal, const char* text) {
        const Child child = in_child(run);
        CHECK(child.signal == signal);
        check(has(child.errors, text), ("a crash said: " + child.errors).c_str(), __LINE__);
        CHECK(signal != SIGSEGV || has(child.errors, "the host's handler\n"));
    };
    const Buffer<int> out(64);
    crash([&] { return launch("overrun", 1, 65, OutArgs{out.pointer(), 0}); }, SIGSEGV,
          "kernel 'overrun', block (0,0,0), thread (64,0,0): a read or write outside of device or shared memory");
    crash([&] {
        Pointer freed = 0;
        if (cuMemAllocAsync(&freed, 256, nullptr) || cuMemFreeAsync(freed, nullptr)) return 1;
        return launch("overrun", 1, 1, OutArgs{reinterpret_cast<int*>(freed), 0});
    }, SIGSEGV, "kernel 'overrun', block (0,0,0), thread (0,0,0): a read or write outside");
    crash([&] { return launch("deep_stack", 1, 1, OutArgs{out.pointer(), 0}); }, SIGSEGV, "the stack of a thread is full");
    const Buffer<float> floats(8);
    crash([&] { return launch("dynamic", 1, 8, FloatArgs{floats.pointer(), 0}, nullptr, 7 * 16); }, SIGSEGV,
          "kernel 'dynamic', block (0,0,0), thread (7,0,0): a read or write outside");
    crash([&] { return launch("divide", 1, 1, OutArgs{out.pointer(), 0}); }, SIGFPE, "integer division by zero");
    // Less than 16 bytes too far: seen when the memory is freed.
    const Child late = in_child([] {
        Pointer memory = 0;
        if (cuMemAllocAsync(&memory, 20, nullptr)) return 1;
        if (launch("overrun", 1, 6, OutArgs{reinterpret_cast<int*>(memory), 0})) return 2;
        return cuMemFreeAsync(memory, nullptr) == 700 ? 0 : 3;
    });
    CHECK(late.code == 0 && has(late.errors, "a kernel wrote outside of the 20 bytes"));
}

void test_memory() {
    set_environment("I2M2_EMULATOR_MEMORY", "1000000");
    size_t free_before = 0, free_after = 0, total = 0;
    Pointer a = 0, b = 0;
    GIVES(0, cuMemGetInfo_v2(&free_before, &total));
    CHECK(total == 1000000 && free_before == total);
    GIVES(0, cuMemAlloc_v2(&a, 600000));
    GIVES(2, cuMemAlloc_v2(&b, 600000));
    GIVES(2, cuMemAllocAsync(&b, ~size_t{0}, nullptr));
    GIVES(0, cuMemGetInfo_v2(&free_after, &total));
    CHECK(free_before - free_after == 600000);
    GIVES(0, cuMemFree_v2(a));
    GIVES(0, cuMemAlloc_v2(&b, 600000));
    GIVES(0, cuMemFree_v2(b));
    set_environment("I2M2_EMULATOR_MEMORY", nullptr);

    GIVES(0, cuMemAllocAsync(&a, 0, nullptr));
    GIVES(0, cuMemAllocAsync(&b, 0, nullptr));
    CHECK(a != 0 && b != 0 && a != b);
    GIVES(0, cuMemFreeAsync(a, nullptr));
    GIVES(0, cuMemFreeAsync(b, nullptr));
    set_environment("I2M2_EMULATOR_ZERO_ALLOC", "error");
    GIVES(1, cuMemAllocAsync(&a, 0, nullptr));
    set_environment("I2M2_EMULATOR_ZERO_ALLOC", nullptr);

    const Buffer<float> buffer(5);
    const Child outside = in_child([&] {
        float values[6] = {};
        if (cuMemcpyHtoD_v2(buffer.address, values, 24) != 700) return 1;
        if (cuMemcpyDtoH_v2(values, buffer.address - 4, 4) != 700) return 2;
        if (cuMemsetD32Async(buffer.address + 4, 0, 5, nullptr) != 700) return 3;
        if (cuMemFree_v2(buffer.address + 4) != 1) return 4;
        return cuMemcpyHtoD_v2(buffer.address, values, 20);
    });
    CHECK(outside.code == 0 && has(outside.errors, "cuMemcpyHtoD_v2: the 24 bytes"));
    GIVES(0, cuMemsetD32Async(buffer.address, 0x3f800000, 5, nullptr));
    CHECK(buffer.read() == std::vector<float>(5, 1.0f));

    void* pinned = nullptr;
    GIVES(0, cuMemHostAlloc(&pinned, 100, 0));
    GIVES(0, cuMemFreeHost(pinned));
    GIVES(1, cuMemFreeHost(pinned));
}

void test_faults() {
    Pointer a = 0;
    set_environment("I2M2_EMULATOR_FAIL", "cuMemAllocAsync:98765:3,cublasSetStream_v2:14");
    for (const int code : {0, 0, 98765, 98765}) {
        GIVES(code, cuMemAllocAsync(&a, 16, nullptr));
        if (code == 0) GIVES(0, cuMemFreeAsync(a, nullptr));
    }
    set_environment("I2M2_EMULATOR_FAIL", "cuMemcpyDtoH:719");  // the _v2 may be left out
    GIVES(719, cuMemcpyDtoH_v2(nullptr, 0, 0));
    set_environment("I2M2_EMULATOR_FAIL", nullptr);
    GIVES(0, cuMemcpyDtoH_v2(nullptr, 0, 0));
}

// ---- Streams and graphs ----

void test_graphs() {
    Handle stream = nullptr, graph = nullptr, executable = nullptr;
    GIVES(0, cuStreamCreate(&stream, 1));
    std::vector<float> host(1000, 0.5f);
    const Buffer<float> source(host), values(host.size()), sums(7), copy(7);
    unsigned long before[8], after[8];

    i2m2_emulator_counts(before);
    GIVES(0, cuStreamBeginCapture_v2(stream, 0));
    GIVES(0, cuMemcpyDtoDAsync_v2(values.address, source.address, 4000, stream));
    GIVES(0, launch("reduce", 7, 64, ReduceArgs{values.pointer(), sums.pointer(), 1000}, stream));
    GIVES(0, cuMemsetD8Async(values.address, 0, 4000, stream));
    GIVES(0, cuMemcpyDtoDAsync_v2(copy.address, sums.address, 28, stream));
    GIVES(0, cuStreamEndCapture(stream, &graph));
    size_t nodes = 0;
    GIVES(0, cuGraphGetNodes(graph, nullptr, &nodes));
    CHECK(nodes == 4);
    CHECK(std::isnan(copy.read()[0]));  // nothing ran yet
    GIVES(0, cuGraphInstantiateWithFlags(&executable, graph, 0));
    GIVES(0, cuGraphDestroy(graph));
    for (const float value : {1.0f, 2.0f}) {
        unsigned word = 0;
        memcpy(&word, &value, 4);
        GIVES(0, cuMemsetD32Async(source.address, word, 1000, stream));
        GIVES(0, cuGraphLaunch(executable, stream));
        GIVES(0, cuStreamSynchronize(stream));
        float sum = 0;
        for (float s : copy.read()) sum += s;
        CHECK(sum == value * 250 * 1.875f);
        CHECK(values.read()[999] == 0.0f);
    }
    i2m2_emulator_counts(after);
    const unsigned long expected[8] = {0, 2, 0, 5, 0, 0, 2, 2};
    for (int i = 0; i < 8; ++i) CHECK(after[i] - before[i] == expected[i]);
    GIVES(0, cuGraphExecDestroy(executable));
    GIVES(400, cuGraphLaunch(executable, stream));

    // What a capture cannot hold spoils it.
    const auto spoiled_by = [&](int code, const std::function<int()>& call) {
        GIVES(0, cuStreamBeginCapture_v2(stream, 0));
        GIVES(code, call());
        GIVES(901, cuMemsetD8Async(values.address, 0, 4, stream));
        GIVES(901, cuStreamEndCapture(stream, &graph));
        CHECK(graph == nullptr);
        GIVES(0, cuMemsetD8Async(values.address, 0, 4, stream));
    };
    Pointer memory = 0;
    spoiled_by(900, [&] { return cuStreamSynchronize(stream); });
    spoiled_by(900, [&] { return cuCtxSynchronize(); });
    spoiled_by(900, [&] { return cuMemAllocAsync(&memory, 4, stream); });
    spoiled_by(900, [&] { return cuMemAlloc_v2(&memory, 4); });
    spoiled_by(900, [&] { return cuMemcpyHtoDAsync_v2(values.address, host.data(), 4, stream); });
    GIVES(401, cuStreamEndCapture(stream, &graph));
    GIVES(900, cuStreamBeginCapture_v2(nullptr, 0));
    GIVES(0, cuStreamDestroy_v2(stream));

    // The default stream waits for a stream that blocks.
    GIVES(0, cuStreamCreate(&stream, 0));
    spoiled_by(906, [&] { return cuMemsetD8Async(values.address, 0, 4, nullptr); });
    GIVES(0, cuStreamDestroy_v2(stream));
    GIVES(400, cuStreamSynchronize(stream));

    Handle start = nullptr, end = nullptr;
    float milliseconds = -1;
    GIVES(0, cuEventCreate(&start, 0));
    GIVES(0, cuEventCreate(&end, 0));
    GIVES(0, cuEventRecord(start, nullptr));
    usleep(2000);
    GIVES(400, cuEventElapsedTime(&milliseconds, start, end));
    GIVES(0, cuEventRecord(end, nullptr));
    GIVES(0, cuEventElapsedTime(&milliseconds, start, end));
    CHECK(milliseconds >= 2 && milliseconds < 2000);
    GIVES(0, cuEventDestroy_v2(start));
    GIVES(0, cuEventDestroy_v2(end));
}

void test_host_threads(Handle context) {
    const Buffer<float> values(std::vector<float>(5000, 0.25f));
    const std::vector<float> expected = reduce(values);
    std::vector<std::thread> threads;
    int wrong[4] = {};
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            if (cuCtxSetCurrent(context)) ++wrong[t];
            Pointer sums = 0;
            if (cuMemAllocAsync(&sums, 28, nullptr)) ++wrong[t];
            Handle function = nullptr;
            if (cuModuleGetFunction(&function, module, "reduce")) ++wrong[t];
            ReduceArgs args{values.pointer(), reinterpret_cast<float*>(sums), 5000};
            void* parameters[] = {&args};
            for (int round = 0; round < 25; ++round) {
                std::vector<float> got(7);
                if (cuLaunchKernel(function, 7, 1, 1, 256, 1, 1, 0, nullptr, parameters, nullptr)) ++wrong[t];
                if (cuMemcpyDtoH_v2(got.data(), sums, 28) || got != expected) ++wrong[t];
            }
            if (cuMemFreeAsync(sums, nullptr)) ++wrong[t];
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(!wrong[0] && !wrong[1] && !wrong[2] && !wrong[3]);
}

void test_cublas() {
    Handle handle = nullptr;
    GIVES(0, cublasCreate_v2(&handle));
    GIVES(0, cublasSetStream_v2(handle, nullptr));
    GIVES(15, cublasSgemm_v2(handle));
    GIVES(0, cublasDestroy_v2(handle));
}

void report_speed() {
    const auto nanoseconds = [](const char* kernel, unsigned blocks, auto args) {
        const auto start = std::chrono::steady_clock::now();
        GIVES(0, launch(kernel, blocks, 256, args));
        return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() / blocks / 256;
    };
    const Buffer<int> out(1 << 20);
    const Buffer<float> values(std::vector<float>(1, 0)), sums(4096);
    const double plain = nanoseconds("coordinates", 4096, OutArgs{out.pointer(), 1 << 20});
    const double barriers = nanoseconds("reduce", 4096, ReduceArgs{values.pointer(), sums.pointer(), 1});
    printf("a thread takes %.1f ns without and %.0f ns with 4 barriers and part of 5 shuffles\n", plain, barriers);
}

// Rust's runtime has such a handler before the emulator is called, too.
void host_handler(int signal) {
    if (write(STDERR_FILENO, "the host's handler\n", 19) < 0) {}
    ::signal(signal, SIG_DFL);
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 2) return fprintf(stderr, "usage: %s FOLDER\n", arguments[0]), 2;
    struct sigaction action{};
    action.sa_handler = host_handler;
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGSEGV, &action, nullptr);
    const std::string folder = arguments[1];
    test_no_device();
    test_device();
    test_compile(read_file(folder + "/kernels.cu"), read_file(folder + "/args.cuh"));
    if (module) {
        test_memory();
        test_faults();
        test_reduction();
        test_coordinates();
        test_full_block();
        test_exchange();
        test_other_kernels();
        test_races();
        test_deadlocks();
        test_crashes();
        test_graphs();
        Handle context = nullptr;
        GIVES(0, cuDevicePrimaryCtxRetain(&context, 0));
        test_host_threads(context);
        test_cublas();
        report_speed();
    }
    printf("%d checks, %d failed\n", checks, failures);
    return failures ? 1 : 0;
}
