// What the environment asks of the emulator, and the faults it injects. Each of
// the three libraries has its own copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

enum class Order { forward, reverse, shuffle };

struct Fault {
    std::string function;
    int code;
    unsigned long first_call;  // counted from 1
    unsigned long calls = 0;
};

struct Settings {
    int devices = 1;
    int driver_version = 13000;
    std::string device_name = "i2m2 CUDA emulator";
    size_t memory = size_t{8} << 30;
    bool zero_allocation_fails = false;
    Order order = Order::forward;
    uint64_t seed = 0;
    std::vector<Fault> faults;
};

// Read from the environment on first use. A value that makes no sense ends the
// process with a message.
Settings& settings();
// Reads the environment again and counts calls from 1 again.
void reload_settings();
// The code that this call of `function` is to return, if any.
std::optional<int> injected_fault(const char* function);

#define I2M2_API extern "C" __attribute__((visibility("default")))
