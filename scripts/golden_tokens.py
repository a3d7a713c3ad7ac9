#!/usr/bin/env python3
"""Makes fixtures/golden/tokens.json: what RoBERTa's own tokenizer (the one in Python) makes of sentences, for src/data/tokens/.

    python -m venv venv && venv/bin/pip install transformers==4.46.3
    venv/bin/python scripts/golden_tokens.py ROBERTA NLVR2

ROBERTA has vocab.json and merges.txt, NLVR2 has dev.json and test1.json. A digest is SHA-256 over the rows of all sentences of a file,
in its order, each 50 ids with padding, as little-endian 32-bit integers.
"""

import hashlib
import json
import pathlib
import random
import struct
import sys

from transformers import RobertaTokenizer

roberta, nlvr2 = map(pathlib.Path, sys.argv[1:])
tokenizer = RobertaTokenizer(str(roberta / "vocab.json"), str(roberta / "merges.txt"))


def row(text):
    return tokenizer(text, max_length=50, truncation=True, padding="max_length")["input_ids"]


TEXTS = [
    "Hello world!",
    "What sport is this?",
    "How many elephants?",
    "Is the dog waiting?",
    "There is an empty glass.",
    "The right image shows a curving walkway of dark glass circles embedded in dirt and flanked by foliage.",
    "What's the man's shirt color?",
    "It's 10:30am, isn't it?",
    "café — naïve 😀",
    " leading  double   spaces \n",
    "At least one image contains 1,234 items (50%).",
    "",
    " ",
    "\n\n",
    "\t tab\u00a0no-break\u2003em\u3000ideographic",
    "'s 't 're 've 'm 'll 'd 'S 'RE",
    "don't DON'T can't've I'll'd",
    "<s> in the text </s>",
    "a <mask> b<mask>c  <mask>",
    "<pad><unk><s></s> <notatoken>",
    "日本語のテキスト です。",
    "عربي ١٢٣ हिन्दी १२३ ½ ² Ⅳ",
    "e\u0301 combining ﬁ ligature ß İ",
    "👩‍👩‍👧‍👦🏽 flags 🇫🇷",
    "\u200b\u200d\ufeff zero width",
    "\x00\x01\x1f\x7f control",
    "a" * 200,
    "word " * 60,
    "!?.,;:-_=+*/\\|@#$%^&~`\"'",
    "CamelCase snake_case kebab-case 3D 2x4 A1B2",
]
rng = random.Random(1)
for _ in range(200):
    pool = rng.choice([(32, 126), (32, 0x2FF), (0x300, 0xD7FF), (0xE000, 0x1FFFF)])
    TEXTS.append("".join(chr(rng.randint(*pool)) if rng.random() < 0.8 else " " for _ in range(rng.randint(1, 40))))


def file(name):
    lines = [json.loads(line) for line in open(nlvr2 / name, encoding="utf-8")]
    rows = [row(line["sentence"]) for line in lines]
    packed = b"".join(struct.pack("<50I", *ids) for ids in rows)
    longer = sum(len(tokenizer(line["sentence"])["input_ids"]) > 50 for line in lines)
    return {"sentences": len(rows), "longer": longer, "sha256": hashlib.sha256(packed).hexdigest()}


found = {
    "texts": [[text, [i for i in row(text) if i != 1 or "<pad>" in text]] for text in TEXTS],
    "nlvr2": {name: file(name) for name in ("dev.json", "test1.json")},
}
out = pathlib.Path(__file__).parent.parent / "fixtures/golden/tokens.json"
out.write_text(json.dumps(found, indent=None, separators=(",", ":")) + "\n")
