"""The style "anime": flat colours, few tones, lines in darkened local colour."""

from dataclasses import dataclass

import numpy as np

from .blur import gaussian
from .colour import rgb_from_lab
from .curves import ramp, soft_staircase, steepen, table_index
from .lines import Pen, enlargeable
from .planes import Picture, Plane, Size
from .resampling import Enlarger
from .sketch import Sketch
from .tones import Levels, masked_tones, quantise_tones

PEN = Pen(sigma=1.4, epsilon=0.55, phi=1.5, contour=0.55)

_TONES = 7
_TONE_FLATTEN = 0.35
_TONE_HALF_WIDTH = 2.2  # lightness
_DARKEST, _LIGHTEST = 4.0, 97.0
_SATURATION = 1.2
_HEAD_SATURATION = 1.02  # shaded temples and ears would glow
_FEATURE_SATURATION = 0.85  # of the above: red rims of eyes, lips
_SKIN_TONES = 3
_SKIN_STEP = 8.0
_SKIN_STEP_LIMITS = (7.0, 13.0)
_SKIN_LIFT = 4.0  # lightness, for the lightest skin; darker skin keeps its own
_SKIN_HALF_WIDTH = 1.3
_SHADOW_HUE_DEG = -3.0  # per step: shade on skin turns to red
_SHADOW_CHROMA = 1.0
_CALM_CHROMA = 22.0
_CHROMA_GAIN = 1.12
_GLOW_KEPT = 0.2  # of the chroma beyond: flat colour looks stronger than the same colour shaded
_USUAL_HUE_DEG = 52.0
_HUE_PULL_DEG = 6.0
_INK_RGB = (14.0, 7.0, 12.0)
_INK_KEPT = 0.16  # of the colour below the line
_MIN_SKIN_SHARE = 0.0015


@dataclass(frozen=True)
class Palette:
    """Lookup tables over lightness: tones of the picture, and Lab of skin if there is any."""

    tones: Plane  # [1025]
    graded: Plane  # [1025] the same curve without steps
    skin: Plane | None  # [3,1025]


def choose_palette(sketch: Sketch) -> Palette:
    """Choose the tones of a whole picture."""
    levels = quantise_tones(sketch.half_flat[0][::2, ::2], _TONES, _TONE_FLATTEN)
    low, high = min(float(levels[0]), 18.0), max(float(levels[-1]), 82.0)
    share = np.clip((levels - low) / (high - low), 0, 1) ** 0.85
    targets = _DARKEST + (_LIGHTEST - _DARKEST) * share
    tones = soft_staircase(levels.astype(np.float32), targets.astype(np.float32), _TONE_HALF_WIDTH)
    graded = np.interp(np.linspace(0, 100, len(tones)), levels, targets).astype(np.float32)
    skin = _skin_tables(sketch) if sketch.half_skin.mean() > _MIN_SKIN_SHARE else None
    return Palette(tones, graded, skin)


def _skin_tables(sketch: Sketch) -> Plane:
    lightness, a, b = sketch.half_flat
    levels = masked_tones(lightness, sketch.half_skin, _SKIN_TONES, _SKIN_STEP)
    colours = np.array([_skin_colour(lightness, a, b, sketch.half_skin, level) for level in levels])
    targets = _skin_lightness(levels)
    chroma = np.hypot(colours[:, 0], colours[:, 1])
    hue = np.arctan2(colours[:, 1], colours[:, 0])
    depth = np.arange(len(levels))[::-1]
    hue = _skin_hue(hue) + np.deg2rad(_SHADOW_HUE_DEG) * depth
    chroma = _skin_chroma(np.maximum(chroma, chroma[-1])) + _SHADOW_CHROMA * depth
    columns = np.stack([targets, chroma * np.cos(hue), chroma * np.sin(hue)]).astype(np.float32)
    sources = levels.astype(np.float32)
    return np.stack([soft_staircase(sources, column, _SKIN_HALF_WIDTH) for column in columns])


