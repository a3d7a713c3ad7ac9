#include "streams.h"

#include <cstdint>
#include <map>
#include <thread>

#include "results.h"

unsigned long counts[counters];

struct Stream {
    bool blocking;  // waits for the default stream
    std::unique_ptr<Graph> capture;
    bool spoiled = false;
    int mode = 0;
    std::thread::id owner;  // who began the capture
};

namespace {

// Never destroyed: threads of the host may still call while the process ends.
auto& streams = *new std::map<Stream*, std::unique_ptr<Stream>>;

// CU_STREAM_LEGACY and CU_STREAM_PER_THREAD are the handles 1 and 2.
bool is_default(CUstream stream) { return reinterpret_cast<uintptr_t>(stream) <= 2; }
bool is_legacy(CUstream stream) { return reinterpret_cast<uintptr_t>(stream) <= 1; }

bool is_known(CUstream stream) { return is_default(stream) || streams.count(stream) != 0; }

// Work of the legacy default stream would have to wait for a blocking stream,
// which a capture cannot hold.
bool spoil_implicit_captures() {
    bool any = false;
    for (auto& [handle, stream] : streams) {
        if (stream->capture && stream->blocking) any = stream->spoiled = true;
    }
    return any;
}

}  // namespace

CUstream create_stream(bool blocking) {
    auto stream = std::make_unique<Stream>();
    stream->blocking = blocking;
    CUstream handle = stream.get();
    streams[handle] = std::move(stream);
    return handle;
}

int destroy_stream(CUstream stream) {
    return streams.erase(stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

int begin_capture(CUstream stream, int mode) {
    if (!is_known(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (is_default(stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (mode < 0 || mode > 2) return CUDA_ERROR_INVALID_VALUE;
    if (stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
    stream->capture = std::make_unique<Graph>();
    stream->spoiled = false;
    stream->mode = mode;
    stream->owner = std::this_thread::get_id();
    return CUDA_SUCCESS;
}

int end_capture(CUstream stream, std::unique_ptr<Graph>& graph) {
    if (!is_known(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (is_default(stream) || !stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
    if (stream->mode != 2 && stream->owner != std::this_thread::get_id()) {
        return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    }
    graph = std::move(stream->capture);
    if (!stream->spoiled) return CUDA_SUCCESS;
    graph.reset();
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
}

int is_capturing(CUstream stream, int* status) {
    if (!is_known(stream)) return CUDA_ERROR_INVALID_HANDLE;
    *status = is_default(stream) || !stream->capture ? 0 : stream->spoiled ? 2 : 1;
    return CUDA_SUCCESS;
}

int submit(CUstream stream, Counter counter, Work work) {
    if (!is_known(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (is_legacy(stream) && spoil_implicit_captures()) return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    if (is_default(stream) || !stream->capture) {
        ++counts[counter];
        return work();
    }
    if (stream->spoiled) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    stream->capture->nodes.push_back(std::move(work));
    return CUDA_SUCCESS;
}

int require_no_capture(CUstream stream) {
    if (!is_known(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (is_legacy(stream) && spoil_implicit_captures()) return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    if (is_default(stream) || !stream->capture) return CUDA_SUCCESS;
    stream->spoiled = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

int require_no_captures() {
    bool any = false;
    for (auto& [handle, stream] : streams) {
        const bool seen = stream->mode == 0 || (stream->mode == 1 && stream->owner == std::this_thread::get_id());
        if (stream->capture && seen) any = stream->spoiled = true;
    }
    return any ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}
