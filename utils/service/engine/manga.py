"""The style "manga": black ink, solid blacks and 45-degree screentone on paper."""

from dataclasses import dataclass

import numpy as np

from .blur import box_mean, gaussian
from .components import clean_components
from .curves import ramp, smoothstep, steepen
from .lines import Pen, enlargeable
from .planes import Picture, Plane, Size
from .resampling import Enlarger, resize_plane
from .screentone import screentone
from .sketch import People, Sketch

PEN = Pen(sigma=1.5, epsilon=0.5, phi=1.9, contour=0.7)

_BLACK, _DARK, _LIGHT = 0.24, 0.45, 0.66  # normalised tone: below black, dark film, light film, paper
_DARK_COVERAGE, _LIGHT_COVERAGE = 0.34, 0.13
_FADE = 0.012  # half width of the border between two films
_INK_HARDNESS = 2.6
_KNIFE = 2.0  # film is cut through its dots, not faded out
_CELL_UNITS = 10.0  # pen units of a lattice cell
_MIN_CELL_PX = 6.5  # finer dots melt into grey
_MIN_SKIN_SHARE = 0.0015
_PAPER_DEG, _TONED_DEG = 47.0, 42.0  # typology angle of skin left white; of skin that gets a film
_SKIN_ON_PAPER, _SKIN_ON_FILM = 0.80, 0.56
_SKIN_CONTRAST = 0.62  # only firm shadows get a film
_DARKEST_SKIN = 0.33  # shade on skin is film, never solid black
_HAIR_ON_PAPER, _HAIR_CONTRAST = 0.70, 1.8  # white hair is paper, its shaded side a light film
_HAIR_SIGMA = 5.0  # pen units: the round of the head, not its strands
_DARKEST_PALE_HAIR = 0.5  # above the dark film
_MIN_HAIR_SHARE = 0.001
_BACKGROUND_BLACK = 0.2  # out of focus only the deepest tones are solid
_BACKGROUND_COVERAGE = ((0.2, 0.46), (0.45, 0.24), (0.62, 0.11), (0.7, 0.0))  # tone, coverage: graded film


@dataclass(frozen=True)
class Exposure:
    """How lightness becomes normalised tone: black and white point, and where lit skin belongs."""

    black: float
    white: float
    skin: float | None  # normalised tone of lit skin
    skin_target: float
    pale_hair: float | None  # normalised tone of white and grey hair


def choose_exposure(sketch: Sketch, people: People) -> Exposure:
    """Choose black, white and the tone of skin for a whole picture."""
    lightness = sketch.half_flat[0]
    black, white = np.percentile(lightness[::4, ::4], [1, 99])
    low, high = min(float(black), 18.0), max(float(white), 80.0)
    hair = None
    if sketch.half_pale.mean() > _MIN_HAIR_SHARE:
        hair = (float(np.average(lightness, weights=sketch.half_pale)) - low) / (high - low)
    weight = sketch.half_skin
    if weight.mean() <= _MIN_SKIN_SHARE:
        return Exposure(low, high, None, 0.0, hair)
    mean = float(np.average(lightness, weights=weight))
    lit_weight = weight * (lightness >= mean)
    lit = float(np.average(lightness, weights=lit_weight)) if lit_weight.sum() > 0 else mean
    lightest_deg = max(skin.typology_deg for skin in people.skins)
    target = _SKIN_ON_FILM + (_SKIN_ON_PAPER - _SKIN_ON_FILM) * ramp(lightest_deg, _TONED_DEG, _PAPER_DEG)
    return Exposure(low, high, (lit - low) / (high - low), target, hair)