def _skin_colour(lightness: Plane, a: Plane, b: Plane, skin: Plane, level: float) -> tuple[float, float]:
    weight = skin * (np.abs(lightness - np.float32(level)) < _SKIN_STEP) + np.float32(1e-7)
    return float(np.average(a, weights=weight)), float(np.average(b, weights=weight))


def _skin_chroma(chroma: Levels) -> Levels:
    """Pale skin gets a little colour, and glowing skin is calmed."""
    calmed = _CHROMA_GAIN * _CALM_CHROMA + _GLOW_KEPT * (chroma - _CALM_CHROMA)
    return np.asarray(np.where(chroma < _CALM_CHROMA, _CHROMA_GAIN * chroma, calmed), np.float64)


def _skin_hue(hue: Levels) -> Levels:
    """Shades keep half of their own hue; casts are drawn a little towards the usual hue of skin."""
    usual = np.deg2rad(_USUAL_HUE_DEG) - hue[-1]
    limit = np.deg2rad(_HUE_PULL_DEG)
    pulled = hue[-1] + np.clip(0.3 * usual, -limit, limit)
    return np.asarray(pulled + np.clip(0.5 * (hue - hue[-1]), -limit, limit), np.float64)


def _skin_lightness(levels: Levels) -> Levels:
    """Lit skin is lifted a little if it is light, shades follow at their own distance."""
    lit = float(levels[-1])
    lift = _SKIN_LIFT * ramp(lit, 45, 80) * ramp(lit, 98, 88)
    steps = np.clip(np.diff(levels), *_SKIN_STEP_LIMITS)
    below = np.concatenate([[0.0], np.cumsum(steps[::-1])])[::-1]
    return np.asarray(lit + lift - below, np.float64)


class Painter:
    """Paints a sketch at any size, strip by strip."""

    def __init__(self, sketch: Sketch, palette: Palette, size: Size) -> None:
        self._palette = palette
        work = sketch.tone.shape[0], sketch.tone.shape[1]
        self._scale = max(1.0, size[0] / work[0])
        saturation = _SATURATION + np.float32(_HEAD_SATURATION - _SATURATION) * sketch.half_heads
        saturation *= 1 - np.float32(1 - _FEATURE_SATURATION) * sketch.half_features
        self._tone = Enlarger.of(sketch.tone, size)
        self._a = Enlarger.of(sketch.half_flat[1] * saturation, size)
        self._b = Enlarger.of(sketch.half_flat[2] * saturation, size)
        self._skin = Enlarger.of(gaussian(sketch.half_skin, 0.8), size)
        self._blur = Enlarger.of(sketch.half_blur, size)
        self._ink = Enlarger.of(enlargeable(sketch.ink, self._scale), size)

    def strip(self, top: int, bottom: int) -> tuple[Picture, Plane]:
        """Rows `top` to `bottom`: colours uint8 [h,W,3] and ink 0..1 [h,W]."""
        tone = self._tone.strip(top, bottom)
        index = table_index(tone)
        lab = np.stack([self._palette.tones.take(index), self._a.strip(top, bottom), self._b.strip(top, bottom)])
        lab[0] += np.clip(self._blur.strip(top, bottom), 0, 1) * (self._palette.graded.take(index) - lab[0])
        if self._palette.skin is not None:
            skin = np.clip(self._skin.strip(top, bottom), 0, 1)
            for channel, table in zip(lab, self._palette.skin, strict=True):
                channel += skin * (table.take(index) - channel)
        ink = steepen(self._ink.strip(top, bottom), self._scale)
        return _trace(rgb_from_lab(lab), ink), ink


def _trace(rgb: Picture, ink: Plane) -> Picture:
    """Lay ink over colours: lines are a dark version of the colour below, not plain black."""
    colours = rgb.astype(np.float32)
    colours += (colours * np.float32(_INK_KEPT - 1) + np.array(_INK_RGB, np.float32)) * ink[..., None]
    return (colours + np.float32(0.5)).astype(np.uint8)
