"""Makes fixtures/golden/models.safetensors: where PyTorch ends after 20 training steps, in float64.

Initial values and batches come from a small linear congruential generator that tests/golden_models.rs has too, so only
the final parameters, BatchNorm buffers and the losses are stored.

    python scripts/golden_models.py        (torch, safetensors)
"""

import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from reference_models import avmnist, mimic, our_name, our_state

STEPS, BATCH = 20, 4
OUT = Path(__file__).parent.parent / "fixtures" / "golden" / "models.safetensors"


def uniforms(name, count):
    """Numbers in [0, 1) that depend on the name alone."""
    mask, state = (1 << 64) - 1, 1
    for byte in name.encode():
        state = (state * 31 + byte) & mask
    values = []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) & mask
        values.append((state >> 11) * 2.0**-53)
    return values


def signed(name, dims, scale, offset):
    values = [offset + scale * (2.0 * u - 1.0) for u in uniforms(name, math.prod(dims))]
    return torch.tensor(values, dtype=torch.float64).reshape(dims)


def initial(name, dims):
    if name.endswith("running_var") or (".norm" in name and name.endswith(".weight")):
        return signed(name, dims, 0.1, 1.0)
    if len(dims) < 2:
        return signed(name, dims, 0.1, 0.0)
    fan_in = dims[1] if len(dims) == 3 else math.prod(dims[1:])
    return signed(name, dims, 1.0 / math.sqrt(fan_in), 0.0)


def trajectory(case, experts, dims, classes, optimizer):
    experts = experts().double().train()
    with torch.no_grad():
        for name, tensor in experts.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                tensor.copy_(initial(our_name(name), list(tensor.shape)))
    trained = [p for p in experts.parameters() if p.requires_grad]
    optimizer = optimizer(trained)
    losses = []
    for step in range(STEPS):
        inputs = [signed(f"input{m}/{step}", [BATCH, *dims[m]], 1.0, 0.0) for m in (0, 1)]
        labels = torch.tensor([int(u * classes) for u in uniforms(f"labels/{step}", BATCH)])
        optimizer.zero_grad()
        loss = F.cross_entropy(experts(inputs), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        losses.append(loss.item())
    state = {f"{case}/{name}": tensor.contiguous() for name, tensor in our_state(experts).items()}
    state[f"{case}/losses"] = torch.tensor(losses, dtype=torch.float64)
    print(f"{case}: {losses[0]:.4f} -> {losses[-1]:.4f}")
    return state


def main():
    torch.set_num_threads(1)
    sgd = lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=1e-4)
    rmsprop = lambda p: torch.optim.RMSprop(p, lr=1e-3)
    small = dict(image=(3, 4, 20), audio=(2, 5, 20), inter=(2, (4, 5), 20), sides=(28, 32), rank=5, output=12)
    golden = {}
    for model, experts in avmnist(**small).items():
        golden |= trajectory(model, experts, [[1, 28, 28], [1, 32, 32]], 10, sgd)
    frozen = avmnist(**small, trainable=False)
    golden |= trajectory("lrtf-frozen", frozen["lrtf"], [[1, 28, 28], [1, 32, 32]], 10, sgd)
    for model, experts in mimic(classes=6, steps=6, slope=0.2).items():
        golden |= trajectory(model, experts, [[5], [6, 12]], 6, rmsprop)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    save_file(golden, OUT, metadata={"made_by": "scripts/golden_models.py", "torch": torch.__version__})
    print(f"{OUT.name}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
