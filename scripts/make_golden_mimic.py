"""Writes what the MIMIC loader is tested against: CPython's shuffle and numpy's standardisation.

    python scripts/make_golden_mimic.py

- fixtures/golden/python_shuffle.json: `random.seed(10); random.shuffle(list(range(n)))` for several n: the SHA-256 of
  the order as little-endian uint32, and the order itself where it is short.
- fixtures/golden/mimic/im.npz: 20 made-up admissions in the layout of the preprocessed file, with NaN, infinities, a
  constant column and an extra key.
- fixtures/golden/mimic/expected.npz: what numpy makes of them, in the shuffled order.
"""

import hashlib
import json
import random
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent.parent / "fixtures/golden"


def shuffled(n):
    order = list(range(n))
    random.seed(10)
    random.shuffle(order)
    return order


shuffles = {}
for n in (1, 2, 3, 10, 1000, 36212):
    order = shuffled(n)
    digest = hashlib.sha256(np.array(order, "<u4").tobytes()).hexdigest()
    shuffles[n] = {"sha256": digest, "order": order if n <= 10 else []}
(GOLDEN / "python_shuffle.json").write_text(json.dumps(shuffles, indent=1) + "\n")

N = 20
rng = np.random.default_rng(0)
series = rng.integers(-400, 4000, (N, 24, 12)) / 8
series[..., 3] = 36.6  # a constant channel
series[2, 5, 0], series[7, 0, 1], series[11, 23, 11] = np.nan, np.inf, -np.inf
static = np.stack([rng.integers(5479, 33000, N), *(rng.random((3, N)) < 0.2), rng.integers(0, 3, N)], 1).astype(float)
static[4, 0] = np.nan
adm = (rng.random((N, 6)) < 0.25).astype("<i8")
icd9 = (rng.random((N, 20)) < 0.4).astype("<i8")
(GOLDEN / "mimic").mkdir(exist_ok=True)
np.savez_compressed(GOLDEN / "mimic/im.npz", ep_tdata=series, adm_features_all=static, adm_labels_all=adm,
                    y_icd9=icd9, extra=np.zeros(3))

order = shuffled(N)
expected = {"order": np.array(order, "<u4"), "y_icd9_1": icd9[order, 1], "y_icd9_7": icd9[order, 7]}
mortality = adm[:, 1].copy()
for i in range(N):
    mortality[i] = next((column for column in range(1, 6) if adm[i, column] > 0), 0)
expected["mortality"] = mortality[order]
clean_series = np.where(np.isfinite(series), series, 0.0)
clean_static = np.where(np.isfinite(static), static, 0.0)
for name, rows in (("all", np.arange(N)), ("train", np.array(order[N // 5:]))):
    for array, clean, axes in (("series", clean_series, (0, 1)), ("static", clean_static, (0,))):
        mean, std = clean[rows].mean(axes), clean[rows].std(axes)
        constant = clean[rows].min(axes) == clean[rows].max(axes)
        scaled = (clean - mean) / np.where(constant, 1.0, std)
        scaled[..., constant] = (clean - clean[rows].min(axes))[..., constant]
        expected[f"{array}_{name}"] = scaled[order].astype("<f4")
np.savez_compressed(GOLDEN / "mimic/expected.npz", **expected)
