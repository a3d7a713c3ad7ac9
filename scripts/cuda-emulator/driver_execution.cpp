// libcuda: streams, events, modules, launches and graphs.

#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>

#include "driver.h"
#include "launch.h"
#include "streams.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Event {
    bool timing;
    bool recorded = false;
    Clock::time_point at{};
};

// Objects by their handles, so that a stale handle is an error and no crash.
template <class T>
class Registry {
  public:
    T* add(std::unique_ptr<T> object) {
        T* handle = object.get();
        objects_[handle] = std::move(object);
        return handle;
    }
    bool has(T* handle) const { return objects_.count(handle) != 0; }
    int remove(T* handle) { return objects_.erase(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }

  private:
    std::map<T*, std::unique_ptr<T>> objects_;
};

// Never destroyed: threads of the host may still call while the process ends.
auto& events = *new Registry<Event>;
auto& modules = *new Registry<Module>;
auto& graphs = *new Registry<Graph>;
struct Executable : Graph {};
auto& executables = *new Registry<Executable>;
auto& functions = *new std::map<Function*, Module*>;  // of live modules

bool is_live(Function* function) { return functions.count(function) != 0; }

int add_module(Module** module, const void* image) {
    TRY(require_no_captures());
    auto loaded = load_module(image);
    if (!loaded) return CUDA_ERROR_INVALID_IMAGE;
    *module = modules.add(std::move(loaded));
    return CUDA_SUCCESS;
}

// What cuLaunchKernel refuses on a real device, too.
bool is_valid(const Function& function, const I2m2Index& grid, const I2m2Index& block) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || block.x == 0 || block.y == 0 || block.z == 0) return false;
    if (grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535) return false;
    if (block.x > 1024 || block.y > 1024 || block.z > 64) return false;
    return block.x * block.y * block.z <= function.max_threads;
}

int elapsed(float* milliseconds, Event* start, Event* end) {
    if (!events.has(start) || !events.has(end)) return CUDA_ERROR_INVALID_HANDLE;
    if (!start->timing || !end->timing || !start->recorded || !end->recorded) return CUDA_ERROR_INVALID_HANDLE;
    *milliseconds = std::chrono::duration<float, std::milli>(end->at - start->at).count();
    return CUDA_SUCCESS;
}

int instantiate(Executable** executable, Graph* graph) {
    if (!graphs.has(graph)) return CUDA_ERROR_INVALID_HANDLE;
    auto copy = std::make_unique<Executable>();
    copy->nodes = graph->nodes;
    *executable = executables.add(std::move(copy));
    return CUDA_SUCCESS;
}

}  // namespace

// ---- Streams ----

I2M2_API int cuStreamCreate(CUstream* stream, unsigned flags) {
    ENTER(cuStreamCreate);
    NEED_CONTEXT;
    if (flags > 1) return CUDA_ERROR_INVALID_VALUE;
    *stream = create_stream(flags == 0);
    return CUDA_SUCCESS;
}
I2M2_API int cuStreamDestroy_v2(CUstream stream) {
    ENTER(cuStreamDestroy_v2);
    NEED_INIT;
    return destroy_stream(stream);
}
I2M2_API int cuStreamSynchronize(CUstream stream) {
    ENTER(cuStreamSynchronize);
    NEED_CONTEXT;
    TRY(require_no_capture(stream));
    ++counts[synchronisations];
    return CUDA_SUCCESS;
}
I2M2_API int cuStreamQuery(CUstream stream) {
    ENTER(cuStreamQuery);
    NEED_CONTEXT;
    return require_no_capture(stream);
}
I2M2_API int cuStreamWaitEvent(CUstream stream, Event* event, unsigned) {
    ENTER(cuStreamWaitEvent);
    NEED_CONTEXT;
    if (!events.has(event)) return CUDA_ERROR_INVALID_HANDLE;
    return require_no_capture(stream);
}

// ---- Events ----

