"""Makes fixtures/golden/ops.json: forward and backward of our ops by PyTorch on the CPU, in 32-bit floats.

    python scripts/golden_ops.py > fixtures/golden/ops.json
"""

import json
import sys

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.manual_seed(2024)


def array(tensor, batch_axis=None):
    """Dimensions and values, with the batch axis moved to the end."""
    tensor = tensor.detach()
    if batch_axis is not None:
        tensor = tensor.movedim(batch_axis, -1)
    return {"dims": list(tensor.shape), "values": [float(f"{v:.9g}") for v in tensor.flatten().tolist()]}


def case(out, leaves, batched):
    gradient = torch.randn_like(out)
    out.backward(gradient)
    result = {"out": array(out, 0), "gradient": array(gradient, 0)}
    for name, leaf in leaves.items():
        axis = 0 if name in batched else None
        result[name] = array(leaf, axis)
        result[f"{name}_gradient"] = array(leaf.grad, axis)
    return result


def leaf(*dims):
    return torch.randn(*dims, requires_grad=True)


def conv2d(batch, outputs, inputs, kernel, height, width, stride=1):
    x, weight = leaf(batch, inputs, height, width), leaf(outputs, inputs, kernel, kernel)
    return case(F.conv2d(x, weight, stride=stride, padding=kernel // 2), {"x": x, "weight": weight}, {"x"})


def group_norm(batch, channels, height, width, groups):
    x, weight, bias = leaf(batch, channels, height, width), leaf(channels), leaf(channels)
    out = F.relu(F.group_norm(x, groups, weight, bias))
    return case(out, {"x": x, "weight": weight, "bias": bias}, {"x"})


def average_pool(batch, channels, height, width, side):
    x = leaf(batch, channels, height, width)
    return case(F.adaptive_avg_pool2d(x, side), {"x": x}, {"x"})


def norm(batch, channels, height, width, training):
    # Halves make ties within pooling windows.
    x = (torch.randn(batch, channels, height, width) * 2).round().div(2).requires_grad_()
    weight, bias = leaf(channels), leaf(channels)
    mean, variance = torch.randn(channels), torch.rand(channels) + 0.5
    before = {"mean": array(mean), "variance": array(variance)}
    y = F.batch_norm(x, mean, variance, weight, bias, training=training, momentum=0.1, eps=1e-5)
    out = F.max_pool2d(F.relu(y), 2)
    result = case(out, {"x": x, "weight": weight, "bias": bias}, {"x"})
    return result | before | {"mean_after": array(mean), "variance_after": array(variance)}


def linear(batch, outputs, inputs, activation):
    x, weight, bias = leaf(batch, inputs), leaf(outputs, inputs), leaf(outputs)
    return case(activation(F.linear(x, weight, bias)), {"x": x, "weight": weight, "bias": bias}, {"x"})


def soft(batch, classes, experts, scale):
    """Binary cross-entropy against soft targets, summed over the classes: of one expert's logits, or of the log-probabilities of
    the experts' product."""
    logits = [(scale * torch.randn(batch, classes)).requires_grad_() for _ in range(experts)]
    targets = torch.rand(batch, classes) * (torch.rand(batch, classes) < 0.5)
    z = logits[0] if experts == 1 else sum(e.log_softmax(1) for e in logits).log_softmax(1)
    loss = F.binary_cross_entropy_with_logits(z, targets, reduction="sum") / batch
    loss.backward()
    result = {"targets": array(targets, 0), "out": array(z, 0), "loss": array(loss)}
    for index, expert in enumerate(logits):
        result |= {f"expert_{index}": array(expert, 0), f"expert_{index}_gradient": array(expert.grad, 0)}
    return result


json.dump(
    {
        "conv2d_5x5": conv2d(3, 3, 1, 5, 7, 6),
        "conv2d_3x3": conv2d(10, 6, 3, 3, 5, 5),
        "norm_batch": norm(3, 3, 5, 7, True),
        "norm_running": norm(3, 3, 5, 7, False),
        "linear_identity": linear(10, 7, 13, lambda y: y),
        "linear_relu": linear(10, 7, 13, F.relu),
        "linear_leaky_relu": linear(10, 7, 13, F.leaky_relu),
        "conv2d_3x3_stride_2": conv2d(3, 5, 4, 3, 7, 8, stride=2),
        "conv2d_1x1_stride_2": conv2d(2, 6, 3, 1, 5, 6, stride=2),
        "group_norm": group_norm(3, 8, 5, 3, 4),
        "average_pool": average_pool(2, 3, 7, 5, 3),
        "soft_1": soft(11, 7, 1, 3.0),
        "soft_2": soft(5, 13, 2, 3.0),
        "soft_3": soft(9, 6, 3, 20.0),
    },
    sys.stdout,
    indent=None,
    separators=(",", ":"),
)
