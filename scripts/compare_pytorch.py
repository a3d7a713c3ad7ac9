"""Training steps per second, ours against PyTorch on CPU, in alternating rounds.

A step is the same work on both sides: forward of all experts, cross-entropy of their product, backward, clipping of the
global gradient norm to 8, optimiser update; batch 40, full size, float32. Model by model, each round measures

- one run: ours on two threads, PyTorch on one and on two (the faster of PyTorch's medians counts);
- two runs side by side on one thread each, as `--jobs 2` does, on either side: steps per second of both together;

and the peak memory of a process that trains. Medians of all rounds are printed, and written to `docs/performance.md`
between its `steps` marks with `--write`.

    python scripts/compare_pytorch.py --rounds 5 --seconds 2 --write
    python scripts/compare_pytorch.py --models avmnist/inter-lf avmnist/i2m2-lf mimic/i2m2
"""

import argparse
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "performance.md"
BATCH = 40
# STUDY/MODEL as in paper/studies: its name in reference_models.
MODELS = {
    "avmnist/image": "image",
    "avmnist/audio": "audio",
    "avmnist/intra": "intra",
    "avmnist/inter-lf": "lf",
    "avmnist/inter-lrtf": "lrtf",
    "avmnist/i2m2-lf": "i2m2-lf",
    "avmnist/i2m2-lrtf": "i2m2-lrtf",
    "mimic/static": "static",
    "mimic/series": "series",
    "mimic/intra": "mimic-intra",
    "mimic/inter": "mimic-inter",
    "mimic/i2m2": "mimic-i2m2",
}


def pytorch_step(name):
    """A closure that takes one training step of a model."""
    import torch
    from torch.nn import functional as F

    from reference_models import avmnist, mimic

    torch.manual_seed(0)
    if name.startswith("avmnist/"):
        experts, dims, classes = avmnist()[MODELS[name]]().train(), [[1, 28, 28], [1, 112, 112]], 10
        optimizer = torch.optim.SGD(experts.parameters(), lr=0.05, weight_decay=1e-4)
    else:
        experts, dims, classes = mimic(slope=0.2)[MODELS[name]]().train(), [[5], [24, 12]], 6
        optimizer = torch.optim.RMSprop(experts.parameters(), lr=1e-3)
    inputs = [torch.rand(BATCH, *d) for d in dims]
    labels = torch.randint(classes, (BATCH,))

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.nll_loss(experts(inputs), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(experts.parameters(), 8.0)
        optimizer.step()
        return loss.item()

    return step


def worker(name):
    """Measures on demand: a line on stdin asks for `threads seconds`, a line of JSON on stdout answers."""
    import torch

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step = pytorch_step(name)
    print(json.dumps({"version": torch.__version__}), flush=True)
    for line in sys.stdin:
        threads, seconds = line.split()
        torch.set_num_threads(int(threads))
        for _ in range(3):
            step()
        steps, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < float(seconds):
            step()
            steps += 1
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answer = {"rate": steps / elapsed, "peak": peak * 1024, "idle": before * 1024}
        print(json.dumps(answer), flush=True)


class PyTorch:
    """Two worker processes of one model."""

    def __init__(self, name):
        command = [sys.executable, __file__, "--worker", name]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
        self.version = [json.loads(process.stdout.readline())["version"] for process in self.processes][0]

    def measure(self, threads, seconds, processes):
        for process in self.processes[:processes]:
            process.stdin.write(f"{threads} {seconds}\n")
            process.stdin.flush()
        return [json.loads(process.stdout.readline()) for process in self.processes[:processes]]

    def close(self):
        for process in self.processes:
            process.stdin.close()
            process.wait()


def ours(binary, name, threads, seconds, processes):
    command = [binary, "--model", name, "--seconds", str(seconds), "--threads", str(threads), "--wait"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, **pipes) for _ in range(processes)]
    for process in started:
        process.stdout.readline()
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.communicate()[0]) for process in started]


def build_ours():
    command = ["cargo", "build", "--release", "--example", "step_rate", "--message-format", "json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    binaries = [message.get("executable") for line in lines if (message := json.loads(line))]
    return [binary for binary in binaries if binary][-1]


def compare(binary, name, rounds, seconds):
    """Medians of one model."""
    pytorch = PyTorch(name)
    found = {key: [] for key in ("ours", "one", "two", "ours side", "pytorch side")}
    for _ in range(rounds):
        alone = ours(binary, name, 2, seconds, 1)[0]
        found["ours"].append(alone["steps_per_second"])
        found["one"].append(pytorch.measure(1, seconds, 1)[0]["rate"])
        both = pytorch.measure(2, seconds, 1)[0]
        found["two"].append(both["rate"])
        beside = ours(binary, name, 1, seconds, 2)
        found["ours side"].append(sum(run["steps_per_second"] for run in beside))
        found["pytorch side"].append(sum(run["rate"] for run in pytorch.measure(1, seconds, 2)))
    pytorch.close()
    medians = {key: statistics.median(values) for key, values in found.items()}
    medians["spread"] = (min(found["ours"]) / medians["ours"], max(found["ours"]) / medians["ours"])
    medians.update(memory=(alone["peak_bytes"], both["peak"], both["idle"]), faults=alone["page_faults_per_step"])
    return medians, pytorch.version, alone["isa"]


def row(name, m):
    faster = max(m["one"], m["two"])
    megabytes = [f"{size / 1e6:.0f}" for size in m["memory"]]
    cells = [
        name,
        *(f"{m[key]:.2f}" for key in ("ours", "one", "two")),
        f"**{m['ours'] / faster:.2f}**",
        *(f"{m[key]:.2f}" for key in ("ours side", "pytorch side")),
        f"**{m['ours side'] / m['pytorch side']:.2f}**",
        f"{m['ours side'] / faster:.2f}",
        f"{megabytes[0]} / {megabytes[1]} ({megabytes[2]})",
        f"{m['faults']:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


HEAD = """| model | ours, 2 threads | PyTorch, 1 | PyTorch, 2 | ratio | ours, 2 runs | PyTorch, 2 runs | ratio | 2 runs / one PyTorch | MB, ours / PyTorch (idle) | page faults a step |
|---|---|---|---|---|---|---|---|---|---|---|"""


def write(text):
    begin, end = "<!-- steps: begin -->\n", "<!-- steps: end -->"
    document = DOCUMENT.read_text()
    before, rest = document.split(begin)
    after = rest.split(end)[1]
    DOCUMENT.write_text(before + begin + text + end + after)


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="per measurement")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return worker(arguments.worker)
    binary = build_ours()
    rows, low, high = [], 1.0, 1.0
    for name in arguments.models:
        medians, version, isa = compare(binary, name, arguments.rounds, arguments.seconds)
        low, high = min(low, medians["spread"][0]), max(high, medians["spread"][1])
        rows.append(row(name, medians))
        print(rows[-1], flush=True)
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.split()[1]
    text = f"""{datetime.date.today()}, {processor()} with {len(os.sched_getaffinity(0))} cores, {isa}, \
rustc {rustc}, PyTorch {version}; medians of {arguments.rounds} alternating rounds of {arguments.seconds:g} s. Between rounds
ours varied from {low:.2f} to {high:.2f} times its median: the machine is shared.

{HEAD}
""" + "\n".join(rows) + "\n"
    print("\n" + text)
    if arguments.write:
        write(text)


if __name__ == "__main__":
    main()
