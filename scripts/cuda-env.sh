#!/usr/bin/env bash
# Prepare what a build with `--features cuda` needs, on a machine that has no CUDA
# toolkit, out of packages of pip. No GPU is needed.
#
#   scripts/cuda-env.sh toolkit DIR     a CUDA 13.0 toolkit: 2 GB, minutes
#   scripts/cuda-env.sh nvrtc DIR       only the run-time compiler, which compiles our kernels: 0.3 GB
#   scripts/cuda-env.sh emulator DIR    scripts/cuda-emulator: runs the program without a GPU
#
# Afterwards `. DIR/env.sh` sets the environment. A second call goes on where the
# first one stopped, and changes nothing where all is there. Needs python3 with
# venv (not for the emulator) and g++ on Linux.
#
# What a program needs at run time is libcuda.so.1 of the GPU's driver and NVRTC;
# the toolkit has the second, and for the first only a stub to link with.
set -euo pipefail

die() { echo "cuda-env: $2" >&2; exit "$1"; }
say() { echo "cuda-env: $*" >&2; }

[[ $# -eq 2 && $1 =~ ^(toolkit|nvrtc|emulator)$ ]] || die 2 "usage: $0 toolkit|nvrtc|emulator DIR"
kind=$1
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)

# All of one version: left alone, pip takes the newest nvvm and crt, whose PTX a
# driver of CUDA 13.0 cannot load.
version=13.0
toolkit=(nvidia-nvvm nvidia-cuda-crt nvidia-cuda-runtime nvidia-cuda-nvcc nvidia-cuda-nvrtc nvidia-cuda-cccl nvidia-cublas)

need_compiler() {
    command -v g++ >/dev/null && command -v cc >/dev/null ||
        die 2 "there is no g++; on Debian and Ubuntu: apt-get install g++"
}

# packages NAMES...: installs them one by one, so that what is done stays done.
# Sets $wheels, the folder that NVIDIA's packages share.
packages() {
    command -v python3 >/dev/null && python3 -c 'import ensurepip, venv' 2>/dev/null ||
        die 2 "there is no python3 with venv; on Debian and Ubuntu: apt-get install python3-venv"
    local python=$out/venv/bin/python name
    if ! "$python" -m pip --version >/dev/null 2>&1; then
        rm -rf "$out/venv"
        python3 -m venv "$out/venv" || die 1 "python3 -m venv $out/venv failed; remove $out/venv and try again"
    fi
    printf "%s==$version.*\n" "${toolkit[@]}" >"$out/constraints.txt"
    for name; do
        say "$name"
        "$python" -m pip install --quiet --disable-pip-version-check --constraint "$out/constraints.txt" "$name" ||
            die 1 "pip could not install $name; is there a network? The same command goes on from here"
    done
    wheels=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/nvidia/cu13
    [[ -e $wheels/lib/libnvrtc.so.13 ]] || die 1 "the packages have no $wheels/lib/libnvrtc.so.13: their layout has changed"
}

# setting NAME VALUE: a line of env.sh.
setting() { printf 'export %s=%q\n' "$@"; }
# in_front NAME FOLDER: the same for a list of folders.
in_front() { printf 'export %s=%q${%s:+:$%s}\n' "$1" "$2" "$1" "$1"; }

# environment LINES: env.sh, all at once.
environment() {
    { printf '# Written by scripts/cuda-env.sh %s; to be sourced.\n' "$kind"; cat; } >"$out/.env.sh"
    mv -f "$out/.env.sh" "$out/env.sh"
}

# Whether there is an nvidia-smi that is no stand-in, neither ours nor the emulator's.
real_nvidia_smi() {
    local each
    while read -r each; do
        grep -qa 'Stands in for' "$each" || return 0
    done < <(type -aP nvidia-smi)
    return 1
}

build_toolkit() {
    need_compiler
    packages "${toolkit[@]}"
    mkdir -p "$out"/{bin,lib}
    ln -sfn "$wheels/include" "$out/include"
    local name
    for name in cublas cublasLt nvrtc cudart; do
        ln -sf "$wheels/lib/lib$name.so.13" "$out/lib/lib$name.so"
    done

    # For the linker only: it is not named libcuda.so.1, so no program finds it instead of the driver.
    # It may be empty, as this program defines every function of the driver that it calls.
    echo | cc -shared -nostdlib -Wl,-soname,libcuda.so.1 -x c - -o "$out/lib/libcuda.so"

    # nvcc looks for its parts beside itself, so it is called where it is.
    printf '#!/bin/sh\nexec %q "$@"\n' "$wheels/bin/nvcc" >"$out/bin/nvcc"
    chmod +x "$out/bin/nvcc" "$wheels"/bin/* "$wheels/nvvm/bin/cicc"
    if real_nvidia_smi; then
        rm -f "$out/bin/nvidia-smi"
    else
        printf '%s\n' '#!/bin/sh' '# Stands in for `nvidia-smi --query-gpu=compute_cap --format=csv` in build scripts.' \
            "printf 'compute_cap\\n9.0\\n'" >"$out/bin/nvidia-smi"
        chmod +x "$out/bin/nvidia-smi"
    fi
    "$out/bin/nvcc" --list-gpu-code | grep -qx sm_90 || die 1 "$out/bin/nvcc does not work; remove $out and try again"

    environment < <(
        setting CUDA_PATH "$out"
        setting CUDA_ROOT "$out"
        echo 'export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90}'
        in_front PATH "$out/bin"
        in_front LD_LIBRARY_PATH "$wheels/lib"
    )
}

case $kind in
    toolkit) build_toolkit ;;
    nvrtc)
        packages nvidia-cuda-nvrtc
        environment < <(in_front LD_LIBRARY_PATH "$wheels/lib") ;;
    emulator)
        need_compiler
        "$here/cuda-emulator/build.sh" "$out"
        mkdir -p "$out/cache"
        environment < <(
            setting CUDA_PATH "$out"
            setting CUDA_ROOT "$out"
            setting CUDA_COMPUTE_CAP 90
            in_front PATH "$out/bin"
            in_front LD_LIBRARY_PATH "$out/lib"
            # Its compiled kernels are of no use to a GPU.
            setting I2M2_KERNEL_CACHE "$out/cache"
            # For tests/cuda.rs.
            setting I2M2_EMULATOR "$out"
        ) ;;
esac

quoted=$(printf %q "$out/env.sh")
case $kind in
    toolkit) say "done. Next: . $quoted; cargo build --release --features cuda" ;;
    nvrtc) say "done. Next: . $quoted; cargo run --release --features cuda --example compile_kernels -- sm_90" ;;
    emulator) say "done. Next: . $quoted; cargo test --release --features cuda --test cuda" ;;
esac
