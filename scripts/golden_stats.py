#!/usr/bin/env python3
"""Writes fixtures/golden/stats.json: reference values of src/stats from SciPy, NumPy and statsmodels.

    python -m venv venv && venv/bin/pip install scipy==1.17.1 numpy==2.4.6 statsmodels==0.15.0
    venv/bin/python scripts/golden_stats.py
"""
import itertools
import json
import math
from pathlib import Path

import numpy as np
from scipy import integrate, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

CASES = 500
random = np.random.default_rng(0)


def number(value):
    return float(f"{value:.17g}")


def sample(n):
    """Some accuracies: any scale of deviation, now and then all equal to two digits."""
    std = 10 ** random.uniform(-3, 1)
    return np.round(random.normal(70, std, n), int(random.integers(2, 6)))

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

welch = []
while len(welch) < CASES:
    a, b = sample(random.integers(2, 13)), sample(random.integers(2, 13))
    if np.var(a) + np.var(b) == 0:
        continue
    margin = 10 ** random.uniform(-1, 0.7)
    test = stats.ttest_ind(a, b, equal_var=False)
    error = math.sqrt(np.var(a, ddof=1) / len(a) + np.var(b, ddof=1) / len(b))
    value = abs(np.mean(a) - np.mean(b))
    welch.append(
        {
            "a": list(a), "b": list(b), "margin": margin, "df": test.df, "p_equal": test.pvalue,
            "p_not_above": stats.ttest_ind(a, b, equal_var=False, alternative="greater").pvalue,
            "p_apart": stats.t.sf((margin - value) / error, test.df),
            "half_width": stats.t.ppf(0.975, test.df) * error,
        }
    )

paired = []
while len(paired) < CASES:
    n = random.integers(2, 13)
    a = sample(n)
    b = np.round(a - random.normal(random.uniform(-1, 1), 10 ** random.uniform(-2, 0), n), 4)
    if np.ptp(a - b) < 1e-6:
        continue
    test = stats.ttest_rel(a, b)
    paired.append(
        {
            "a": list(a), "b": list(b), "df": test.df, "p_equal": test.pvalue,
            "p_not_above": stats.ttest_rel(a, b, alternative="greater").pvalue,
        }
    )

holm = []
for _ in range(CASES):
    p = random.uniform(0, 1, random.integers(1, 30)) ** random.integers(1, 5)
    p = np.where(random.uniform(size=len(p)) < 0.1, p[0], p)
    holm.append({"p": list(p), "adjusted": list(multipletests(p, method="holm")[1])})

bootstrap = []
for _ in range(CASES):
    values, confidence = sample(random.integers(2, 6)), random.choice([0.9, 0.95, 0.99])
    means = [np.mean(drawn) for drawn in itertools.product(values, repeat=len(values))]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    bootstrap.append({"values": list(values), "confidence": confidence, "low": low, "high": high})

noncentral = []
while len(noncentral) < CASES:
    t, df, shift = random.uniform(-8, 8), 10 ** random.uniform(0, 3), random.uniform(-8, 8)
    p = stats.nct.cdf(t, df, shift)
    # SciPy gives up on some far tails.
    if not math.isnan(p):
        noncentral.append({"t": t, "df": df, "shift": shift, "p": p})


def equivalence(margin, shift, df, alpha):
    """Power of TOST, by integrating over the scale of the deviation."""
    t = stats.t.ppf(1 - alpha, df)

    def both(s):
        room = margin - t * s
        return (stats.norm.cdf(room - shift) - stats.norm.cdf(-room - shift)) * stats.chi.pdf(s * math.sqrt(df), df) * math.sqrt(df)

    end, peak = margin / t, math.sqrt(max(df - 1, 0) / df)
    points = sorted({0, *(p for p in (peak - 4 / math.sqrt(2 * df), peak, peak + 4 / math.sqrt(2 * df)) if 0 < p < end), end})
    return sum(integrate.quad(both, a, b, epsabs=1e-12, epsrel=1e-12, limit=500)[0] for a, b in zip(points, points[1:]))


power = []
while len(power) < CASES:
    df, alpha = 10 ** random.uniform(0, 2.5), random.choice([0.01, 0.05, 0.1])
    shift, margin = random.uniform(0, 5), random.uniform(0.5, 12)
    difference = TTestPower().power(effect_size=shift / math.sqrt(df + 1), nobs=df + 1, alpha=alpha, alternative="two-sided")
    if math.isnan(difference):
        continue
    power.append(
        {"df": df, "shift": shift, "margin": margin, "alpha": alpha, "difference": difference,
         "equivalence": equivalence(margin, shift, df, alpha)}
    )

prediction = []
for n, m, mean, std in ((5, 5, 72.34, 0.14), (3, 1, 60.0, 2.5), (5, 3, 0.95, 0.08), (30, 5, 10.0, 1.0)):
    half = stats.t.ppf(0.995, n - 1) * std * math.sqrt(1 / n + 1 / m)
    prediction.append({"n": n, "m": m, "mean": mean, "std": std, "low": mean - half, "high": mean + half})

golden = {
    "cdf": cdf, "quantile": quantile, "welch": welch, "paired": paired, "holm": holm, "bootstrap": bootstrap,
    "noncentral": noncentral, "power": power, "prediction": prediction,
}
path = Path(__file__).resolve().parent.parent / "fixtures" / "golden" / "stats.json"
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(json.dumps(golden, default=number, allow_nan=False) + "\n")
