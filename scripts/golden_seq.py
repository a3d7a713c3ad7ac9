#!/usr/bin/env python3
"""Makes fixtures/golden/{gru,lrtf,product_of_experts,optimizer}.json with PyTorch (CPU, float32).

Usage: python scripts/golden_seq.py        (needs torch; run from the repository root)

Every file holds flat, row-major lists. Activations are batch innermost, as in src/ops. Gradients are those of
sum(coefficients * output), or of the loss.
"""

import json
import pathlib

import torch

torch.set_num_threads(1)
torch.manual_seed(20241)
OUT = pathlib.Path("fixtures/golden")


def flat(tensor):
    return [float(f"{v:.9g}") for v in tensor.detach().contiguous().flatten().tolist()]


def write(name, **fields):
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(fields, separators=(",", ":")) + "\n")


def gru(steps=4, features=5, hidden=6, batch=10):
    layer = torch.nn.GRU(features, hidden)
    x = torch.randn(steps, features, batch, requires_grad=True)
    out = layer(x.permute(0, 2, 1))[0].permute(0, 2, 1)
    coefficients = torch.randn(steps, hidden, batch)
    (out * coefficients).sum().backward()
    weights = [layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0]
    write(
        "gru",
        sizes=[steps, features, hidden, batch],
        inputs=[flat(t) for t in [x, *weights]],
        coefficients=flat(coefficients),
        output=flat(out),
        gradients=[flat(t.grad) for t in [x, *weights]],
    )


def lrtf(features=(5, 7), rank=3, outputs=9, batch=10):
    h = [torch.randn(d, batch, requires_grad=True) for d in features]
    factors = [(0.5 * torch.randn(rank, d + 1, outputs)).requires_grad_() for d in features]
    weights = torch.randn(1, rank, requires_grad=True)
    bias = torch.randn(1, outputs, requires_grad=True)
    one = torch.ones(1, batch)
    first, second = (torch.einsum("in,rio->ron", torch.cat([one, x]), f) for x, f in zip(h, factors))
    out = torch.einsum("r,ron->on", weights[0], first * second) + bias.T
    coefficients = torch.randn(outputs, batch)
    (out * coefficients).sum().backward()
    inputs = [*h, *factors, weights, bias]
    write(
        "lrtf",
        sizes=[*features, rank, outputs, batch],
        inputs=[flat(t) for t in inputs],
        coefficients=flat(coefficients),
        output=flat(out),
        gradients=[flat(t.grad) for t in inputs],
    )


def product_of_experts(classes=6, batch=11):
    cases = []
    for count, scale in [(1, 3.0), (2, 3.0), (3, 30.0)]:
        logits = [(scale * torch.randn(batch, classes)).requires_grad_() for _ in range(count)]
        labels = torch.randint(classes, (batch,))
        out = sum(z.log_softmax(1) for z in logits).log_softmax(1)
        loss = torch.nn.functional.cross_entropy(out, labels)
        loss.backward()
        cases.append(
            {
                "labels": labels.tolist(),
                "logits": [flat(z.T) for z in logits],
                "log_probabilities": flat(out.T),
                "loss": loss.item(),
                "gradients": [flat(z.grad.T) for z in logits],
            }
        )
    write("product_of_experts", classes=classes, batch=batch, cases=cases)


def optimizer(sizes=(7, 33, 1), steps=5, clip=2.0, rate=0.05, decay=0.01):
    """The middle parameter is frozen in the second case of each rule; gradients are clipped in some of the steps, or
    never: an infinite limit of PyTorch's only measures the norm."""
    cases = []
    kinds = {"sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop, "adamw": torch.optim.AdamW}
    for rule, limit in [("sgd", clip), ("rmsprop", clip), ("adamw", clip), ("adamw", None), ("sgd", None)]:
        for frozen in [None, 1]:
            parameters = [torch.nn.Parameter(torch.randn(n)) for n in sizes]
            start = [flat(p) for p in parameters]
            gradients = [[(0.1 + 0.4 * step) * torch.randn(n) for n in sizes] for step in range(steps)]
            trained = [p for i, p in enumerate(parameters) if i != frozen]
            optimizer = kinds[rule](trained, lr=rate, weight_decay=decay)
            norms = []
            for step in gradients:
                for parameter, gradient in zip(parameters, step):
                    parameter.grad = gradient.clone()
                norms.append(torch.nn.utils.clip_grad_norm_(trained, limit or float("inf")).item())
                optimizer.step()
            cases.append(
                {
                    "rule": rule,
                    "clip": limit,
                    "frozen": frozen,
                    "start": start,
                    "gradients": [[flat(g) for g in step] for step in gradients],
                    "norms": norms,
                    "end": [flat(p) for p in parameters],
                }
            )
    write("optimizer", rate=rate, decay=decay, cases=cases)


if __name__ == "__main__":
    gru()
    lrtf()
    product_of_experts()
    optimizer()
