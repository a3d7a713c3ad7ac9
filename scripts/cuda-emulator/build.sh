#!/usr/bin/env bash
# Build the CUDA emulator: libraries and tools that stand in for CUDA where there
# is no GPU. See README.md.
#
#   scripts/cuda-emulator/build.sh DIR
#
# Afterwards, DIR is what CUDA_PATH is to be, DIR/bin belongs in PATH and DIR/lib
# in LD_LIBRARY_PATH. Needs g++ on x86-64 Linux.
set -euo pipefail

[[ $# -eq 1 ]] || { echo "usage: $0 DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"/{bin,include,lib}
out=$(cd "$1" && pwd)

flags=(-std=c++17 -O2 -fPIC -fvisibility=hidden -Wall -Wextra -pthread)

# library NAME VERSION SOURCES...: lib/NAME.so.VERSION and the link NAME.so to it.
# It is moved into place, as a running program may have the old one mapped.
library() {
    local name=$1 soname=$1.so.$2; shift 2
    g++ "${flags[@]}" -shared -Wl,-soname,"$soname" -Wl,--no-undefined -Wl,-Bsymbolic \
        "${@/#/$here/}" -o "$out/lib/.$soname" -ldl
    mv -f "$out/lib/.$soname" "$out/lib/$soname"
    ln -sf "$soname" "$out/lib/$name.so"
}

jobs=()
library libcuda 1 driver_{device,memory,execution,unsupported}.cpp \
    {block,fibers,launch,memory,module,settings,streams}.cpp & jobs+=($!)
{ library libnvrtc 13 {nvrtc,settings}.cpp
  library libcublas 13 {cublas,settings}.cpp
  library libcublasLt 13 empty.cpp; } & jobs+=($!)
for job in "${jobs[@]}"; do wait "$job"; done

install -m 644 "$here"/{emulator,kernel_abi}.h "$out/include/"
install -m 755 "$here"/tools/{nvcc,nvidia-smi} "$out/bin/"
: > "$out/include/cuda.h"  # build scripts only look whether it is there
