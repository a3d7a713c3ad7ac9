// libnvrtc: compiles kernel sources with g++ to libraries for the CPU. PTX and
// CUBIN are both such a library.

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "settings.h"

extern char** environ;

namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

enum NvrtcResult { SUCCESS = 0, INVALID_INPUT = 3, INVALID_PROGRAM = 4, COMPILATION = 6, INTERNAL_ERROR = 11 };

struct Header {
    std::string name, text;
};
struct Program {
    std::string source, name;
    std::vector<Header> headers;
    std::string library;  // empty until it is compiled
    std::string log;
};

const int architectures[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

// A folder that goes away with the object.
struct TemporaryFolder {
    TemporaryFolder() {
        std::string pattern = fs::temp_directory_path() / "i2m2-nvrtc-XXXXXX";
        if (mkdtemp(pattern.data())) path = pattern;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        if (!path.empty()) fs::remove_all(path, ignored);
    }
    fs::path path;
};

bool write_file(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    return static_cast<bool>(std::ofstream(path, std::ios::binary) << text);
}

std::string read_file(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// emulator.h lies in ../include, seen from this library.
fs::path include_folder() {
    Dl_info info;
    if (!dladdr(reinterpret_cast<void*>(&include_folder), &info)) return {};
    return fs::canonical(info.dli_fname).parent_path().parent_path() / "include";
}

// Of NVRTC's options, definitions and include folders are for us; the others
// (architecture, language version, fast arithmetic) have no meaning on a CPU.
Strings compiler_options(const Strings& options) {
    Strings kept;
    for (size_t i = 0; i < options.size(); ++i) {
        const std::string& option = options[i];
        const auto value_of = [&](const char* name) { return option.substr(strlen(name)); };
        const auto starts = [&](const char* prefix) { return option.rfind(prefix, 0) == 0; };
        if (starts("-D") || starts("-I") || starts("-U")) {
            kept.push_back(option);
            if (option.size() == 2 && i + 1 < options.size()) kept.push_back(options[++i]);
        } else if (starts("--define-macro=")) {
            kept.push_back("-D" + value_of("--define-macro="));
        } else if (starts("--undefine-macro=")) {
            kept.push_back("-U" + value_of("--undefine-macro="));
        } else if (starts("--include-path=")) {
            kept.push_back("-I" + value_of("--include-path="));
        }
    }
    return kept;
}

// Runs the command with its output in `log`; its exit status, or -1.
int run(Strings command, const fs::path& log) {
    std::vector<char*> arguments;
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t process = 0;
    const int failed = posix_spawnp(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    if (failed || waitpid(process, &status, 0) != process || !WIFEXITED(status)) return -1;
    return WEXITSTATUS(status);
}

std::string without(std::string text, const std::string& part) {
    for (size_t at; (at = text.find(part)) != std::string::npos;) text.erase(at, part.size());
    return text;
}

int compile(Program& program, const Strings& options) {
    const TemporaryFolder folder;
    if (folder.path.empty()) return INTERNAL_ERROR;
    const fs::path source = folder.path / "source.cpp", library = folder.path / "kernels.so",
                   log = folder.path / "log", headers = folder.path / "include";
    fs::create_directories(headers);
    for (const Header& header : program.headers) {
        if (!write_file(headers / header.name, header.text)) return INTERNAL_ERROR;
    }
    // Messages name the program and its own lines.
    if (!write_file(source, "#line 1 \"" + program.name + "\"\n" + program.source)) return INTERNAL_ERROR;

    Strings command = {
        "env", "LC_ALL=C", "g++", "-std=c++17", "-O2", "-march=native", "-fPIC", "-shared",
        "-x", "c++", "-fdiagnostics-color=never",
        // Only what the kernels ask for: no fused products but fmaf's own.
        "-ffp-contract=off", "-fno-math-errno", "-fno-strict-aliasing",
        // Shared memory is what lies in .bss, and nothing else is there.
        "-nostartfiles", "-fno-zero-initialized-in-bss",
        // Nothing of one module is seen by another, and dlclose unloads it.
        "-fvisibility=hidden", "-fno-gnu-unique", "-Wl,-Bsymbolic", "-Wl,--no-undefined",
        "-include", include_folder() / "emulator.h", "-I", headers};
    for (const std::string& option : compiler_options(options)) command.push_back(option);
    for (const std::string& part : {source.string(), std::string("-o"), library.string(), std::string("-lm")}) {
        command.push_back(part);
    }
    const int status = run(command, log);
    program.log = without(read_file(log), headers.string() + "/");
    if (status != 0) {
        if (status < 0 || status == 127) program.log += "i2m2 CUDA emulator: cannot run g++\n";
        return COMPILATION;
    }
    program.library = read_file(library);
    return SUCCESS;
}

int put_library(const Program* program, char* out) {
    if (!program || program->library.empty()) return INVALID_PROGRAM;
    memcpy(out, program->library.data(), program->library.size());
    return SUCCESS;
}
int put_library_size(const Program* program, size_t* bytes) {
    if (!program || program->library.empty()) return INVALID_PROGRAM;
    *bytes = program->library.size();
    return SUCCESS;
}

}  // namespace

#define ENTER(function) \
    if (const auto fault = injected_fault(#function)) return *fault

I2M2_API int nvrtcVersion(int* major, int* minor) {
    ENTER(nvrtcVersion);
    *major = 13;
    *minor = 0;
    return SUCCESS;
}
I2M2_API int nvrtcGetNumSupportedArchs(int* count) {
    ENTER(nvrtcGetNumSupportedArchs);
    *count = static_cast<int>(std::size(architectures));
    return SUCCESS;
}
I2M2_API int nvrtcGetSupportedArchs(int* out) {
    ENTER(nvrtcGetSupportedArchs);
    memcpy(out, architectures, sizeof(architectures));
    return SUCCESS;
}
I2M2_API const char* nvrtcGetErrorString(int result) {
    static const char* const names[] = {
        "NVRTC_SUCCESS", "NVRTC_ERROR_OUT_OF_MEMORY", "NVRTC_ERROR_PROGRAM_CREATION_FAILURE",
        "NVRTC_ERROR_INVALID_INPUT", "NVRTC_ERROR_INVALID_PROGRAM", "NVRTC_ERROR_INVALID_OPTION",
        "NVRTC_ERROR_COMPILATION", "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE",
        "NVRTC_ERROR_NO_NAME_EXPRESSIONS_AFTER_COMPILATION", "NVRTC_ERROR_NO_LOWERED_NAMES_BEFORE_COMPILATION",
        "NVRTC_ERROR_NAME_EXPRESSION_NOT_VALID", "NVRTC_ERROR_INTERNAL_ERROR"};
    return result >= 0 && result < static_cast<int>(std::size(names)) ? names[result] : "NVRTC_ERROR unknown";
}

I2M2_API int nvrtcCreateProgram(Program** out, const char* source, const char* name, int header_count,
                                const char* const* headers, const char* const* header_names) {
    ENTER(nvrtcCreateProgram);
    if (!out || !source || header_count < 0) return INVALID_INPUT;
    auto* program = new Program{source, name ? name : "default_program", {}, {}, {}};
    for (int i = 0; i < header_count; ++i) program->headers.push_back({header_names[i], headers[i]});
    *out = program;
    return SUCCESS;
}
I2M2_API int nvrtcDestroyProgram(Program** program) {
    ENTER(nvrtcDestroyProgram);
    if (!program || !*program) return INVALID_PROGRAM;
    delete *program;
    *program = nullptr;
    return SUCCESS;
}
I2M2_API int nvrtcCompileProgram(Program* program, int count, const char* const* options) {
    ENTER(nvrtcCompileProgram);
    if (!program) return INVALID_PROGRAM;
    program->library.clear();
    try {
        return compile(*program, Strings(options, options + count));
    } catch (const fs::filesystem_error& error) {
        program->log = std::string("i2m2 CUDA emulator: ") + error.what() + "\n";
        return INTERNAL_ERROR;
    }
}
I2M2_API int nvrtcGetPTXSize(Program* program, size_t* bytes) {
    ENTER(nvrtcGetPTXSize);
    return put_library_size(program, bytes);
}
I2M2_API int nvrtcGetPTX(Program* program, char* out) {
    ENTER(nvrtcGetPTX);
    return put_library(program, out);
}
I2M2_API int nvrtcGetCUBINSize(Program* program, size_t* bytes) {
    ENTER(nvrtcGetCUBINSize);
    return put_library_size(program, bytes);
}
I2M2_API int nvrtcGetCUBIN(Program* program, char* out) {
    ENTER(nvrtcGetCUBIN);
    return put_library(program, out);
}
I2M2_API int nvrtcGetProgramLogSize(Program* program, size_t* bytes) {
    ENTER(nvrtcGetProgramLogSize);
    if (!program) return INVALID_PROGRAM;
    *bytes = program->log.size() + 1;
    return SUCCESS;
}
I2M2_API int nvrtcGetProgramLog(Program* program, char* out) {
    ENTER(nvrtcGetProgramLog);
    if (!program) return INVALID_PROGRAM;
    memcpy(out, program->log.c_str(), program->log.size() + 1);
    return SUCCESS;
}
