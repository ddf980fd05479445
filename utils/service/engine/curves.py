"""Scalar curves: smooth ramps and lookup tables over lightness."""

import numpy as np
from numpy.typing import NDArray

from .planes import Plane

TABLE_STEPS = 1024
LIGHTNESS_MAX = 100.0


def smoothstep(values: Plane, low: float, high: float) -> Plane:
    """Rise smoothly from 0 at `low` to 1 at `high` (cubic Hermite); same shape out."""
    t = np.clip((values - np.float32(low)) * np.float32(1.0 / (high - low)), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def ramp(value: float, low: float, high: float) -> float:
    """Rise linearly from 0 at `low` to 1 at `high`, for one number."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


def steepen(coverage: Plane, gain: float) -> Plane:
    """Sharpen an enlarged coverage 0..1 around one half, so that its edges stay one pixel wide."""
    return np.asarray(np.clip((coverage - 0.5) * gain + 0.5, 0, 1), np.float32)


def table_index(lightness: Plane) -> NDArray[np.intp]:
    """Turn lightness 0..100 into positions of a staircase table."""
    scaled = lightness * np.float32(TABLE_STEPS / LIGHTNESS_MAX)
    return np.asarray(np.clip(scaled, 0, TABLE_STEPS), np.intp)


def soft_staircase(sources: Plane, targets: Plane, half_width: float) -> Plane:
    """Tabulate a staircase that maps every source level to its target level.

    Soft quantisation after Winnemoeller, Olsen and Gooch 2006, with free level positions.
    `sources` [K] ascending lightness, `targets` [K]; the result has TABLE_STEPS + 1 entries over
    lightness 0..100. Steps lie midway between levels and are `half_width` lightness units soft.
    """
    grid = np.linspace(0, LIGHTNESS_MAX, TABLE_STEPS + 1, dtype=np.float32)
    table = np.full(grid.shape, targets[0], np.float32)
    for i in range(1, len(sources)):
        middle = float(sources[i] + sources[i - 1]) / 2
        half = max(1e-2, min(half_width, float(sources[i] - sources[i - 1]) / 2))
        table += np.float32(targets[i] - targets[i - 1]) * smoothstep(grid, middle - half, middle + half)
    return table
