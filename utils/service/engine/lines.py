"""Ink lines: differences of Gaussians gathered along the flow, and thresholded softly."""

from dataclasses import dataclass

import numpy as np

from .blur import gaussian, guided_smooth
from .components import clean_components
from .flow import Flow, smooth_along, tangent_flow
from .hair import strands
from .planes import Plane
from .resampling import resize_plane

_SURROUND = 1.6  # Marr and Hildreth 1980: closest to a Laplacian of a Gaussian
_FLAT_SHARE = 0.35  # of the line source read from the flattened picture: fewer hairs, firm borders
_FLOW_SIGMA = 4.0  # pen units: strands of hair agree on one direction, corners stay corners
_CONTOUR_SIGMA = 2.6  # pen units: silhouettes are drawn with a broader pen
_STEPS = (1.0, 2.0, 4.0, 6.0)  # pen units: taps along the line, together a stroke of 26
_CONTOUR_STEPS = (1.0, 2.5)
_TYPICAL_STRENGTH = 3.2  # lightness: the picture is brought to this contrast of lines ...
_STRENGTH_PERCENTILE = 93
_GAIN_LIMITS = (0.8, 2.2)  # ... within reason: a blank wall stays blank
_FACE_GAIN = 0.5  # folds of a face are soft, yet they make the likeness
_HAIRLINE_STEP = 12.0  # lightness
_ENLARGED, _ENLARGING_SIGMA_PX = 1.3, 0.9  # from this scale on pixels of the ink would show
_FAINT, _FIRM = 0.18, 0.8  # hysteresis: a stroke is faint ink with some firm ink in it
_MIN_FIRM_SHARE = 0.08
_MIN_AREA = 70  # square pen units; shorter strokes are dirt


@dataclass(frozen=True)
class Pen:
    """How ink is put down: width of the strokes, threshold and hardness (XDoG), silhouettes."""

    sigma: float
    epsilon: float
    phi: float
    contour: float


@dataclass(frozen=True)
class LineSource:
    """What lines are read from, at working size [H,W] and at half of it [h,w]."""

    lightness: Plane  # [H,W] of the photograph
    flat: Plane  # [H,W] flattened
    half_flat: Plane  # [h,w] flattened
    half_face: Plane  # [h,w] 1 inside faces
    half_defocus: Plane  # [h,w] 1 out of focus
    half_pale: Plane  # [h,w] 1 on white hair


def ink_lines(source: LineSource, pen: Pen, unit_px: float) -> Plane:
    """Draw the lines of a picture as soft ink [H,W], 0 paper .. 1 ink.

    Flow-based difference of Gaussians (Kang, Lee and Chui 2007) with the soft threshold of XDoG
    (Winnemoeller, Kyprianidis and Olsen 2012), wider contours of the flattened picture, and
    hysteresis on whole strokes. `unit_px` is the pen unit: all lengths scale with it.
    """
    size = source.lightness.shape[0], source.lightness.shape[1]
    calm = guided_smooth(source.lightness, max(1, round(2 * unit_px)), 10.0)
    calm += np.float32(_FLAT_SHARE) * (source.flat - calm)
    pale = resize_plane(source.half_pale, size)
    # White hair is as light as the skin below it: a hairline needs a step to be drawn along.
    calm -= np.float32(_HAIRLINE_STEP) * pale
    half_size = source.half_flat.shape[0], source.half_flat.shape[1]
    flow = tangent_flow(resize_plane(calm, half_size), _FLOW_SIGMA * unit_px / 2)
    steps_px = [max(1.0, step * unit_px) for step in _STEPS]
    full_flow = flow.resized(size)
    response = smooth_along(_difference(calm, pen.sigma * unit_px), full_flow, steps_px)
    contours = _contours(source, flow, pen, unit_px)
    np.minimum(response, resize_plane(contours, size), out=response)
    response *= np.float32(_contrast_gain(response))
    emphasis = 1 + np.float32(_FACE_GAIN) * np.maximum(source.half_face, source.half_pale)
    emphasis *= (1 - source.half_defocus) ** 2
    response *= resize_plane(emphasis, size)
    response += strands(source.lightness, full_flow, pale, unit_px)
    response = gaussian(response, 0.7 * unit_px, 2.0)
    ink = np.clip(np.tanh((response + np.float32(pen.epsilon)) * np.float32(-pen.phi)), 0, 1)
    ink = clean_components(ink, _FAINT, _FIRM, int(_MIN_AREA * unit_px * unit_px), _MIN_FIRM_SHARE)
    return np.asarray(np.clip((ink - _FAINT) / (_FIRM + 0.05 - _FAINT), 0, 1), np.float32)


def enlargeable(ink: Plane, scale: float) -> Plane:
    """Prepare ink [H,W] for being enlarged and sharpened again: blurred, or its pixels would show."""
    return gaussian(ink, _ENLARGING_SIGMA_PX) if scale > _ENLARGED else ink


def _difference(plane: Plane, sigma_px: float) -> Plane:
    return gaussian(plane, sigma_px) - gaussian(plane, sigma_px * _SURROUND)


def _contours(source: LineSource, flow: Flow, pen: Pen, unit_px: float) -> Plane:
    """Response of broad silhouettes at half size, held back inside faces."""
    response = _difference(source.half_flat, _CONTOUR_SIGMA * unit_px / 2)
    response = smooth_along(response, flow, [max(1.0, step * unit_px) for step in _CONTOUR_STEPS])
    return response * (np.float32(pen.contour) * (1 - np.float32(0.8) * source.half_face))


def _contrast_gain(response: Plane) -> float:
    strength = -response[::4, ::4]
    strength = strength[strength > 0.15]
    if strength.size < 100:
        return 1.0
    typical = float(np.percentile(strength, _STRENGTH_PERCENTILE))
    return float(np.clip(_TYPICAL_STRENGTH / max(typical, 1e-3), *_GAIN_LIMITS))
