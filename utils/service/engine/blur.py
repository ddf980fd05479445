"""Smoothing filters on float32 planes [H,W]; every one replicates the border."""

import numpy as np
import scipy.ndimage as ndi

from .planes import Plane


def gaussian(plane: Plane, sigma_px: float, truncate: float = 3.0) -> Plane:
    """Gaussian blur, cut off at `truncate` sigmas."""
    return np.asarray(ndi.gaussian_filter(plane, sigma_px, truncate=truncate, mode="nearest"), np.float32)


def box_mean(plane: Plane, radius_px: int) -> Plane:
    """Mean over a square of side 2 * radius + 1."""
    return np.asarray(ndi.uniform_filter(plane, 2 * radius_px + 1, mode="nearest"), np.float32)


def wide_gaussian(plane: Plane, sigma_px: float) -> Plane:
    """Approximate a large Gaussian by three box means, at a cost that does not grow with sigma.

    Wells 1986, Efficient synthesis of Gaussian filters by cascaded uniform filters.
    """
    side = int(np.sqrt(4 * sigma_px * sigma_px + 1))
    side += 1 - side % 2
    for _ in range(3):
        plane = np.asarray(ndi.uniform_filter(plane, side, mode="nearest"), np.float32)
    return plane


def guided_smooth(plane: Plane, radius_px: int, variance: float) -> Plane:
    """Smooth where the local variance is below `variance`, keep the edges above it.

    The self-guided form of the guided filter, He, Sun and Tang 2010.
    """
    mean = box_mean(plane, radius_px)
    spread = np.maximum(box_mean(plane * plane, radius_px) - mean * mean, 0)
    gain = np.asarray(spread / (spread + variance), np.float32)
    offset = np.asarray((1 - gain) * mean, np.float32)
    return box_mean(gain, radius_px) * plane + box_mean(offset, radius_px)
