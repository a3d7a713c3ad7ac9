#!/usr/bin/env python3
"""Makes fixtures/golden/answers.json: answers and how the released code normalises them, for src/data/vqa/answer.rs.

    python scripts/golden_answers.py GLOSSARY

GLOSSARY is coarse_grained/fiber/utils/glossary.py of github.com/microsoft/FIBER; nothing of it is copied.
"""

import importlib.util
import json
import pathlib
import random
import sys

spec = importlib.util.spec_from_file_location("glossary", sys.argv[1])
glossary = importlib.util.module_from_spec(spec)
spec.loader.exec_module(glossary)

rng = random.Random(2)
WORDS = ["red", "a", "an", "the", "The", "one", "TEN", "none", "dont", "Im", "somebody'd", "1,000", "3.5", "U.S.A.", "t-shirt"]
PIECES = list(";/[]\"{}()=+\\_-><@`,?!.'#$%&*:^|~") + [" ", "  ", "\t", "\u00a0", "\x1d", "é", "İ", "Σ", "7", "4,2", "..", "5. "]
answers = ["", ".", " ", *glossary.contractions, *glossary.manual_map]
while len(answers) < 1500:
    parts = [rng.choice(WORDS if rng.random() < 0.5 else PIECES) for _ in range(rng.randint(1, 8))]
    answers.append(rng.choice(["", " "]).join(parts))
answers += ["." * 40, "a." * 40, "Σ ΑΣ Σ."]
out = pathlib.Path(__file__).parent.parent / "fixtures/golden/answers.json"
pairs = [[answer, glossary.normalize_word(answer)] for answer in answers]
out.write_text(json.dumps(pairs, separators=(",", ":")) + "\n")
