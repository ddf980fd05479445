"""Cleaning of soft masks by their connected components."""

import numpy as np
import scipy.ndimage as ndi

from .planes import Plane

_EIGHT_CONNECTED = np.ones((3, 3), bool)


def clean_components(mask: Plane, low: float, high: float, min_area_px: int, min_strong_share: float) -> Plane:
    """Erase components of a soft mask [H,W] that are small or nowhere strong.

    Components are 8-connected pixels above `low`; a component stays when it has `min_area_px`
    pixels and a share `min_strong_share` of them exceeds `high` (hysteresis, after Canny 1986).
    """
    labels, count = ndi.label(mask > low, structure=_EIGHT_CONNECTED)
    flat = labels.ravel()
    area = np.bincount(flat, minlength=count + 1)
    strong = np.bincount(flat, weights=(mask > high).ravel(), minlength=count + 1)
    kept = (area >= min_area_px) & (strong >= min_strong_share * area)
    kept[0] = True  # the faint surroundings belong to no stroke and carry its soft edge
    return np.asarray(mask * kept[labels], np.float32)