class Painter:
    """Prints a sketch at any size, strip by strip."""

    def __init__(self, sketch: Sketch, exposure: Exposure, size: Size, page: Size, corner: Size) -> None:
        work = sketch.tone.shape[0], sketch.tone.shape[1]
        scale = max(1.0, size[0] / work[0])
        self._scale = scale
        self._fade = _FADE / scale
        self._corner = corner
        self._cell_px = max(_MIN_CELL_PX, _CELL_UNITS * max(page) / 1024)
        tone = _expose(sketch, exposure)
        self._tone = Enlarger.of(tone, size)
        self._film = Enlarger.of(_cut_film(tone, sketch), size)
        self._blur = Enlarger.of(sketch.half_blur, size)
        self._ink = Enlarger.of(enlargeable(steepen(sketch.ink, _INK_HARDNESS), self._scale), size)

    def strip(self, top: int, bottom: int) -> tuple[Picture, Plane]:
        """Rows `top` to `bottom`: grey uint8 [h,W,3] and ink lines 0..1 [h,W]."""
        tone = self._tone.strip(top, bottom)
        blurred = np.clip(self._blur.strip(top, bottom), 0, 1)
        ink = steepen(self._ink.strip(top, bottom), self._scale)
        solid = _solid_black(tone, _BLACK + (_BACKGROUND_BLACK - _BLACK) * blurred)
        coverage = self._coverage(tone)
        coverage += blurred * (_graded_coverage(tone) - coverage)
        film = steepen(self._film.strip(top, bottom), _KNIFE * self._scale)
        dots = screentone(coverage, self._cell_px, self._corner[0] + top, self._corner[1]) * film
        black = np.maximum(np.maximum(ink, solid), dots)
        grey = (255 * (1 - black) + np.float32(0.5)).astype(np.uint8)
        return np.repeat(grey[..., None], 3, 2), ink

    def _coverage(self, tone: Plane) -> Plane:
        above_dark = smoothstep(tone, _DARK - self._fade, _DARK + self._fade)
        above_light = smoothstep(tone, _LIGHT - self._fade, _LIGHT + self._fade)
        film = np.float32(_DARK_COVERAGE) + above_dark * np.float32(_LIGHT_COVERAGE - _DARK_COVERAGE)
        return film * (1 - above_light)


def _expose(sketch: Sketch, exposure: Exposure) -> Plane:
    """Normalised tone [H,W], with skin and pale hair brought to their own places."""
    size = sketch.tone.shape[0], sketch.tone.shape[1]
    tone = (sketch.tone - np.float32(exposure.black)) / np.float32(exposure.white - exposure.black)
    tone = np.asarray(np.clip(tone, 0, 1), np.float32)
    if exposure.skin is not None:
        shifted = np.float32(exposure.skin_target) + (tone - np.float32(exposure.skin)) * np.float32(_SKIN_CONTRAST)
        tone += resize_plane(sketch.half_skin, size) * (np.maximum(shifted, np.float32(_DARKEST_SKIN)) - tone)
    if exposure.pale_hair is not None:
        shade = gaussian(tone, _HAIR_SIGMA * sketch.unit_px) - np.float32(exposure.pale_hair)
        shifted = np.float32(_HAIR_ON_PAPER) + shade * np.float32(_HAIR_CONTRAST)
        hair = smoothstep(
            resize_plane(sketch.half_pale, size), 0.4, 0.6
        )  # a half tone at its rim would be a row of dots
        tone += hair * (np.maximum(shifted, np.float32(_DARKEST_PALE_HAIR)) - tone)
    return tone


def _cut_film(tone: Plane, sketch: Sketch) -> Plane:
    """Where film is laid [h,w]: not in slivers along borders, which would be rows of single dots."""
    size = sketch.half_skin.shape[0], sketch.half_skin.shape[1]
    unit_px = sketch.unit_px / 2
    half = resize_plane(tone, size)
    toned = ((half > _BLACK - 0.02) & (half < _LIGHT + 0.02)).astype(np.float32)
    radius_px = max(1, round(6 * unit_px))
    core = (box_mean(toned, radius_px) > 0.62).astype(np.float32)
    film = toned * (box_mean(core, radius_px) > 0.12)
    film = clean_components(film, 0.5, 0.5, int(1200 * unit_px * unit_px), 0.5)
    soft = smoothstep(gaussian(film, max(0.5, 2.4 * unit_px)), 0.4, 0.6)
    soft = np.maximum(soft, smoothstep(sketch.half_blur, 0.2, 0.6))
    # Dots would cover what is small: eyes and mouth stay clear.
    features = gaussian(sketch.half_features, 6 * unit_px)
    return soft * (1 - smoothstep(features, 0.08, 0.3))


def _solid_black(tone: Plane, threshold: Plane) -> Plane:
    """Fill below the threshold with a border one pixel wide at any slope."""
    down, across = np.gradient(tone) if min(tone.shape) > 1 else (np.zeros_like(tone), np.zeros_like(tone))
    slope = np.sqrt(down * down + across * across) + np.float32(1e-4)
    return np.asarray(np.clip((threshold - tone) / slope + 0.5, 0, 1), np.float32)


def _graded_coverage(tone: Plane) -> Plane:
    tones, coverages = zip(*_BACKGROUND_COVERAGE, strict=True)
    return np.interp(tone, tones, coverages).astype(np.float32)
