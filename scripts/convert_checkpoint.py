"""Converts published checkpoints of FIBER, Swin and RoBERTa to the safetensors file that `i2m2` reads.

    python scripts/convert_checkpoint.py fiber.safetensors --fiber fiber_pretrain.ckpt
    python scripts/convert_checkpoint.py fiber.safetensors --fiber fiber_nlvr2.ckpt
    python scripts/convert_checkpoint.py fiber.safetensors --swin swin_base_patch4_window12_384_22k.pth --roberta pytorch_model.bin
    python scripts/convert_checkpoint.py --self-test

Needs torch, safetensors and numpy. Checkpoints are pickles, which can run code: they are loaded with `weights_only=True`, so that
nothing but tensors and plain containers is made; classes that Lightning names beside them become empty ones of ours.

What is written has the published names of the backbone (fixtures/golden/fiber_names.txt), as f32, and the heads of a fine-tuned
checkpoint where it has any, with the resolution as metadata. Heads of pre-training, queues and what follows from the sizes are
dropped. Every tensor that is missing, not known or misshapen is named; what is missing or misshapen is an error, what is not known is
left out. From Swin and RoBERTa alone, what only FIBER has is made fresh: gates 0, weights N(0, 0.02), biases 0, norms 1 and 0.
"""

import argparse
import math
import os
import re
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

NAMES = Path(__file__).resolve().parent.parent / "fixtures" / "golden" / "fiber_names.txt"
# Heads and queues of pre-training.
DROPPED = (
    "mlm_score.", "itm_score.", "rank_output.", "image_queue", "text_queue", "queue_", "image_input_queue", "text_input_queue",
    "text_input_mask_queue", "token_type_embeddings.",
)
DROPPED_WHOLE = ("temp", "logit_scale")
# What follows from the sizes.
DERIVED = (".relative_position_index", ".attn_mask", "embeddings.position_ids")
TABLE = ".relative_position_bias_table"
# What Swin and RoBERTa alone do not have.
FRESH = re.compile(r"cross_modal_|.*(_i2t|alpha_t2i|crossattention_t2i)|text_transformer\.pooler\.")
HEADS = re.compile(r"(vqa|nlvr2)_classifier\.")


class Refused(Exception):
    """Why a checkpoint was not converted."""


def published():
    """Names and shapes of the backbone."""
    shapes = {}
    for line in NAMES.read_text().splitlines():
        if (found := re.match(r"P (\S+) \[([\d, ]*)\]", line)) and not HEADS.match(found[1]):
            shapes[found[1]] = [int(d) for d in found[2].split(",") if d.strip()]
    return shapes


def inert(name):
    """An empty class in place of one that a checkpoint names beside its tensors."""
    return type(name.rsplit(".", 1)[-1], (), {"__init__": lambda self, *_, **__: None, "__setstate__": lambda self, _: None})


def load(path):
    """The tensors of a file, wherever it keeps them."""
    path = Path(path)
    if path.suffix == ".safetensors":
        return load_file(path)
    try:
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # A file in PyTorch's format before 1.6 does not tell.
        unsafe = []
    try:
        with torch.serialization.safe_globals([(inert(name), name) for name in unsafe]):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise Refused(f"{path}: torch.load with weights_only=True refuses it, and so does this script: {error}") from error
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    tensors = {name: value for name, value in loaded.items() if isinstance(value, torch.Tensor)} if isinstance(loaded, dict) else {}
    if not tensors:
        raise Refused(f"{path}: expected a state dict, alone or under `state_dict` or `model`, found no tensors")
    return tensors


def from_fiber(tensors):
    """Heads of FIBER's own fine-tuned checkpoints are those of one expert."""
    return {re.sub(r"^((?:vqa|nlvr2)_classifier)\.(\d)", r"\1.model.\2", name): value for name, value in tensors.items()}


def from_swin(tensors):
    return {f"vit_model.{name}": value for name, value in tensors.items() if not name.startswith("head.")}


def from_roberta(tensors):
    named = {name.removeprefix("roberta."): value for name, value in tensors.items() if not name.startswith("lm_head.")}
    return {f"text_transformer.{name}": value for name, value in named.items()}


