"""Which parts of a picture lie out of focus, told by the blur of their edges."""

import numpy as np
import scipy.ndimage as ndi

from .blur import gaussian, wide_gaussian
from .curves import smoothstep
from .flow import gradient
from .planes import Plane, Size
from .resampling import resize_plane

_FINE_SIGMA_PX = 1.0
_COARSE_SIGMA_PX = 2.8
_MIN_EDGE = 0.5  # lightness per pixel; weaker slopes are noise or shading
_WINDOW_SHARE = 1 / 36  # of the long side: how far one edge speaks for its surroundings
_FAR_SHARE = 0.2
_SHARP_PERCENTILE = 90
_CREST_PX = 5  # at half size
_BLURRED = 0.23  # of the sharpness of the sharpest edges: surely out of focus
_SHARP = 0.58


def defocus(lightness: Plane) -> Plane:
    """Estimate defocus of a plane of lightness [H,W] (even) at half its size: 0 sharp or unknown, 1 clearly blurred.

    Blurs the picture again and compares edge slopes: a sharp edge loses most of its slope, a
    blurred one little (Zhuo and Sim 2011, Defocus map estimation from a single image). The ratio
    at edges is spread to their surroundings by normalised convolution, and judged against the
    sharpest edges of the same picture, so that a soft photograph is not all background.
    """
    size = lightness.shape[0] // 2, lightness.shape[1] // 2
    fine = _steepest(gaussian(lightness, _FINE_SIGMA_PX), size)
    coarse = _slope(gaussian(resize_plane(lightness, size), _COARSE_SIGMA_PX / 2)) / 2
    weight = np.maximum(coarse - np.float32(_MIN_EDGE), 0)
    edges = weight > 0
    if edges.sum() < 64:
        return np.zeros(size, np.float32)
    # Slopes are compared at the crest of the edge: beside it even a sharp edge looks shallow.
    crest = ndi.maximum_filter(fine, _CREST_PX) / np.maximum(ndi.maximum_filter(coarse, _CREST_PX), np.float32(0.1))
    sharpness = np.clip(crest - 1, 0, 2)
    reference = float(np.percentile(sharpness[edges], _SHARP_PERCENTILE))
    sigma_px = max(size) * _WINDOW_SHARE
    evidence = _spread(weight, sigma_px)
    relative = _spread(weight * sharpness, sigma_px) / (evidence + np.float32(1e-6))
    relative /= np.float32(max(reference, 0.2))
    known = smoothstep(evidence, 0.002, 0.02)
    return known * (1 - smoothstep(relative, _BLURRED, _SHARP))


def _slope(lightness: Plane) -> Plane:
    """Lightness per pixel [H,W]."""
    across, down = gradient(lightness)
    return np.asarray(np.sqrt(across * across + down * down) / 2, np.float32)


def _steepest(lightness: Plane, size: Size) -> Plane:
    """Slope [h,w] in lightness per pixel of [H,W]: the steepest of every four pixels.

    Half a picture would be too small a witness: out-of-focus lights shrink to sharp dots in it.
    """
    even = _slope(lightness)[: 2 * size[0], : 2 * size[1]]
    rows = np.maximum(even[::2], even[1::2])
    return np.asarray(np.maximum(rows[:, ::2], rows[:, 1::2]), np.float32)


def _spread(plane: Plane, sigma_px: float) -> Plane:
    """Blur at two scales: empty places take over what is known farther away."""
    return wide_gaussian(plane, sigma_px) + np.float32(_FAR_SHARE) * wide_gaussian(plane, 4 * sigma_px)
