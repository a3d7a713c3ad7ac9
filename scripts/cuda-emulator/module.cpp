#include "module.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace {

// The linker writes the section headers at the end of a file.
size_t image_bytes(const Elf64_Ehdr& header) {
    return header.e_shoff + size_t{header.e_shnum} * header.e_shentsize;
}

bool write_all(int file, const char* bytes, size_t count) {
    while (count > 0) {
        const ssize_t written = write(file, bytes, count);
        if (written <= 0) return false;
        bytes += written;
        count -= written;
    }
    return true;
}

// The uninitialised variables of the library, which are those in shared memory.
void find_shared(Module& module, const char* image) {
    link_map* map = nullptr;
    if (dlinfo(module.library, RTLD_DI_LINKMAP, &map) != 0) return;
    Elf64_Ehdr header;
    memcpy(&header, image, sizeof(header));
    for (int i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr segment;
        memcpy(&segment, image + header.e_phoff + i * sizeof(segment), sizeof(segment));
        if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_W)) continue;
        module.shared = reinterpret_cast<char*>(map->l_addr + segment.p_vaddr + segment.p_filesz);
        module.shared_bytes = segment.p_memsz - segment.p_filesz;
    }
}

}  // namespace

std::unique_ptr<Module> load_module(const void* image) {
    const char* bytes = static_cast<const char*>(image);
    // Text (PTX) may be shorter than an ELF header, so the magic number comes first.
    if (strncmp(bytes, ELFMAG, SELFMAG) != 0) return nullptr;
    Elf64_Ehdr header;
    memcpy(&header, bytes, sizeof(header));
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64) return nullptr;

    auto module = std::make_unique<Module>();
    // The file stays open: the loader knows libraries by their path, and the
    // path has the descriptor's number in it.
    module->file = memfd_create("i2m2-kernels", MFD_CLOEXEC);
    if (module->file < 0 || !write_all(module->file, bytes, image_bytes(header))) return nullptr;
    const std::string path = "/proc/self/fd/" + std::to_string(module->file);
    module->library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!module->library) {
        fprintf(stderr, "i2m2 CUDA emulator: cannot load a module: %s\n", dlerror());
        return nullptr;
    }
    auto state = reinterpret_cast<I2m2KernelState* (*)()>(dlsym(module->library, "i2m2_kernel_state"));
    if (!state) return nullptr;
    module->state = state();
    if (module->state->abi != i2m2_abi) {
        fprintf(stderr, "i2m2 CUDA emulator: a module was compiled by another version of the emulator\n");
        return nullptr;
    }
    find_shared(*module, bytes);
    return module;
}

Function* Module::function(const std::string& name) {
    auto& known = functions[name];
    if (known) return known.get();
    void* entry = dlsym(library, name.c_str());
    void* size = dlsym(library, (name + "_size").c_str());
    void* threads = dlsym(library, (name + "_threads").c_str());
    if (!entry || !size || !threads) {
        functions.erase(name);
        return nullptr;
    }
    known.reset(new Function{this, name, reinterpret_cast<void (*)(const void*)>(entry),
                             reinterpret_cast<unsigned long (*)()>(size)(),
                             reinterpret_cast<unsigned (*)()>(threads)()});
    return known.get();
}

Module::~Module() {
    if (library) dlclose(library);
    if (file >= 0) close(file);
}
