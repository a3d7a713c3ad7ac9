#!/usr/bin/env python3
"""PyTorch on one CPU thread at the sizes of `sequences` in benches/kernels.rs: median microseconds of processor time. Needs torch."""

import statistics
import time

import torch

torch.set_num_threads(1)


def measure(name, run, rounds=7, least=0.3):
    run()
    medians = []
    for _ in range(rounds):
        count, start = 0, time.process_time()
        while (now := time.process_time()) - start < least:
            run()
            count += 1
        medians.append((now - start) / count * 1e6)
    print(f"{name}: {statistics.median(medians):.0f} us")


layer = torch.nn.GRU(12, 30, batch_first=True)
x = torch.randn(40, 24, 12)
with torch.no_grad():
    measure("gru 24x12->30, batch 40: forward", lambda: layer(x))
measure("gru 24x12->30, batch 40: forward, sum, backward", lambda: layer(x)[0].sum().backward())

h = [torch.randn(40, d, requires_grad=True) for d in (48, 192)]
factors = [(0.1 * torch.randn(40, d + 1, 120)).requires_grad_() for d in (48, 192)]
weights = torch.randn(1, 40, requires_grad=True)
bias = torch.randn(1, 120, requires_grad=True)
one = torch.ones(40, 1)


def fuse():
    first, second = (torch.matmul(torch.cat([one, x], 1), f) for x, f in zip(h, factors))
    return torch.matmul(weights, (first * second).permute(1, 0, 2)).squeeze(1) + bias


with torch.no_grad():
    measure("low-rank fusion (48, 192) -> 120, rank 40, batch 40: forward", fuse)
measure("low-rank fusion (48, 192) -> 120, rank 40, batch 40: forward, sum, backward", lambda: fuse().sum().backward())