def dropped(name):
    return name.startswith(DROPPED) or name in DROPPED_WHOLE or name.endswith(DERIVED)


def fresh(name, shape, stream):
    last = name.rsplit(".", 1)[-1]
    if "alpha" in last or last == "bias":
        return torch.zeros(shape)
    if len(shape) == 1:
        return torch.ones(shape)
    return 0.02 * torch.randn(shape, generator=stream)


def window(rows):
    """The window of a table of relative positions, if it is one."""
    side = math.isqrt(rows)
    return (side + 1) // 2 if side * side == rows and side % 2 else None


def convert(tensors, shapes, make_fresh=False):
    """Tensors to be written, the resolution, and what was left out, in words."""
    stream = torch.Generator().manual_seed(0)
    windows = {tensors[name].shape[0] for name in shapes if name.endswith(TABLE) and name in tensors and tensors[name].dim() == 2}
    rows = windows.pop() if len(windows) == 1 else None
    out, missing, misshapen, made = {}, [], [], []
    for name, shape in shapes.items():
        shape = [rows or shape[0], *shape[1:]] if name.endswith(TABLE) else shape
        value = tensors.get(name)
        if value is None and make_fresh and FRESH.match(name):
            out[name] = fresh(name, shape, stream)
            made.append(name)
        elif value is None:
            missing.append(name)
        elif list(value.shape) != shape or not value.is_floating_point():
            misshapen.append(f"{name}: expected {shape}, found {list(value.shape)} of {value.dtype}")
        else:
            out[name] = value.to(torch.float32).contiguous().clone()
    if windows:
        misshapen.append(f"tables of relative positions: expected one number of rows, found {sorted(windows)} and more")
    elif rows and window(rows) is None:
        misshapen.append(f"tables of relative positions: expected an odd number squared of rows, found {rows}")
    for name in tensors.keys() - shapes.keys():
        if HEADS.match(name):
            out[name] = tensors[name].to(torch.float32).contiguous().clone()
    extra = sorted(name for name in tensors.keys() - out.keys() - shapes.keys() if not dropped(name))
    if missing or misshapen:
        lines = [f"missing: {name}" for name in missing] + [f"misshapen: {line}" for line in misshapen]
        lines += [f"not known: {name}" for name in extra]
        raise Refused("the checkpoint does not fit FIBER:\n  " + "\n  ".join(lines))
    return out, 32 * window(rows), [f"not known, left out: {name}" for name in extra] + [f"made fresh: {name}" for name in made]


def save(tensors, resolution, path):
    """The file exists whole or not at all."""
    path = Path(path)
    handle, aside = tempfile.mkstemp(dir=path.parent, suffix=".safetensors")
    os.close(handle)
    try:
        save_file(tensors, aside, metadata={"resolution": str(resolution)})
        os.replace(aside, path)
    except BaseException:
        os.unlink(aside)
        raise


