"""The skin of the people in a picture: a colour model learned from their faces, and its mask."""

from collections.abc import Sequence

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from .blur import gaussian
from .curves import smoothstep
from .figure import Face, face_ellipse, face_radius, neck_map
from .planes import Plane
from .skin_model import CORE, SkinModel, skin_probability

_SURROUNDINGS = 1.5  # radii from which on most pixels are not the face
_BINS, _BIN, _BIN_ORIGINS = 25, 4.2, (0.0, -40.0, -40.0)  # colour histogram: cells of 4.2 in L, a and b
_NECK_TOLERANCE = 1.0  # negative strictness: the shade of the chin shifts colours
_REACH = 5.0  # how many half faces skin may lie away: hands, bare arms
_MIN_ISLAND_SHARE = 0.06  # of the largest area; smaller ones are wood, gold or leather


def plain_skin(lab: Plane, faces: Sequence[Face], models: Sequence[SkinModel]) -> Plane:
    """What is as light as the skin inside the faces of a grey picture, 0..1 [H,W].

    Too vague to be painted as skin, yet enough to tell eyes and mouth from cheeks.
    """
    size = lab.shape[1], lab.shape[2]
    plain = np.zeros(size, np.float32)
    for face, model in zip(faces, models, strict=True):
        tolerance = 10 + 2 * model.spread_lightness
        similar = 1 - smoothstep(np.abs(lab[0] - model.lightness), tolerance, tolerance + 8)
        plain = np.maximum(plain, similar * face_ellipse(face, size))
    return plain


def distinctness(lab: Plane, radius: Plane, neck: Plane) -> Plane:
    """How much likelier a colour [3,H,W] is inside the face than around it [H,W], 0..1.

    Bayes' rule with equal priors on two smoothed colour histograms (after Jones and Rehg 1999),
    both taken from this picture: warm walls and hair that pass for skin by colour alone do not
    pass next to the face that they surround.
    """
    bins = tuple(
        np.clip((channel - np.float32(low)) / np.float32(_BIN), 0, _BINS - 1).astype(np.intp)
        for channel, low in zip(lab, _BIN_ORIGINS, strict=True)
    )
    index = (bins[0] * _BINS + bins[1]) * _BINS + bins[2]
    inside = _density(index[radius < CORE])
    outside = _density(index[(radius > _SURROUNDINGS) & (neck < 0.5)])
    return np.asarray((inside / (inside + outside + 1e-12)).astype(np.float32).take(index))


def _density(index: NDArray[np.intp]) -> NDArray[np.float64]:
    """Smoothed histogram of colour bins, summing to one."""
    counts = np.bincount(index, minlength=_BINS**3).reshape(_BINS, _BINS, _BINS).astype(np.float64)
    smooth = ndi.gaussian_filter(counts, 0.8, mode="constant", truncate=2.5).ravel()
    return np.asarray(smooth / max(len(index), 1))


def skin_mask(lab: Plane, faces: Sequence[Face], models: Sequence[SkinModel]) -> Plane:
    """Soft mask of the skin of the given people in a flattened picture [3,H,W], 0..1 [H,W].

    Every face contributes what its model explains within its reach, small islands apart. A picture
    without faces has no skin, nor has a grey one.
    """
    size = lab.shape[1], lab.shape[2]
    mask = np.zeros(size, np.float32)
    for face, model in zip(faces, models, strict=True):
        if model.coloured:
            mask = np.maximum(mask, _skin_of(lab, face, model))
    height_px = max((face.height * size[0] for face in faces), default=0.0)
    if height_px == 0:
        return mask
    opened = smoothstep(gaussian(mask, max(0.8, height_px / 110)), 0.35, 0.6)
    return _without_small_islands(mask * opened)


def _skin_of(lab: Plane, face: Face, model: SkinModel) -> Plane:
    size = lab.shape[1], lab.shape[2]
    radius = face_radius(face, size)
    neck = neck_map(face, size)
    strictness = smoothstep(radius, 0.75, 2.2) * (1 - neck)
    distinct = smoothstep(distinctness(lab, radius, neck) + np.float32(0.3) * neck, 0.3, 0.55)
    probability = skin_probability(lab, model, strictness - np.float32(_NECK_TOLERANCE) * neck) * distinct
    return probability * (1 - smoothstep(radius, _REACH, 2 * _REACH))


def _without_small_islands(mask: Plane) -> Plane:
    labels, count = ndi.label(mask > 0.4)
    if count < 2:
        return mask
    area = np.bincount(labels.ravel(), minlength=count + 1)
    area[0] = 0
    kept = area >= _MIN_ISLAND_SHARE * area.max()
    kept[0] = True
    grown = ndi.grey_dilation(labels, 3)
    return np.asarray(mask * kept[grown], np.float32)
