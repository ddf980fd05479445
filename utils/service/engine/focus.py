"""Which parts of a picture lie out of focus, told by the blur of their edges."""

import numpy as np
import scipy.ndimage as ndi

from .blur import gaussian, wide_gaussian
from .curves import smoothstep
from .flow import gradient
from .planes import Plane

_FINE_SIGMA_PX = 1.0
_COARSE_SIGMA_PX = 2.8
_MIN_EDGE = 0.7  # lightness per pixel; weaker slopes are noise or shading
_WINDOW_SHARE = 1 / 36  # of the long side: how far one edge speaks for its surroundings
_FAR_SHARE = 0.2
_SHARP_PERCENTILE = 90
_CREST_PX = 7
_BLURRED = 0.25  # of the sharpness of the sharpest edges: surely out of focus
_SHARP = 0.7


def defocus(lightness: Plane) -> Plane:
    """Estimate defocus of a lightness plane [H,W]: 0 in focus or unknown, 1 clearly blurred.

    Blurs the picture again and compares edge slopes: a sharp edge loses most of its slope, a
    blurred one little (Zhuo and Sim 2011, Defocus map estimation from a single image). The ratio
    at edges is spread to their surroundings by normalised convolution, and judged against the
    sharpest edges of the same picture, so that a soft photograph is not all background.
    """
    fine = np.hypot(*gradient(gaussian(lightness, _FINE_SIGMA_PX))) / 2
    coarse = np.hypot(*gradient(gaussian(lightness, _COARSE_SIGMA_PX))) / 2
    weight = np.maximum(coarse - np.float32(_MIN_EDGE), 0)
    edges = weight > 0
    if edges.sum() < 64:
        return np.zeros_like(lightness)
    # Slopes are compared at the crest of the edge: beside it even a sharp edge looks shallow.
    crest = ndi.maximum_filter(fine, _CREST_PX) / np.maximum(ndi.maximum_filter(coarse, _CREST_PX), np.float32(0.1))
    sharpness = np.clip(crest - 1, 0, 2)
    reference = float(np.percentile(sharpness[edges], _SHARP_PERCENTILE))
    sigma_px = max(lightness.shape) * _WINDOW_SHARE
    evidence = _spread(weight, sigma_px)
    relative = _spread(weight * sharpness, sigma_px) / (evidence + np.float32(1e-6))
    relative /= np.float32(max(reference, 0.2))
    known = smoothstep(evidence, 0.002, 0.02)
    return known * (1 - smoothstep(relative, _BLURRED, _SHARP))


def _spread(plane: Plane, sigma_px: float) -> Plane:
    """Blur at two scales: empty places take over what is known farther away."""
    return wide_gaussian(plane, sigma_px) + np.float32(_FAR_SHARE) * wide_gaussian(plane, 4 * sigma_px)
