"""FIBER at full size (384 pixels, batch 1) on two threads, ours against PyTorch on CPU, in alternating rounds.

Works: the three passes in evaluation; a training step of I2M2 on NLVR2 (two images and a sentence: five passes, cross-entropy of the
product of experts, backward, AdamW; the step is the same on both sides, without dropout); and training steps of VQA's heads on kept
features (batch 512, 3129 answers, AdamW). PyTorch's side is a FIBER written here from its description, with PyTorch's fused attention
and fused AdamW; position biases are spread out once in evaluation. Weights are random, made once, and shared.

    python scripts/compare_fiber.py --write                    (torch, safetensors, numpy)
    python scripts/compare_fiber.py --works fused image text --rounds 3 --seconds 3 --isas avx512 avx2

On a machine that others use, too, `--processor-time` takes one thread on both sides and the time that it had of the processor: waiting
does not count, but caches and memory are still shared.

Compared: rates (medians), the largest difference relative to the largest value, peak memory of a process. Rows of docs/performance.md
between its `fiber` marks (`fiber-one` for processor time) that were not measured again are kept with `--write`.
"""

import argparse
import datetime
import json
import math
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "performance.md"
NAMES = ROOT / "fixtures" / "golden" / "fiber_names.txt"
SIDE, LENGTH, REAL, BATCH, ANSWERS = 384, 50, 40, 512, 3129
DEPTHS, HEADS, WINDOW = (2, 2, 18, 2), (4, 8, 16, 32), SIDE // 32
# Swin's blocks that are fused, each with its layer of RoBERTa.
PAIRS = {(2, 14): 6, (2, 15): 7, (2, 16): 8, (2, 17): 9, (3, 0): 10, (3, 1): 11}
WORKS = {
    "fused": "fused pass",
    "image": "image-only pass",
    "text": "text-only pass",
    "nlvr2": "NLVR2 step, I2M2",
    "heads-image": "VQA heads step, image",
    "heads-inter": "VQA heads step, inter",
    "heads-i2m2": "VQA heads step, I2M2",
}


# Weights and inputs


def published():
    """Names and shapes of all parameters at 384 pixels, VQA's heads and NLVR2's."""
    shapes = {}
    for line in NAMES.read_text().splitlines():
        if found := re.match(r"P (\S+) \[([\d, ]*)\]", line):
            shape = [int(d) for d in found[2].split(",") if d.strip()]
            if found[1].endswith("relative_position_bias_table"):
                shape[0] = (2 * WINDOW - 1) ** 2
            shapes[found[1]] = shape
    return shapes


def make(folder):
    """Random weights and inputs, once."""
    import torch
    from safetensors.torch import save_file

    weights, inputs = folder / "fiber.safetensors", folder / "inputs.safetensors"
    if weights.exists() and inputs.exists():
        return weights, inputs
    folder.mkdir(parents=True, exist_ok=True)
    stream = torch.Generator().manual_seed(0)
    tensors = {}
    for name, shape in published().items():
        r = torch.rand(shape, generator=stream) * 2 - 1
        last = name.split(".")[-1]
        if not shape:
            value = torch.ones(())
        elif "alpha" in last:
            value = 0.7 + 0.2 * r
        elif last == "relative_position_bias_table" or "embeddings.weight" in name:
            value = r
        elif last == "weight" and len(shape) == 1:
            value = 1 + 0.3 * r
        elif last == "weight":
            value = r * math.sqrt(3 / (r.numel() / shape[0]))
        else:
            value = 0.1 * r
        tensors[name] = value.contiguous()
    save_file(tensors, weights, metadata={"resolution": str(SIDE)})
    ids = torch.randint(4, 50000, (1, LENGTH), generator=stream)
    mask = (torch.arange(LENGTH) < REAL).long()[None]
    kept = {name: torch.randn(BATCH, width, generator=stream) for name, width in (("image", 768), ("text", 768), ("fused", 1536))}
    targets = (torch.rand(BATCH, ANSWERS, generator=stream) < 3 / ANSWERS).float() * 0.9
    images = {f"image_{i}": torch.randn(1, 3, SIDE, SIDE, generator=stream) for i in (0, 1)}
    ids = torch.where(mask == 1, ids, torch.ones_like(ids))
    save_file({"ids": ids, "mask": mask, "targets": targets.T.contiguous(), **images, **kept}, inputs)
    return weights, inputs


