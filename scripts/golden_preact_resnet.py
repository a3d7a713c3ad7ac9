"""Makes fixtures/golden/preact_resnet.safetensors: fastMRI's network in PyTorch, in float64.

full:  logits and every gradient of the network of the paper's size (early fusion) on two slices of 80 x 80 (10 x 10 after
       the last stage). Of each gradient its Euclidean norm, its product with a probe, and its first four numbers.
small: where a tiny I2M2 ends after 20 steps of AdamW on the weighted loss of four heads.

Weights, slices, labels and probes come from the generator of golden_models.py, which tests/golden_preact_resnet.rs has too.

    python scripts/golden_preact_resnet.py        (torch, numpy, safetensors)
"""

import math
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from reference_models import Experts, PreactResnet

OUT = Path(__file__).parent.parent / "fixtures" / "golden" / "preact_resnet.safetensors"
WEIGHTS = torch.tensor([[0.6, 2.5], [0.55, 4.0], [0.5, 3.0], [0.7, 1.5]], dtype=torch.float64)
STEPS = 20


def uniforms(name, count):
    """Numbers in [0, 1) that depend on the name alone: the generator of golden_models.py, by doubling."""
    state = 1
    for byte in name.encode():
        state = (state * 31 + byte) % 2**64
    a, c = 6364136223846793005, 1442695040888963407
    states = np.array([(state * a + c) % 2**64], dtype=np.uint64)
    while len(states) < count:
        states = np.concatenate([states, states * np.uint64(a) + np.uint64(c)])
        a, c = a * a % 2**64, (a * c + c) % 2**64
    return (states[:count] >> np.uint64(11)).astype(np.float64) * 2.0**-53


def signed(name, dims, scale=1.0, offset=0.0):
    values = offset + scale * (2.0 * uniforms(name, math.prod(dims)) - 1.0)
    return torch.from_numpy(values).reshape(dims)


def initial(name, dims):
    if ".norm" in name and name.endswith(".weight"):
        return signed(name, dims, 0.1, 1.0)
    if len(dims) < 2:
        return signed(name, dims, 0.1, 0.0)
    return signed(name, dims, math.sqrt(3.0 / math.prod(dims[1:])), 0.0)


def prepared(experts):
    experts = Experts(experts).double()
    with torch.no_grad():
        for name, tensor in experts.state_dict().items():
            tensor.copy_(initial(name, list(tensor.shape)))
    return experts


def loss(experts, inputs, labels):
    """Sum over the heads of the weighted mean cross-entropy of the product of experts."""
    total = 0.0
    for head in range(4):
        logits = [expert(inputs)[:, 2 * head : 2 * head + 2] for expert in experts.values()]
        combined = F.log_softmax(sum(F.log_softmax(z, 1) for z in logits), 1)
        total = total + F.nll_loss(combined, labels >> head & 1, weight=WEIGHTS[head])
    return total


def batch(name, batch_size, height, width):
    inputs = [signed(f"{name}/input{m}", [batch_size, 1, height, width]) for m in (0, 1)]
    labels = torch.from_numpy((uniforms(f"{name}/labels", batch_size) * 16).astype(np.int64))
    return inputs, labels


def full():
    experts = prepared({"inter": PreactResnet([0, 1])})
    inputs, labels = batch("full", 2, 80, 80)
    golden = {"full/logits": experts["inter"](inputs).detach()}
    value = loss(experts, inputs, labels)
    value.backward()
    golden["full/loss"] = value.detach().reshape(1)
    for name, parameter in experts.named_parameters():
        gradient = parameter.grad.flatten()
        probe = signed(f"probe/{name}", [gradient.numel()])
        golden[f"full/{name}"] = torch.cat([torch.stack([gradient.norm(), gradient @ probe]), gradient[:4]])
    return golden


def small():
    sizes = dict(stem=4, widths=(4, 8), blocks=1, groups=2, pool=2)
    networks = {"magnitude": [0], "phase": [1], "inter": [0, 1]}
    experts = prepared({name: PreactResnet(looks_at, **sizes) for name, looks_at in networks.items()})
    optimizer = torch.optim.AdamW(experts.parameters(), lr=1e-2, weight_decay=1e-1)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        value = loss(experts, *batch(f"small/{step}", 4, 9, 11))
        value.backward()
        optimizer.step()
        losses.append(value.item())
    golden = {f"small/{name}": p.detach() for name, p in experts.named_parameters()}
    print(f"small: {losses[0]:.4f} -> {losses[-1]:.4f}")
    return golden | {"small/losses": torch.tensor(losses, dtype=torch.float64)}


def main():
    golden = full() | small()
    save_file(golden, OUT, metadata={"made_by": "scripts/golden_preact_resnet.py", "torch": torch.__version__})
    print(f"{OUT.name}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