I2M2_API int cuEventCreate(Event** event, unsigned flags) {
    ENTER(cuEventCreate);
    NEED_CONTEXT;
    constexpr unsigned disable_timing = 2;
    *event = events.add(std::make_unique<Event>(Event{(flags & disable_timing) == 0}));
    return CUDA_SUCCESS;
}
I2M2_API int cuEventDestroy_v2(Event* event) {
    ENTER(cuEventDestroy_v2);
    NEED_INIT;
    return events.remove(event);
}
I2M2_API int cuEventRecord(Event* event, CUstream stream) {
    ENTER(cuEventRecord);
    NEED_CONTEXT;
    if (!events.has(event)) return CUDA_ERROR_INVALID_HANDLE;
    TRY(require_no_capture(stream));
    event->recorded = true;
    event->at = Clock::now();
    return CUDA_SUCCESS;
}
I2M2_API int cuEventQuery(Event* event) {
    ENTER(cuEventQuery);
    NEED_INIT;
    return events.has(event) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}
I2M2_API int cuEventSynchronize(Event* event) {
    ENTER(cuEventSynchronize);
    NEED_INIT;
    if (!events.has(event)) return CUDA_ERROR_INVALID_HANDLE;
    ++counts[synchronisations];
    return CUDA_SUCCESS;
}
I2M2_API int cuEventElapsedTime(float* milliseconds, Event* start, Event* end) {
    ENTER(cuEventElapsedTime);
    NEED_INIT;
    return elapsed(milliseconds, start, end);
}
I2M2_API int cuEventElapsedTime_v2(float* milliseconds, Event* start, Event* end) {
    ENTER(cuEventElapsedTime_v2);
    NEED_INIT;
    return elapsed(milliseconds, start, end);
}

// ---- Modules and functions ----

I2M2_API int cuModuleLoadData(Module** module, const void* image) {
    ENTER(cuModuleLoadData);
    NEED_CONTEXT;
    return add_module(module, image);
}
I2M2_API int cuModuleLoad(Module** module, const char* path) {
    ENTER(cuModuleLoad);
    NEED_CONTEXT;
    std::ifstream file(path, std::ios::binary);
    if (!file) return CUDA_ERROR_FILE_NOT_FOUND;
    std::string image{std::istreambuf_iterator<char>(file), {}};
    return add_module(module, image.c_str());
}
I2M2_API int cuModuleUnload(Module* module) {
    ENTER(cuModuleUnload);
    NEED_CONTEXT;
    for (auto it = functions.begin(); it != functions.end();) it = it->second == module ? functions.erase(it) : ++it;
    return modules.remove(module);
}
I2M2_API int cuModuleGetFunction(Function** function, Module* module, const char* name) {
    ENTER(cuModuleGetFunction);
    NEED_CONTEXT;
    if (!modules.has(module)) return CUDA_ERROR_INVALID_HANDLE;
    *function = module->function(name);
    if (!*function) return CUDA_ERROR_NOT_FOUND;
    functions[*function] = module;
    return CUDA_SUCCESS;
}
// Every kernel has one parameter.
I2M2_API int cuFuncGetParamInfo(Function* function, size_t index, size_t* offset, size_t* bytes) {
    ENTER(cuFuncGetParamInfo);
    NEED_INIT;
    if (!is_live(function)) return CUDA_ERROR_INVALID_HANDLE;
    if (index != 0) return CUDA_ERROR_INVALID_VALUE;
    *offset = 0;
    if (bytes) *bytes = function->args_bytes;
    return CUDA_SUCCESS;
}
I2M2_API int cuFuncGetAttribute(int* value, int attribute, Function* function) {
    ENTER(cuFuncGetAttribute);
    NEED_INIT;
    if (!is_live(function)) return CUDA_ERROR_INVALID_HANDLE;
    switch (attribute) {
        case 0: *value = static_cast<int>(function->max_threads); break;
        case 4: *value = 32; break;              // registers of a thread
        case 5: case 6: *value = 90; break;      // PTX and binary version
        default: *value = 0;
    }
    return CUDA_SUCCESS;
}
I2M2_API int cuFuncSetAttribute(Function* function, int, int) {
    ENTER(cuFuncSetAttribute);
    NEED_INIT;
    return is_live(function) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

I2M2_API int cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                            unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                            CUstream stream, void** parameters, void** extra) {
    ENTER(cuLaunchKernel);
    NEED_CONTEXT;
    if (!is_live(function)) return CUDA_ERROR_INVALID_HANDLE;
    const I2m2Index grid{grid_x, grid_y, grid_z}, block{block_x, block_y, block_z};
    if (!is_valid(*function, grid, block) || !parameters || extra) return CUDA_ERROR_INVALID_VALUE;
    if (shared_bytes > max_shared_bytes) return CUDA_ERROR_INVALID_VALUE;
    // A copy, as the caller's arguments may be gone when a graph is launched.
    // Made of the widest type, for its alignment.
    const auto bytes = static_cast<const char*>(parameters[0]);
    using Unit = std::max_align_t;
    std::vector<Unit> args((function->args_bytes + sizeof(Unit) - 1) / sizeof(Unit));
    memcpy(args.data(), bytes, function->args_bytes);
    return submit(stream, launches, [=, args = std::move(args)] {
        if (!is_live(function)) return int{CUDA_ERROR_INVALID_HANDLE};
        return run_grid(*function, grid, block, shared_bytes, args.data());
    });
}