# PyTorch's side


class Fiber:
    """FIBER over a dictionary of tensors by their published names."""

    def __init__(self, tensors):
        import torch
        from torch.nn import functional

        self.torch, self.f, self.p, self.spread = torch, functional, tensors, {}
        first = torch.arange(WINDOW)
        rows, columns = (grid.flatten() for grid in torch.meshgrid(first, first, indexing="ij"))
        across = rows[:, None] - rows[None] + WINDOW - 1
        self.index = (across * (2 * WINDOW - 1) + columns[:, None] - columns[None] + WINDOW - 1).flatten()

    def linear(self, x, name):
        return self.f.linear(x, self.p[name + ".weight"], self.p.get(name + ".bias"))

    def norm(self, x, name):
        return self.f.layer_norm(x, x.shape[-1:], self.p[name + ".weight"], self.p[name + ".bias"], 1e-5)

    def attend(self, q, k, v, heads, mask):
        """Of (groups, tokens, width) each."""
        q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
        return self.f.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)

    def bias(self, name, heads, grid, shift):
        """Relative positions, and what keeps apart tokens that are no neighbours."""
        if (name in self.spread) and not self.torch.is_grad_enabled():
            return self.spread[name]
        size = WINDOW * WINDOW
        bias = self.p[name + ".relative_position_bias_table"][self.index].view(size, size, heads).permute(2, 0, 1)[None]
        if shift:
            place = self.torch.arange(grid)
            band = (place >= grid - WINDOW).long() + (place >= grid - shift).long()
            label = self.cut((3 * band[:, None] + band[None]).view(1, grid, grid, 1).float())[..., 0]
            bias = bias + (label[:, :, None] != label[:, None]).float()[:, None] * -100.0
        bias = bias.contiguous()
        if not self.torch.is_grad_enabled():
            self.spread[name] = bias
        return bias

    def cut(self, x):
        batch, grid, _, width = x.shape
        n = grid // WINDOW
        return x.view(batch, n, WINDOW, n, WINDOW, width).transpose(2, 3).reshape(-1, WINDOW * WINDOW, width)

    def join(self, x, grid):
        n = grid // WINDOW
        return x.view(-1, n, n, WINDOW, WINDOW, x.shape[-1]).transpose(2, 3).reshape(-1, grid, grid, x.shape[-1])

    def block(self, x, stage, number, text=None, mask=None):
        name, heads, grid = f"vit_model.layers.{stage}.blocks.{number}", HEADS[stage], x.shape[1]
        shift = WINDOW // 2 if number % 2 and grid > WINDOW else 0
        y = self.norm(x, name + ".norm1")
        y = self.cut(y.roll((-shift, -shift), (1, 2)) if shift else y)
        bias = self.bias(name + ".attn", heads, grid, shift)
        if bias.shape[0] > 1:
            bias = bias.repeat(x.shape[0], 1, 1, 1)
        y = self.linear(self.attend(*self.linear(y, name + ".attn.qkv").chunk(3, -1), heads, bias), name + ".attn.proj")
        if text is not None:
            q = self.linear(self.norm(y, name + ".attn.norm_i2t_i"), name + ".attn.qkv_i2t")
            k, v = self.linear(text, name + ".attn.qkv_text_i2t").chunk(2, -1)
            z = self.attend(q.reshape(x.shape[0], -1, q.shape[-1]), k, v, heads, mask)
            y = y + self.p[name + ".attn.alpha_i2t"] * self.linear(z, name + ".attn.proj_i2t").view_as(y)
        y = self.join(y, grid)
        x = x + (y.roll((shift, shift), (1, 2)) if shift else y)
        y = self.f.gelu(self.linear(self.norm(x, name + ".norm2"), name + ".mlp.fc1"))
        return x + self.linear(y, name + ".mlp.fc2")

    def merge(self, x, stage):
        name = f"vit_model.layers.{stage}.downsample"
        cells = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.linear(self.norm(self.torch.cat(cells, -1), name + ".norm"), name + ".reduction")

    def patches(self, image):
        name = "vit_model.patch_embed"
        x = self.f.conv2d(image, self.p[name + ".proj.weight"], self.p[name + ".proj.bias"], stride=4)
        return self.norm(x.permute(0, 2, 3, 1).contiguous(), name + ".norm")

    def embed(self, ids, mask):
        name = "text_transformer.embeddings"
        places = 1 + mask.cumsum(1) * mask
        x = self.f.embedding(ids, self.p[name + ".word_embeddings.weight"], padding_idx=1)
        x = x + self.p[name + ".token_type_embeddings.weight"]
        x = x + self.f.embedding(places, self.p[name + ".position_embeddings.weight"], padding_idx=1)
        return self.norm(x, name + ".LayerNorm")

    def layer(self, x, number, mask, image=None, normed=True):
        name = f"text_transformer.encoder.layer.{number}"

        def heads(path, x, others, mask):
            q, k, v = (self.linear(y, f"{path}.self.{part}") for y, part in ((x, "query"), (others, "key"), (others, "value")))
            return self.linear(self.attend(q, k, v, 12, mask), path + ".output.dense")

        a = heads(name + ".attention", x, x, mask)
        if image is not None:
            a = self.p[name + ".alpha_t2i"] * heads(name + ".crossattention_t2i", a, image.flatten(1, 2), None) + a
        a = self.norm(a + x, name + ".attention.output.LayerNorm")
        y = self.linear(self.f.gelu(self.linear(a, name + ".intermediate.dense")), name + ".output.dense") + a
        return self.norm(y, name + ".output.LayerNorm") if normed else y

    def pool(self, x, side, kind=""):
        x = self.linear(x, f"cross_modal_{side}_transform{kind}")
        x = x[:, 0] if side == "text" else x.flatten(1, 2).mean(1)
        return self.linear(x, f"cross_modal_{side}_pooler{kind}.dense").tanh()

    def added(self, mask):
        return self.torch.where(mask == 1, 0.0, self.torch.finfo(self.torch.float32).min)[:, None, None]

    def text(self, ids, mask):
        x, added = self.embed(ids, mask), self.added(mask)
        for number in range(12):
            x = self.layer(x, number, added)
        return self.f.normalize(self.pool(x, "text", "_itc"), dim=-1)

    def image(self, image):
        x = self.patches(image)
        for stage, depth in enumerate(DEPTHS):
            for number in range(depth):
                x = self.block(x, stage, number)
            x = self.merge(x, stage) if stage < 3 else x
        return self.f.normalize(self.pool(self.norm(x, "vit_model.norm"), "image", "_itc"), dim=-1)

    def fused(self, image, ids, mask):
        x, y, added = self.patches(image), self.embed(ids, mask), self.added(mask)
        for number in range(6):
            y = self.layer(y, number, added)
        for stage, depth in enumerate(DEPTHS):
            for number in range(depth):
                layer = PAIRS.get((stage, number))
                if layer is None:
                    x = self.block(x, stage, number)
                else:
                    x, y = self.block(x, stage, number, y, added), self.layer(y, layer, added, x, layer < 11)
            x = self.merge(x, stage) if stage < 3 else x
        return self.torch.cat([self.pool(y, "text"), self.pool(x, "image")], -1)

    def head(self, x, name):
        return self.linear(self.f.gelu(self.norm(self.linear(x, name + ".0"), name + ".1")), name + ".3")


