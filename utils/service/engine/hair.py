"""White and grey hair: where it is, and the strands that it is drawn with."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .blur import box_mean, gaussian, wide_gaussian
from .components import clean_components
from .curves import ramp, smoothstep
from .figure import Face, face_radius, head_map
from .flow import Flow, smooth_along
from .planes import Plane
from .skin_model import SkinModel

_REACH = 1.6  # face widths
_TEXTURE_SIGMAS = (0.5, 1.1)  # pen units of half size: single strands
_TEXTURE_WINDOW = 3.0  # pen units of half size
_SMOOTH, _TEXTURED = 0.18, 0.32  # deviation in lightness: a wall out of focus; hair
_PALER, _ALIKE = 0.7, 0.95  # yellow of white hair, and of skin, over that of the face
_LIGHT = (35, 50)  # lightness from which grey counts as pale
_PALE_SHARES = (0.12, 0.28)  # of the hairline must be pale ...
_DARK_SHARES = (0.08, 0.15)  # ... and little dark, or it is dark hair or a hat before a white wall
_EYEBROWS = 0.12  # of the height of the face, above its middle
_HAIRLINE_SHARE = 0.05  # of the height of the face
_DARK = 0.55  # of the lightness of the face
_FACE_RADIUS, _FOREHEAD_RADIUS = (0.8, 0.95), (1.1, 1.25)  # beyond which pale is hair, even if it passes for skin
_CLOSING = 2.5  # pen units of half size: gaps between textured spots
_MIN_AREA = 1500.0  # square pen units of half size; less is a highlight or a collar
_STRAND_SIGMA, _STRAND_SURROUND = 1.3, 1.8  # pen units, and its multiple
_STRAND_STEPS = (1.0, 2.0, 4.0, 6.0, 9.0)  # pen units: longer than other lines, for few and flowing strands
_STRAND_PERCENTILE, _STRAND_STRENGTH = 90, 2.7  # lightness: the deepest tenth becomes firm ink ...
_RIM = 8.0  # pen units
_MIN_STRAND_DEPTH = 0.3  # lightness ... unless there is hardly any


def pale_hair(lab: Plane, skin: Plane, faces: Sequence[Face], models: Sequence[SkinModel], unit_px: float) -> Plane:
    """Where people have white or grey hair in a photograph [3,h,w], 0..1 [h,w].

    It shows as light, textured and less yellow than the skin of the same person (`skin` [h,w]), at
    the hairline and from there on. `unit_px` is the pen unit at this size.
    """
    size = lab.shape[1], lab.shape[2]
    pale = np.zeros(size, np.float32)
    if not any(model.coloured for model in models):
        return pale
    lightness = gaussian(lab[0], unit_px)
    yellow = np.asarray(np.abs(gaussian(lab[2], unit_px)) / (lightness + 16), np.float32)
    light = smoothstep(lightness, *_LIGHT) * smoothstep(_texture(lab[0], unit_px), _SMOOTH, _TEXTURED)
    for face, model in zip(faces, models, strict=True):
        if model.coloured:
            paler = 1 - smoothstep(yellow / np.float32(max(model.b_ratio, 0.05)), _PALER, _ALIKE)
            paler *= light * _bare(skin, face_radius(face, size))
            certainty = _certainty(paler, lightness < _DARK * model.lightness, _hairline(skin, face))
            pale = np.maximum(pale, paler * head_map([face], size, _REACH) * np.float32(certainty))
    closed = smoothstep(gaussian(pale, _CLOSING * unit_px), 0.25, 0.6)
    return clean_components(closed, 0.3, 0.6, int(_MIN_AREA * unit_px * unit_px), 0.3)


def _certainty(pale: Plane, dark: NDArray[np.bool_], hairline: Plane) -> float:
    """How surely the `hairline` belongs to pale hair, 0..1: much of it is pale and little is dark."""
    total = max(float(hairline.sum()), 1.0)
    shares = float((pale * hairline).sum()) / total, float((dark * hairline).sum()) / total
    return ramp(shares[0], *_PALE_SHARES) * (1 - ramp(shares[1], *_DARK_SHARES))


def _bare(skin: Plane, radius: Plane) -> Plane:
    """Where nothing speaks for the face itself, 0..1 [H,W]: glossy foreheads are pale as well."""
    outside = smoothstep(radius, *_FACE_RADIUS)
    return outside + skin * (smoothstep(radius, *_FOREHEAD_RADIUS) - outside)


def _hairline(skin: Plane, face: Face) -> Plane:
    """Where hair meets the skin of a face, 0..1 [H,W]: a band around the skin, above the brows."""
    height, width = skin.shape
    near = wide_gaussian(skin, max(1.0, _HAIRLINE_SHARE * face.height * height))
    band = smoothstep(near, 0.1, 0.3) * (1 - skin) * smoothstep(face_radius(face, (height, width)), *_FACE_RADIUS)
    above = np.arange(height) < (face.y - _EYEBROWS * face.height) * height
    return np.asarray(band * above[:, None], np.float32)


def _texture(lightness: Plane, unit_px: float) -> Plane:
    """Deviation of the finest detail of the lightness around every pixel [H,W]."""
    fine, coarse = (gaussian(lightness, sigma * unit_px) for sigma in _TEXTURE_SIGMAS)
    variance = wide_gaussian((fine - coarse) ** 2, _TEXTURE_WINDOW * unit_px)
    return np.asarray(np.sqrt(np.maximum(variance, 0)), np.float32)


def strands(lightness: Plane, flow: Flow, pale: Plane, unit_px: float) -> Plane:
    """Response of the dark gaps between strands of pale hair [H,W]: negative on lines, zero elsewhere.

    The line integral of Kang, Lee and Chui 2007 over the texture of the photograph, with a longer
    reach: what does not run with the hair averages out.
    """
    inside = box_mean(pale, round(_RIM * unit_px)) > 0.9  # the outline of the head is deeper than any strand
    if not inside.any():
        return np.zeros_like(lightness)
    sigma_px = _STRAND_SIGMA * unit_px
    response = gaussian(lightness, sigma_px) - gaussian(lightness, sigma_px * _STRAND_SURROUND)
    response = smooth_along(response, flow, [max(1.0, step * unit_px) for step in _STRAND_STEPS])
    deepest = float(np.percentile(-response[inside], _STRAND_PERCENTILE))
    gain = np.float32(_STRAND_STRENGTH / max(deepest, _MIN_STRAND_DEPTH))
    return np.asarray(np.minimum(response, 0) * pale * gain, np.float32)