// ---- Graphs ----

I2M2_API int cuStreamBeginCapture_v2(CUstream stream, int mode) {
    ENTER(cuStreamBeginCapture_v2);
    NEED_CONTEXT;
    return begin_capture(stream, mode);
}
I2M2_API int cuStreamEndCapture(CUstream stream, Graph** graph) {
    ENTER(cuStreamEndCapture);
    NEED_CONTEXT;
    *graph = nullptr;
    std::unique_ptr<Graph> captured;
    TRY(end_capture(stream, captured));
    *graph = graphs.add(std::move(captured));
    return CUDA_SUCCESS;
}
I2M2_API int cuStreamIsCapturing(CUstream stream, int* status) {
    ENTER(cuStreamIsCapturing);
    NEED_CONTEXT;
    return is_capturing(stream, status);
}
I2M2_API int cuGraphInstantiateWithFlags(Executable** executable, Graph* graph, unsigned long long) {
    ENTER(cuGraphInstantiateWithFlags);
    NEED_CONTEXT;
    return instantiate(executable, graph);
}
I2M2_API int cuGraphInstantiate_v2(Executable** executable, Graph* graph, void**, char*, size_t) {
    ENTER(cuGraphInstantiate_v2);
    NEED_CONTEXT;
    return instantiate(executable, graph);
}
I2M2_API int cuGraphGetNodes(Graph* graph, void** nodes, size_t* count) {
    ENTER(cuGraphGetNodes);
    NEED_INIT;
    if (!graphs.has(graph)) return CUDA_ERROR_INVALID_HANDLE;
    const size_t room = nodes ? *count : 0;
    for (size_t i = 0; i < room; ++i) nodes[i] = i < graph->nodes.size() ? &graph->nodes[i] : nullptr;
    if (!nodes || room > graph->nodes.size()) *count = graph->nodes.size();
    return CUDA_SUCCESS;
}
I2M2_API int cuGraphLaunch(Executable* executable, CUstream stream) {
    ENTER(cuGraphLaunch);
    NEED_CONTEXT;
    if (!executables.has(executable)) return CUDA_ERROR_INVALID_HANDLE;
    TRY(require_no_capture(stream));
    ++counts[graph_launches];
    for (const Work& work : executable->nodes) TRY(work());
    return CUDA_SUCCESS;
}
I2M2_API int cuGraphExecDestroy(Executable* executable) {
    ENTER(cuGraphExecDestroy);
    NEED_INIT;
    return executables.remove(executable);
}
I2M2_API int cuGraphDestroy(Graph* graph) {
    ENTER(cuGraphDestroy);
    NEED_INIT;
    return graphs.remove(graph);
}