def pytorch(work, weights, inputs):
    """A closure that runs a pass or takes a step, and gives what it computed."""
    import torch
    from safetensors.torch import load_file
    from torch.nn import functional as F

    tensors, inputs = load_file(weights), load_file(inputs)
    trained = {"nlvr2": "nlvr2_classifier."}.get(work, "vqa_classifier.")
    heads = work.startswith("heads")
    kept = {n: t for n, t in tensors.items() if n.startswith(trained) or not ("_classifier." in n or heads)}
    del tensors
    model = Fiber(kept)
    ids, mask = inputs["ids"], inputs["mask"]
    passes = {
        "fused": lambda: model.fused(inputs["image_0"], ids, mask),
        "image": lambda: model.image(inputs["image_0"]),
        "text": lambda: model.text(ids, mask),
    }
    if work in passes:
        def run():
            with torch.inference_mode():
                return passes[work]()

        return run
    parts = {"heads-image": ["image"], "heads-inter": ["cat"]}.get(work, ["cat", "image", "text"])
    used = [t.requires_grad_() for n, t in kept.items() if work == "nlvr2" or n.split(".")[1].split("_")[0] in parts]
    optimizer = torch.optim.AdamW(used, lr=1e-5, weight_decay=0.01, fused=True)

    def logits():
        if heads:
            features = {"cat": inputs["fused"], "image": inputs["image"], "text": inputs["text"]}
        else:
            images = [inputs["image_0"], inputs["image_1"]]
            features = {
                "cat": torch.cat([model.fused(image, ids, mask) for image in images], -1),
                "image": torch.cat([model.image(image) for image in images], -1),
                "text": model.text(ids, mask),
            }
        return [model.head(features[part], f"{trained}{part}_model") for part in parts]

    targets = inputs["targets"].T.contiguous()

    def step():
        optimizer.zero_grad(set_to_none=True)
        z = logits()
        z = z[0] if len(z) == 1 else sum(F.log_softmax(z, -1) for z in z).log_softmax(-1)
        if heads:
            loss = F.binary_cross_entropy_with_logits(z, targets, reduction="sum") / BATCH
        else:
            loss = F.cross_entropy(z, torch.tensor([1]))
        loss.backward()
        optimizer.step()
        return loss.detach().view(1)

    return step


