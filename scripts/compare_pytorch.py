"""Training steps per second, ours against PyTorch on CPU, in alternating rounds.

A step is the same work on both sides: forward of all experts, cross-entropy of their product, backward, clipping of the
global gradient norm to 8, optimiser update; batch 40, full size, float32. Each round measures, model by model, ours on
two threads, then PyTorch on one and on two; the faster of PyTorch's medians counts.

    python scripts/compare_pytorch.py --rounds 5 --seconds 3 --models lf i2m2-lf mimic-i2m2
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

import torch
from torch.nn import functional as F

from reference_models import avmnist, mimic

ROOT = Path(__file__).parent.parent
BATCH = 40


def pytorch_models():
    models = {}
    for name, experts in avmnist().items():
        sgd = lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=1e-4)
        models[name] = (experts, [[1, 28, 28], [1, 112, 112]], 10, sgd)
    for name, experts in mimic(slope=0.2).items():
        models[name] = (experts, [[5], [24, 12]], 6, lambda p: torch.optim.RMSprop(p, lr=1e-3))
    return models


def pytorch_rate(model, seconds, threads):
    build, dims, classes, optimizer = model
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    experts = build().train()
    optimizer = optimizer(experts.parameters())
    inputs = [torch.rand(BATCH, *d) for d in dims]
    labels = torch.randint(classes, (BATCH,))

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.nll_loss(experts(inputs), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(experts.parameters(), 8.0)
        optimizer.step()
        return loss.item()

    for _ in range(3):
        step()
    steps, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        step()
        steps += 1
    return steps / elapsed


def our_rate(binary, model, seconds):
    command = [binary, "--model", model, "--seconds", str(seconds), "--threads", "2"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["steps_per_second"]


def build_ours():
    command = ["cargo", "build", "--release", "--example", "step_rate", "--message-format", "json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    binaries = [message.get("executable") for line in lines if (message := json.loads(line))]
    return [binary for binary in binaries if binary][-1]


def main():
    models = pytorch_models()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="per measurement")
    parser.add_argument("--models", nargs="+", choices=list(models), default=list(models))
    arguments = parser.parse_args()
    binary = build_ours()
    rates = {model: {"ours": [], "pytorch 1": [], "pytorch 2": []} for model in arguments.models}
    for _ in range(arguments.rounds):
        for model, found in rates.items():
            found["ours"].append(our_rate(binary, model, arguments.seconds))
            found["pytorch 1"].append(pytorch_rate(models[model], arguments.seconds, 1))
            found["pytorch 2"].append(pytorch_rate(models[model], arguments.seconds, 2))
    print(f"Steps per second, median of {arguments.rounds} rounds of {arguments.seconds:g} s, torch {torch.__version__}\n")
    print("| model | ours, 2 threads | PyTorch, 1 thread | PyTorch, 2 threads | ours / faster PyTorch |")
    print("|---|---|---|---|---|")
    for model, found in rates.items():
        ours, one, two = (statistics.median(found[k]) for k in ("ours", "pytorch 1", "pytorch 2"))
        print(f"| {model} | {ours:.2f} | {one:.2f} | {two:.2f} | {ours / max(one, two):.2f} |")


if __name__ == "__main__":
    main()
