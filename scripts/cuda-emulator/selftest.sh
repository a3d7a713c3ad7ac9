#!/usr/bin/env bash
# Build the CUDA emulator in DIR and test all that it promises.
#
#   scripts/cuda-emulator/selftest.sh DIR
set -euo pipefail

[[ $# -eq 1 ]] || { echo "usage: $0 DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
bash "$here/build.sh" "$1"
dir=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "selftest: $1" >&2; exit 1; }

# The tools, called the way dfdx's build script calls them.
[[ $("$dir/bin/nvidia-smi" --query-gpu=compute_cap --format=csv) == $'compute_cap\n9.0' ]] || fail nvidia-smi
"$dir/bin/nvcc" --list-gpu-code | grep -qx sm_90 || fail "nvcc --list-gpu-code"
"$dir/bin/nvcc" --gpu-architecture=sm_90 --ptx --default-stream per-thread \
    --output-directory "$work" -Isrc/some src/some/kernel.cu
grep -q 'no kernel of dfdx' "$work/kernel.ptx" || fail "nvcc --ptx"

# All libraries are linked by name, as cudarc does it, and found by their sonames.
g++ -std=c++17 -O1 -Wall -Wextra -pthread "$here/selftest/test.cpp" -o "$work/test" \
    -L"$dir/lib" -Wl,--no-as-needed -lcuda -lnvrtc -lcublas -lcublasLt
for library in libcuda.so.1 libnvrtc.so.13 libcublas.so.13 libcublasLt.so.13; do
    readelf -d "$work/test" | grep -qF "[$library]" || fail "$library is not linked by its soname"
done
env -u I2M2_EMULATOR_ORDER -u I2M2_EMULATOR_FAIL -u I2M2_EMULATOR_DEVICES -u I2M2_EMULATOR_DRIVER \
    -u I2M2_EMULATOR_MEMORY -u I2M2_EMULATOR_NAME -u I2M2_EMULATOR_ZERO_ALLOC \
    LD_LIBRARY_PATH="$dir/lib" "$work/test" "$here/selftest"
