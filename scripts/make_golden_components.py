#!/usr/bin/env python3
"""Makes fixtures/golden/components.npz: what numpy says about the principal components of 60 small images."""

import pathlib

import numpy as np

rows, pixels, kept = 60, 30, 4
rng = np.random.default_rng(5)
# Strokes of a few shapes, most pixels black, one pixel never inked.
shapes = rng.random((6, pixels)) * (rng.random((6, pixels)) < 0.4)
images = rng.random((rows, 6)) @ shapes * 120 * (rng.random((rows, pixels)) < 0.8)
images[:, 7] = 0
images = images.clip(0, 255).astype(np.uint8)

centred = images - images.mean(0)
_, singular, axes = np.linalg.svd(centred, full_matrices=False)
variance = singular**2
np.savez(
    pathlib.Path(__file__).parent.parent / "fixtures/golden/components.npz",
    images=images,
    reconstruction=centred @ axes[:kept].T @ axes[:kept],
    explained=variance[:kept] / variance.sum(),
)
