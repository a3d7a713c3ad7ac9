"""Training steps and evaluations per second of fastMRI's networks, ours against PyTorch on CPU, in alternating rounds.

A step is the same work on both sides: forward of all experts, the weighted cross-entropy of four heads, backward, AdamW;
float32, two threads. An evaluation is the forward pass. Medians of all rounds are printed, and written to
docs/performance.md between its `knee` marks with `--write`.

    python scripts/compare_pytorch_knee.py --write        (torch)
    python scripts/compare_pytorch_knee.py --side 160 --batch 4 --models fastmri/magnitude
"""

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import time

import compare_pytorch
from compare_pytorch import build_ours, processor

THREADS = 2
LOOKS_AT = {"magnitude": [0], "phase": [1], "inter": [0, 1]}
# STUDY/MODEL as in paper/studies/fastmri.toml: its experts.
MODELS = {
    "fastmri/magnitude": ["magnitude"],
    "fastmri/phase": ["phase"],
    "fastmri/inter": ["inter"],
    "fastmri/intra": ["magnitude", "phase"],
    "fastmri/i2m2": ["magnitude", "phase", "inter"],
    "fastmri/wide-magnitude": ["magnitude"],
    "fastmri/wide-phase": ["phase"],
    "fastmri/wide-inter": ["inter"],
}


def pytorch(name, batch, side):
    """Closures that take one training step and one evaluation."""
    import torch
    from torch.nn import functional as F

    from reference_models import Experts, PreactResnet

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    wide = dict(widths=(192, 384, 768), blocks=3) if name.startswith("fastmri/wide-") else {}
    experts = Experts({part: PreactResnet(LOOKS_AT[part], **wide) for part in MODELS[name]})
    optimizer = torch.optim.AdamW(experts.parameters(), lr=1e-5, weight_decay=1e-3)
    inputs = [torch.rand(batch, 1, side, side) for _ in range(2)]
    labels = torch.randint(16, (batch,))
    weight = torch.tensor([0.625, 2.5])

    def logits():
        return [expert(inputs) for expert in experts.values()]

    def step():
        optimizer.zero_grad(set_to_none=True)
        found, loss = logits(), 0.0
        for head in range(4):
            total = sum(F.log_softmax(z[:, 2 * head : 2 * head + 2], 1) for z in found)
            loss = loss + F.nll_loss(F.log_softmax(total, 1), labels >> head & 1, weight=weight)
        loss.backward()
        optimizer.step()
        return loss.item()

    def evaluate():
        with torch.no_grad():
            logits()

    return {"train": step, "evaluate": evaluate}


def worker(name, batch, side):
    """Measures on demand: a line on stdin asks for `mode seconds`, a line of JSON on stdout answers."""
    import torch

    modes = pytorch(name, batch, side)
    print(json.dumps({"version": torch.__version__}), flush=True)
    for line in sys.stdin:
        mode, seconds = line.split()
        modes[mode]()
        steps, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < float(seconds):
            modes[mode]()
            steps += 1
        print(json.dumps({"rate": steps / elapsed}), flush=True)


def ours(binary, name, batch, side, mode, seconds):
    command = [binary, "--model", name, "--batch", str(batch), "--side", str(side), "--seconds", str(seconds)]
    command += ["--threads", str(THREADS), "--warm-up", "1"] + (["--evaluate"] if mode == "evaluate" else [])
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="per measurement")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["fastmri/magnitude", "fastmri/inter"])
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return worker(arguments.worker, arguments.batch, arguments.side)
    binary, shape = build_ours(), (arguments.batch, arguments.side)
    rows, version, isa = [], "", ""
    for name in arguments.models:
        command = [sys.executable, __file__, "--worker", name, "--batch", str(shape[0]), "--side", str(shape[1])]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, **pipes)
        version = json.loads(process.stdout.readline())["version"]
        for mode in ("train", "evaluate"):
            mine, theirs = [], []
            for _ in range(arguments.rounds):
                found = ours(binary, name, *shape, mode, arguments.seconds)
                mine.append(found["steps_per_second"])
                process.stdin.write(f"{mode} {arguments.seconds}\n")
                process.stdin.flush()
                theirs.append(json.loads(process.stdout.readline())["rate"])
            isa, (a, b) = found["isa"], (statistics.median(mine), statistics.median(theirs))
            memory = found["peak_bytes"] / 1e9
            rows.append(f"| {name} | {mode} | {a:.3f} | {b:.3f} | **{a / b:.2f}** | {memory:.2f} |")
            print(rows[-1], flush=True)
        process.stdin.close()
        process.wait()
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.split()[1]
    head = "| model | | ours, per second | PyTorch | ratio | GB, ours |\n|---|---|---|---|---|---|"
    text = f"""{datetime.date.today()}, {processor()}, {THREADS} threads, {isa}, rustc {rustc}, PyTorch {version}; batch {shape[0]}, side {shape[1]};
medians of {arguments.rounds} alternating rounds of {arguments.seconds:g} s.

{head}
""" + "\n".join(rows) + "\n"
    if arguments.write:
        begin, end = "<!-- knee: begin -->\n", "<!-- knee: end -->"
        document = compare_pytorch.DOCUMENT.read_text()
        before, rest = document.split(begin)
        compare_pytorch.DOCUMENT.write_text(before + begin + text + end + rest.split(end)[1])


if __name__ == "__main__":
    main()