def worker(work, weights, inputs, out, threads):
    import torch
    from safetensors.torch import save_file

    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    torch.set_num_threads(threads)
    run = pytorch(work, weights, inputs)
    save_file({"out": run().clone()}, out)
    run()
    print(json.dumps({"version": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability()}), flush=True)
    for line in sys.stdin:
        count, start, spent = 0, time.perf_counter(), time.process_time()
        while (elapsed := time.perf_counter() - start) < float(line):
            run()
            count += 1
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answer = {"count": count, "per_second": count / elapsed, "spent": time.process_time() - spent}
        print(json.dumps({**answer, "peak_bytes": peak * 1024, "idle": idle * 1024}), flush=True)


# Both sides


class Process:
    """A worker that measures on demand."""

    def __init__(self, command, environment=None):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, **pipes)
        self.first = self.process.stdout.readline()
        if not self.first:
            raise SystemExit(f"{command[0]} failed")

    def spent(self):
        """Seconds that the process has had of the processor."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, line):
        before = self.spent()
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return {"spent": self.spent() - before, **answer}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def difference(first, second):
    from safetensors.numpy import load_file

    a, b = load_file(first)["out"].ravel(), load_file(second)["out"].ravel()
    return float(abs(a - b).max() / abs(b).max())


def compare(binary, work, arguments, files):
    """A row for each instruction set."""
    threads = str(arguments.threads)
    theirs_out = arguments.folder / f"{work}.pytorch.safetensors"
    command = [sys.executable, __file__, "--worker", work, str(files[0]), str(files[1]), str(theirs_out), threads]
    theirs = Process(command)
    about = json.loads(theirs.first)
    rates, memory, error = {"pytorch": []}, {}, {}
    rate = lambda answer: answer["count"] / answer["spent"] if arguments.processor_time else answer["per_second"]
    for _ in range(arguments.rounds):
        answer = theirs.ask(str(arguments.seconds))
        rates["pytorch"].append(rate(answer))
        memory["pytorch"] = answer["peak_bytes"]
        for isa in arguments.isas:
            out = arguments.folder / f"{work}.{isa}.safetensors"
            command = [binary, "--work", work, "--weights", str(files[0]), "--inputs", str(files[1]), "--out", str(out)]
            command += ["--threads", threads, "--seconds", str(arguments.seconds), "--wait"]
            ours = Process(command, {"I2M2_ISA": isa})
            answer = ours.ask("go")
            ours.close()
            if answer["isa"] != isa:
                raise SystemExit(f"this processor has no {isa}")
            rates.setdefault(isa, []).append(rate(answer))
            memory[isa], error[isa] = answer["peak_bytes"], difference(out, theirs_out)
    theirs.close()
    medians = {key: statistics.median(values) for key, values in rates.items()}
    rows = []
    for isa in arguments.isas:
        spread = f"{min(rates[isa]) / medians[isa]:.2f} to {max(rates[isa]) / medians[isa]:.2f}"
        rows.append(
            f"| {WORKS[work]} | {isa} | {medians[isa]:.3f} | {medians['pytorch']:.3f} | **{medians[isa] / medians['pytorch']:.2f}** "
            f"| {error[isa]:.1e} | {memory[isa] / 1e9:.2f} / {memory['pytorch'] / 1e9:.2f} | {spread} |"
        )
        print(rows[-1], flush=True)
    return rows, about


HEAD = """| work | ours | ours, per second | PyTorch | ratio | difference | GB, ours / PyTorch | spread of ours |
|---|---|---|---|---|---|---|---|
"""


def write(mark, head, rows):
    """Puts rows between the marks; those of other works stay."""
    begin, end = f"<!-- {mark}: begin -->\n", f"<!-- {mark}: end -->"
    before, rest = DOCUMENT.read_text().split(begin)
    old, after = rest.split(end)
    key = lambda row: tuple(cell.strip() for cell in row.split("|")[1:3])
    kept = {key(row): row for row in old.splitlines() if row.startswith("|") and not row.startswith(("| work", "|--"))}
    kept.update((key(row), row) for row in rows)
    order = list(WORKS.values())
    rows = sorted(kept.values(), key=lambda row: (order.index(key(row)[0]), key(row)[1] != "avx512"))
    DOCUMENT.write_text(before + begin + head + HEAD + "\n".join(rows) + "\n" + end + after)


def build_ours():
    command = ["cargo", "build", "--release", "--locked", "--example", "fiber_rate", "--message-format", "json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    binaries = [message.get("executable") for line in lines if (message := json.loads(line))]
    return [binary for binary in binaries if binary][-1]


def processor():
    text = Path("/proc/cpuinfo").read_text()
    return re.search(r"model name\s*: (.*)", text)[1], "avx512dq" in text and "avx512vl" in text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="per measurement")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processor-time", action="store_true", help="of one thread, in place of time")
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--isas", nargs="+", default=["avx512", "avx2"] if processor()[1] else ["avx2"])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "i2m2-fiber", help="for weights and outputs")
    parser.add_argument("--binary", help="of the example `fiber_rate`; built without")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    parser.add_argument("--worker", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        *rest, threads = arguments.worker
        return worker(*rest, int(threads))
    if arguments.processor_time:
        arguments.threads = 1
    files = make(arguments.folder)
    binary = arguments.binary or build_ours()
    opened = [binary, "--work", "open", "--weights", str(files[0]), "--inputs", str(files[1]), "--threads", "2"]
    opened = [json.loads(subprocess.run(opened, check=True, capture_output=True, text=True).stdout) for _ in range(3)]
    seconds = statistics.median(answer["seconds"] for answer in opened)
    rows = []
    for work in arguments.works:
        more, about = compare(binary, work, arguments, files)
        rows += more
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.split()[1]
    how = "one thread each, per second of processor time on a machine that others used, too" if arguments.processor_time else f"{arguments.threads} threads each"
    head = f"""{datetime.date.today()}, {processor()[0]}, {how}, rustc {rustc}, PyTorch {about['version']} \
({about['capability']}); medians of alternating rounds. A file of
{opened[0]['parameters']:,} weights opens in {seconds:.2f} s (mapped, one copy, the network ready; from the page cache, two threads).

"""
    print("\n" + head + HEAD + "\n".join(rows))
    if arguments.write:
        write("fiber-one" if arguments.processor_time else "fiber", head, rows)


if __name__ == "__main__":
    main()
