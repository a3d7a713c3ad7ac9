#include "settings.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace {

[[noreturn]] void refuse(const char* variable, const std::string& value, const char* expected) {
    fprintf(stderr, "i2m2 CUDA emulator: %s is '%s', expected %s\n", variable, value.c_str(), expected);
    abort();
}

template <class T>
T parse_number(const char* variable, const std::string& text, const char* expected) {
    char* end = nullptr;
    const long long number = strtoll(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0') refuse(variable, text, expected);
    return static_cast<T>(number);
}

template <class T>
void read_number(const char* variable, T& value) {
    if (const char* text = getenv(variable)) value = parse_number<T>(variable, text, "a whole number");
}

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts{""};
    for (char c : text) {
        if (c == separator) parts.emplace_back();
        else parts.back() += c;
    }
    return parts;
}

void read_order(Settings& settings) {
    const char* variable = "I2M2_EMULATOR_ORDER";
    const char* expected = "forward, reverse or shuffle:SEED";
    const char* text = getenv(variable);
    if (!text) return;
    if (strcmp(text, "forward") == 0) settings.order = Order::forward;
    else if (strcmp(text, "reverse") == 0) settings.order = Order::reverse;
    else if (strncmp(text, "shuffle:", 8) == 0) {
        settings.order = Order::shuffle;
        settings.seed = parse_number<uint64_t>(variable, text + 8, expected);
    } else refuse(variable, text, expected);
}

// function:code[:nth], several of them separated by commas
void read_faults(Settings& settings) {
    const char* variable = "I2M2_EMULATOR_FAIL";
    const char* expected = "FUNCTION:CODE[:NTH]";
    const char* text = getenv(variable);
    if (!text || !*text) return;
    for (const std::string& one : split(text, ',')) {
        const std::vector<std::string> parts = split(one, ':');
        if (parts.size() < 2 || parts.size() > 3) refuse(variable, text, expected);
        Fault fault{parts[0], parse_number<int>(variable, parts[1], expected), 1};
        if (parts.size() == 3) fault.first_call = parse_number<unsigned long>(variable, parts[2], expected);
        settings.faults.push_back(fault);
    }
}

Settings from_environment() {
    Settings settings;
    read_number("I2M2_EMULATOR_DEVICES", settings.devices);
    read_number("I2M2_EMULATOR_DRIVER", settings.driver_version);
    read_number("I2M2_EMULATOR_MEMORY", settings.memory);
    if (const char* name = getenv("I2M2_EMULATOR_NAME")) settings.device_name = name;
    if (const char* text = getenv("I2M2_EMULATOR_ZERO_ALLOC")) {
        if (strcmp(text, "error") != 0) refuse("I2M2_EMULATOR_ZERO_ALLOC", text, "error");
        settings.zero_allocation_fails = true;
    }
    read_order(settings);
    read_faults(settings);
    return settings;
}

std::mutex fault_lock;

// "cuMemAlloc" means cuMemAlloc_v2, too.
bool names(const std::string& name, const char* function) {
    return name == function || name + "_v2" == function;
}

}  // namespace

Settings& settings() {
    static Settings& settings = *new Settings(from_environment());
    return settings;
}

void reload_settings() {
    const std::lock_guard<std::mutex> guard(fault_lock);
    settings() = from_environment();
}

std::optional<int> injected_fault(const char* function) {
    const std::lock_guard<std::mutex> guard(fault_lock);
    for (Fault& fault : settings().faults) {
        if (names(fault.function, function) && ++fault.calls >= fault.first_call) return fault.code;
    }
    return std::nullopt;
}
