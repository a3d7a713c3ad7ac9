// Streams and what they capture. Everything runs at once and in the order of the
// calls, so a stream is a handle that may be recording.
#pragma once

#include <functional>
#include <memory>
#include <vector>

using Work = std::function<int()>;  // gives a CUresult

struct Graph {
    std::vector<Work> nodes;
};

enum Counter { launches, memsets, host_to_device, device_to_host, device_to_device, allocation_count,
               graph_launches, synchronisations, counters };
extern unsigned long counts[counters];

struct Stream;
using CUstream = Stream*;

CUstream create_stream(bool blocking);
int destroy_stream(CUstream stream);

// `mode` is a CUstreamCaptureMode: 0 global, 1 of this thread, 2 relaxed.
int begin_capture(CUstream stream, int mode);
int end_capture(CUstream stream, std::unique_ptr<Graph>& graph);
int is_capturing(CUstream stream, int* status);

// Runs and counts the work, or records it when the stream is capturing.
int submit(CUstream stream, Counter counter, Work work);
// For a call that no capture can hold: fails, and spoils the capture, when the
// stream is capturing.
int require_no_capture(CUstream stream);
// The same for a call without a stream, which touches every capture but relaxed ones.
int require_no_captures();
