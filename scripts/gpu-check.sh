#!/usr/bin/env bash
# Check the program on a GPU machine that has no Rust: one machine builds a bundle
# of at most 60 MiB, the other one runs it and writes down what it found.
#
#   scripts/gpu-check.sh prepare DIR [--data AVMNIST] [--binary FILE]
#   scripts/gpu-check.sh run STAGE DIR OUT [OPTIONS]
#
# prepare needs the environment of scripts/cuda-env.sh. AVMNIST is a folder that
# `i2m2 data build avmnist` made (for table1); FILE a program that is built already
# (with --features cuda, from this checkout).
#
# run needs this checkout, the bundle DIR, a driver, NVRTC (known to ldconfig, or
# a package of pip) and python3; for speed, PyTorch. $PYTHON names another python.
#   doctor   what is here, and the self-test
#   ops      every op against the CPU
#   models   every model against the CPU, over 100 steps
#   fiber    FIBER: a small one against the CPU, the published one timed
#   speed    training steps per second, ours and PyTorch's
#   table1   Table 1 at the paper tier, with gate and export
#   all      these in order, for at most --budget SECONDS (default 540)
# Each stage ends after 480 s at most. What it printed is added to OUT/<stage>.txt,
# its findings to OUT/<stage>.jsonl; OUT/README.md sums them up. The same call again
# goes on where it stopped, if DIR and OUT are kept; --again repeats all. Options:
#   --models STUDY/MODEL,...  --steps N  --seconds S  --rounds N  --jobs N  --no-compile
#   and more: gpu_check.py stage --help.
#
# Exit codes of run: 0 all is there and right, 1 something failed, 3 something is
# left for the next call.
set -euo pipefail

die() { echo "gpu-check: $2" >&2; exit "$1"; }
say() { echo "gpu-check: $*"; }
usage() { sed -n '5,6s/^# *//p' "$0" >&2; exit 2; }

scripts=$(cd "$(dirname "$0")" && pwd)
root=${scripts%/*}
most=60  # MiB of the bundle
bound=480  # seconds of a stage

prepare() {
    [[ $# -ge 1 ]] || usage
    local dir=$1 data= binary=; shift
    while [[ $# -gt 0 ]]; do
        [[ $# -ge 2 ]] || usage
        case $1 in
            --data) data=$2 ;;
            --binary) binary=$2 ;;
            *) usage ;;
        esac
        shift 2
    done
    [[ -z $data || -e $data/manifest.json ]] || die 2 "$data has no manifest.json; make it with i2m2 data build avmnist"
    if [[ -z $binary ]]; then
        [[ -n ${CUDA_PATH:-} ]] || die 2 "there is no CUDA environment: scripts/cuda-env.sh toolkit FOLDER; . FOLDER/env.sh"
        (cd "$root" && cargo build --release --locked --features cuda)
        binary=${CARGO_TARGET_DIR:-$root/target}/release/i2m2
    fi
    [[ -x $binary ]] || die 2 "$binary is no program"

    mkdir -p "$dir"
    cp "$binary" "$dir/.i2m2"
    strip "$dir/.i2m2"
    mv -f "$dir/.i2m2" "$dir/i2m2"
    local state=clean
    [[ -z $(git -C "$root" status --porcelain) ]] || state=dirty
    echo "$(git -C "$root" rev-parse HEAD) $state" >"$dir/commit"
    if [[ -n $data ]]; then
        rm -rf "$dir/data/avmnist"
        mkdir -p "$dir/data"
        cp -r "$data" "$dir/data/avmnist"
    fi

    # Results and kernels of an earlier check are no part of it.
    local parts=("$dir/i2m2" "$dir/commit")
    [[ ! -e $dir/data ]] || parts+=("$dir/data")
    du -sh --apparent-size "${parts[@]}"
    local size
    size=$(du -sc --apparent-size -B1 "${parts[@]}" | tail -n 1 | cut -f 1)
    ((size <= most << 20)) || die 1 "the bundle has $((size >> 20)) MiB, more than $most"
    say "commit $(<"$dir/commit"), $((size >> 20)) MiB in all. Next, on the GPU machine: scripts/gpu-check.sh run all $dir OUT"
}

# stage NAME SECONDS OPTIONS...: runs one, bounded.
stage() {
    local name=$1 seconds=$2 code=0; shift 2
    say "$name, at most $seconds s"
    # Python ends by itself before that; what hangs is ended.
    timeout -k 10 "$seconds" "$python" "$scripts/gpu_check.py" stage "$name" "$dir" "$out" \
        --limit $((seconds > 20 ? seconds - 10 : seconds)) "$@" 2>&1 | tee -a "$out/$name.txt" || code=${PIPESTATUS[0]}
    case $code in
        0) ;;
        3) left=1 ;;
        124 | 137) left=1; say "$name: time was up" | tee -a "$out/$name.txt" ;;
        *) failed=1; say "$name: FAILED, exit code $code" | tee -a "$out/$name.txt" ;;
    esac
}

run() {
    [[ $# -ge 3 ]] || usage
    local name=$1 dir=$2 out=$3 budget=540 failed=0 left=0 options=() todo=() rest; shift 3
    [[ $name =~ ^(doctor|ops|models|fiber|speed|table1|all)$ ]] || usage
    while [[ $# -gt 0 ]]; do
        if [[ $1 == --budget && $# -ge 2 ]]; then budget=$2; shift 2; else options+=("$1"); shift; fi
    done
    [[ -x $dir/i2m2 && -e $dir/commit ]] || die 2 "$dir is no bundle; make it with scripts/gpu-check.sh prepare $dir"
    python=${PYTHON:-python3}
    command -v "$python" >/dev/null || die 2 "there is no $python"
    mkdir -p "$out"
    if [[ $name == all ]]; then
        todo=(doctor ops models fiber speed table1)
        SECONDS=0
        while [[ ${#todo[@]} -gt 0 ]]; do
            rest=$((budget - SECONDS))
            # Training for less than a minute and a half is not worth its beginning.
            ((rest >= (${#todo[@]} == 1 ? 90 : 30))) || break
            stage "${todo[0]}" $((rest < bound ? rest : bound)) --unless-finished ${options[@]+"${options[@]}"}
            ((left == 0)) || break
            todo=("${todo[@]:1}")
        done
        [[ ${#todo[@]} -eq 0 ]] || { left=1; say "left: ${todo[*]}; the same call goes on from here"; }
    else
        stage "$name" "$bound" ${options[@]+"${options[@]}"}
    fi
    "$python" "$scripts/gpu_check.py" summary "$out"
    say "written: $out/README.md"
    ((failed == 0)) || return 1
    ((left == 0)) || return 3
}

[[ $# -ge 1 ]] || usage
command=$1; shift
case $command in
    prepare | run) "$command" "$@" ;;
    *) usage ;;
esac