def self_test():
    """The same on small synthetic checkpoints."""

    def refusal(run):
        try:
            run()
        except Refused as error:
            return str(error)
        raise AssertionError("nothing was refused")

    shapes = published()
    assert len(shapes) == 668, len(shapes)
    # The real names, with small sizes: windows of 2.
    shapes = {name: [9 if name.endswith(TABLE) and not i else min(d, 3) for i, d in enumerate(shape)] for name, shape in shapes.items()}
    value = {name: torch.rand(shape) for name, shape in shapes.items()}
    table = next(name for name in shapes if name.endswith(TABLE))
    noise = {"image_queue": torch.rand(2), "mlm_score.bias": torch.rand(2), "vit_model.layers.0.blocks.1.attn_mask": torch.rand(2)}
    head = {f"nlvr2_classifier.{i}.{part}": torch.rand(2) for i in (0, 1, 3) for part in ("weight", "bias")}
    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: str(Path(folder) / name)
        # Lightning's checkpoint, with objects beside the tensors.
        callback = type("ModelCheckpoint", (), {"__module__": "lightning_stand_in"})
        sys.modules["lightning_stand_in"] = type(sys)("lightning_stand_in")
        sys.modules["lightning_stand_in"].ModelCheckpoint = callback
        torch.save({"state_dict": {**value, **noise, **head, "unheard_of": torch.rand(1)}, "callbacks": {callback: 1}, "epoch": 3}, at("a.ckpt"))
        del sys.modules["lightning_stand_in"]
        out, resolution, words = convert(from_fiber(load(at("a.ckpt"))), shapes)
        save(out, resolution, at("out.safetensors"))
        read = load_file(at("out.safetensors"))
        assert resolution == 64 and words == ["not known, left out: unheard_of"], (resolution, words)
        assert len(read) == 668 + 6 and all(torch.equal(read[name], value[name]) for name in shapes)
        assert torch.equal(read["nlvr2_classifier.model.3.weight"], head["nlvr2_classifier.3.weight"])
        # Everything that is wrong, at once.
        wrong = dict(value, **{table: torch.rand(8, shapes[table][1])})
        lacking = wrong.pop("vit_model.norm.bias").shape
        assert list(lacking) == shapes["vit_model.norm.bias"]
        wrong["cross_modal_text_transform.weight"] = torch.rand(7)
        text = refusal(lambda: convert(wrong, shapes))
        for part in ("missing: vit_model.norm.bias", "misshapen: cross_modal_text_transform.weight: expected [3, 3], found [7]", "tables"):
            assert part in text, text
        # Swin and RoBERTa, each in its own names.
        swin = {name.removeprefix("vit_model."): v for name, v in value.items() if name.startswith("vit_model.") and not FRESH.match(name)}
        roberta = {name.removeprefix("text_transformer."): v for name, v in value.items() if name.startswith("text_transformer.")}
        roberta = {f"roberta.{name}": v for name, v in roberta.items() if not FRESH.match(f"text_transformer.{name}")}
        torch.save({"model": {**swin, "head.weight": torch.rand(2)}}, at("swin.pth"))
        torch.save({**roberta, "lm_head.bias": torch.rand(2)}, at("roberta.bin"))
        both = {**from_swin(load(at("swin.pth"))), **from_roberta(load(at("roberta.bin")))}
        out, resolution, words = convert(both, shapes, make_fresh=True)
        assert len(out) == 668 and all(line.startswith("made fresh") for line in words) and words
        alpha = "text_transformer.encoder.layer.6.alpha_t2i"
        assert out[alpha].item() == 0 and torch.equal(out[table], value[table])
        assert "missing: " + alpha in refusal(lambda: convert(both, shapes))
        # What would run code, and what holds nothing.
        class Code:
            def __reduce__(self):
                return os.mkdir, (at("ran"),)

        torch.save({"state_dict": {"a": Code()}}, at("code.ckpt"))
        assert "weights_only=True refuses it" in refusal(lambda: load(at("code.ckpt"))) and not os.path.exists(at("ran"))
        torch.save([1], at("none.pt"))
        assert "no tensors" in refusal(lambda: load(at("none.pt")))
    print("self-test passed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", help="the safetensors file")
    parser.add_argument("--fiber", help="fiber_pretrain.ckpt, or a fine-tuned one")
    parser.add_argument("--swin", help="Swin's own checkpoint")
    parser.add_argument("--roberta", help="RoBERTa's own, as Hugging Face keeps it")
    parser.add_argument("--self-test", action="store_true", help="converts synthetic checkpoints, and nothing else")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    if not arguments.out or bool(arguments.fiber) == bool(arguments.swin and arguments.roberta):
        parser.error("give the file to write, and either --fiber or both --swin and --roberta")
    try:
        if arguments.fiber:
            tensors = from_fiber(load(arguments.fiber))
        else:
            tensors = {**from_swin(load(arguments.swin)), **from_roberta(load(arguments.roberta))}
        out, resolution, words = convert(tensors, published(), make_fresh=not arguments.fiber)
        save(out, resolution, arguments.out)
    except (Refused, OSError) as error:
        raise SystemExit(str(error)) from error
    for line in words:
        print(line, file=sys.stderr)
    count = sum(value.numel() for value in out.values())
    print(f"{arguments.out}: {len(out)} tensors, {count:,} values, for images of {resolution} pixels")


if __name__ == "__main__":
    main()
