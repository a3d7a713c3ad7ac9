"""Writes fixtures/golden/arrays.npz: small arrays of every type and order that numpy itself saved.

Element number i (in C order) of every array is i, so that a test can tell any mix-up of order or type.

    python scripts/make_golden_arrays.py
"""

from pathlib import Path

import numpy as np

counting = np.arange(24).reshape(2, 3, 4)
arrays = {code.strip("<|>") + ("_big" if code[0] == ">" else ""): counting.astype(code)
          for code in "|i1 <i2 <i4 <i8 |u1 <u2 <u4 <u8 <f4 <f8 >i2 >i4 >f4 >f8".split()}
arrays["b1"] = np.array([False, True])
arrays["fortran"] = np.asfortranarray(counting.astype("<f8"))
arrays["fortran_big"] = np.asfortranarray(counting.astype(">i4"))
arrays["scalar"] = np.array(0.0)
arrays["none"] = np.zeros((0, 4), "<f4")

out = Path(__file__).parent.parent / "fixtures/golden/arrays.npz"
np.savez_compressed(out, **arrays)
