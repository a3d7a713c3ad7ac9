#!/usr/bin/env python3
"""Writes fixtures/golden/ranking.npz: rankings of src/experiment/ranking.rs by scikit-learn and NumPy.

    python scripts/golden_ranking.py        (scikit-learn 1.3 or newer)

1,000 cases, the scores whole numbers; flat arrays, case after case. `curve` holds the thresholds of `roc_curve` with and
without `drop_intermediate`, `threshold` and `balanced` the operating point by the rule below on either. What is undefined
(one class) is NaN, and its curves are empty.
"""
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve


def operating_point(fpr, tpr, thresholds):
    """The highest threshold with a true-positive rate above 0.9; else the first with a false-positive rate above 0.25."""
    for meets in (tpr > 0.9, fpr > 0.25):
        if meets.any():
            return thresholds[np.flatnonzero(meets)[0]]
    raise AssertionError("the true-positive rate ends at 1")


def balanced_accuracy(positive, scores, threshold):
    predicted = scores > threshold
    return (predicted[positive].mean() + (~predicted)[~positive].mean()) / 2


random = np.random.default_rng(20241)
sizes, all_scores, all_positive, areas, curve_sizes, curves, chosen, balanced = ([] for _ in range(8))
fallbacks = spelling = below = defined = 0
for case in range(1000):
    size = int(random.integers(1, 8)) if case % 5 == 0 else int(random.integers(8, 150))
    levels = [2, 5, 20, 200, 30000][case % 7 % 5]
    share = 0.0 if case % 40 == 0 else 1.0 if case % 40 == 20 else random.choice([0.05, 0.1, 0.3, 0.5, 0.9])
    positive = random.random(size) < share
    signal = random.choice([0.0, 0.5, 1.0, 2.0, -0.5])
    scores = np.clip(np.round((random.normal(size=size) + signal * positive) * levels / 4), -30000, 30000)
    sizes.append(size)
    all_scores.append(scores)
    all_positive.append(positive)
    both = 0 < positive.sum() < size
    areas.append(roc_auc_score(positive, scores) if both else np.nan)
    for drop in (True, False):
        if not both:
            curve_sizes.append(0)
            chosen.append(np.nan)
            balanced.append(np.nan)
            continue
        fpr, tpr, thresholds = roc_curve(positive, scores, drop_intermediate=drop)
        curve_sizes.append(len(thresholds))
        curves.append(thresholds)
        threshold = operating_point(fpr, tpr, thresholds)
        chosen.append(threshold)
        balanced.append(balanced_accuracy(positive, scores, threshold))
        if drop:
            defined += 1
            fallbacks += not (tpr > 0.9).any()
            spelling += thresholds[np.flatnonzero(1 - tpr < 0.1)[0]] != threshold
            below += (scores > threshold)[positive].mean() <= 0.9

np.savez_compressed(
    Path(__file__).resolve().parent.parent / "fixtures" / "golden" / "ranking.npz",
    size=np.array(sizes, "<i2"),
    score=np.concatenate(all_scores).astype("<i2"),
    positive=np.concatenate(all_positive).astype("|u1"),
    auroc=np.array(areas, "<f8"),
    curve_size=np.array(curve_sizes, "<i2"),
    curve=np.concatenate(curves).astype("<f4"),
    threshold=np.array(chosen, "<f4"),
    balanced=np.array(balanced, "<f8"),
)
print(f"{defined} of 1000 defined; the fallback was reached {fallbacks} times; writing FNR as 1 - TPR chooses another")
print(f"threshold in {spelling}; predicting with > leaves a sensitivity of 0.9 or less in {below}")
