#!/usr/bin/env python3
"""Writes fixtures/golden/stats.json: reference values of src/stats from scipy (any 1.x)."""
import json
import math
from pathlib import Path

from scipy import stats

cdf = [
    [t, df, stats.t.cdf(t, df)]
    for df in (1, 1.5, 2, 4, 4.7, 8, 30, 1000, 1e6)
    for t in (-40, -6.5, -2, -0.3, -1e-3, 1e-3, 0.7, 2.776, 12)
]
quantile = [
    [p, df, stats.t.ppf(p, df)]
    for df in (1, 2, 4, 4.7, 8, 30, 1000, 1e6)
    for p in (1e-9, 0.005, 0.3, 0.75, 0.975, 0.995, 0.99999)
]

samples = [
    ([72.1, 72.5, 72.4, 72.3, 72.6], [71.5, 71.9, 71.2, 72.2, 71.8], 1.0),
    ([10.0, 12.0, 11.0], [10.5, 10.6, 10.4, 10.7, 10.5, 10.6], 2.0),
    ([0.95, 0.97], [0.99, 0.91, 1.05, 0.93], 0.2),
    ([76.3, 76.31, 76.29], [60.0, 61.0, 64.0, 66.0], 1.0),
]
welch = []
for a, b, margin in samples:
    test = stats.ttest_ind(a, b, equal_var=False)
    error = math.sqrt(stats.tvar(a) / len(a) + stats.tvar(b) / len(b))
    value = abs(sum(a) / len(a) - sum(b) / len(b))
    welch.append(
        {
            "a": a, "b": b, "margin": margin, "df": test.df, "p_equal": test.pvalue,
            "p_not_above": stats.ttest_ind(a, b, equal_var=False, alternative="greater").pvalue,
            "p_apart": stats.t.sf((margin - value) / error, test.df),
            "half_width": stats.t.ppf(0.975, test.df) * error,
        }
    )

prediction = []
for n, m, mean, std in ((5, 5, 72.34, 0.14), (3, 1, 60.0, 2.5), (5, 3, 0.95, 0.08), (30, 5, 10.0, 1.0)):
    half = stats.t.ppf(0.995, n - 1) * std * math.sqrt(1 / n + 1 / m)
    prediction.append({"n": n, "m": m, "mean": mean, "std": std, "low": mean - half, "high": mean + half})

golden = {"cdf": cdf, "quantile": quantile, "welch": welch, "prediction": prediction}
path = Path(__file__).resolve().parent.parent / "fixtures" / "golden" / "stats.json"
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(json.dumps(golden, default=float) + "\n")
