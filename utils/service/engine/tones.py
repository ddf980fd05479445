"""Choosing few tones for many: optimal one-dimensional quantisers."""

import numpy as np
from numpy.typing import NDArray

from .planes import Plane

Levels = NDArray[np.float64]
"""Ascending lightness levels [K]."""

_BINS = 128
_ROUNDS = 12


def quantise_tones(lightness: Plane, count: int, flatten: float) -> Levels:
    """Choose `count` lightness levels for a picture so that borders fall where few pixels are.

    Lloyd 1982 on the histogram raised to the power 1 - `flatten`, which gives small but distinct
    regions a say against a large background. Returns fewer levels for fewer distinct values.
    """
    histogram, centres = _histogram(lightness, None)
    histogram **= 1 - flatten
    occupied = centres[histogram > 0]
    start = np.linspace(occupied.min(), occupied.max(), count)
    return np.unique(_lloyd(histogram, centres, start))


def masked_tones(lightness: Plane, weight: Plane, count: int, min_step: float) -> Levels:
    """Choose at most `count` levels for the weighted part of a plane, `min_step` apart."""
    histogram, centres = _histogram(lightness, weight)
    share = np.cumsum(histogram)
    targets = share[-1] * (np.arange(count) + 0.5) / count
    start = centres[np.minimum(np.searchsorted(share, targets), _BINS - 1)]
    merged: list[float] = []
    for level in np.sort(_lloyd(histogram, centres, start)):
        if merged and level - merged[-1] < min_step:
            merged[-1] = (merged[-1] + float(level)) / 2
        else:
            merged.append(float(level))
    return np.array(merged)


def _histogram(lightness: Plane, weight: Plane | None) -> tuple[Levels, Levels]:
    weights = None if weight is None else weight.ravel()
    counts, edges = np.histogram(lightness.ravel(), _BINS, (0, 100), weights=weights)
    if counts.sum() == 0:
        counts = np.ones(_BINS)
    return counts.astype(np.float64), (edges[1:] + edges[:-1]) / 2


def _lloyd(histogram: Levels, centres: Levels, levels: Levels) -> Levels:
    levels = levels.astype(np.float64)
    for _ in range(_ROUNDS):
        nearest = np.abs(centres[:, None] - levels).argmin(1)
        mass = np.bincount(nearest, weights=histogram, minlength=len(levels))
        moment = np.bincount(nearest, weights=histogram * centres, minlength=len(levels))
        levels = np.where(mass > 0, moment / np.maximum(mass, 1e-12), levels)
    return levels
