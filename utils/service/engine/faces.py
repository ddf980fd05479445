"""Finding faces by the light and dark pattern they share, and by the colour of skin."""

from dataclasses import dataclass

import numpy as np

from .figure import Face
from .flow import gradient
from .planes import Plane
from .skin_model import skin_likeness
from .windows import WINDOW_ASPECT, Patch, SummedArea, Window

SURVEY_LONG_SIDE_PX = 256  # a face of 4 % of the long side is still ten pixels wide here
_SMALLEST_PX = 10
_SCALE_STEP = 1.22
_STRIDE_WIDTH_PX = 12  # windows move by one pixel for every so many of their width
_FURTHER_CERTAINTY, _SCORE_TOLERANCE = 0.2, 0.45
_SIZE_TOLERANCE = 0.6  # of the width of the first face: portraits show their people at one distance
_POSITION_PENALTY = 0.4
_SIZE_BONUS = 0.06  # per doubling: small windows match by chance more often
_GAIN = 1.3  # a relation counts in full before a whole standard deviation: its sign matters, not its size
_MAX_FACES = 3
_MIN_SCORE = 1.3
_MIN_GREY_SCORE = 1.15
_GREY_CHROMA = 4.0  # mean chroma below which the colour of skin says nothing


_Relation = tuple[Patch, Patch, float]

_FOREHEAD = Patch(0.25, 0.04, 0.75, 0.20)
_LEFT_EYE = Patch(0.14, 0.28, 0.42, 0.43)
_RIGHT_EYE = Patch(0.58, 0.28, 0.86, 0.43)
_BRIDGE = Patch(0.44, 0.28, 0.56, 0.50)
_LEFT_CHEEK = Patch(0.14, 0.50, 0.38, 0.66)
_RIGHT_CHEEK = Patch(0.62, 0.50, 0.86, 0.66)
_MOUTH = Patch(0.30, 0.73, 0.70, 0.84)
_CHIN = Patch(0.36, 0.88, 0.64, 0.98)
_NOSE = Patch(0.38, 0.48, 0.62, 0.62)
_INSIDE = Patch(0.12, 0.05, 0.88, 0.95)
_AROUND = Patch(-0.35, -0.25, 1.35, 1.15)
_WHOLE = Patch(0.0, 0.0, 1.0, 1.0)

# Which patch is lighter than which, and how much the relation counts.
_RELATIONS = (
    (_FOREHEAD, _LEFT_EYE, 1.0),
    (_FOREHEAD, _RIGHT_EYE, 1.0),
    (_LEFT_CHEEK, _LEFT_EYE, 1.5),
    (_RIGHT_CHEEK, _RIGHT_EYE, 1.5),
    (_BRIDGE, _LEFT_EYE, 1.0),
    (_BRIDGE, _RIGHT_EYE, 1.0),
    (_NOSE, _MOUTH, 1.0),
    (_CHIN, _MOUTH, 0.5),
)

# Which patch is busier than which: eyes and mouth against smooth skin; hair and foliage are busy all over.
_BUSY_RELATIONS = (
    (_LEFT_EYE, _LEFT_CHEEK, 1.0),
    (_RIGHT_EYE, _RIGHT_CHEEK, 1.0),
    (_LEFT_EYE, _FOREHEAD, 0.7),
    (_RIGHT_EYE, _FOREHEAD, 0.7),
    (_MOUTH, _CHIN, 0.6),
)
_BUSY_SHARE = 0.5


@dataclass(frozen=True)
class _Evidence:
    """What windows are judged by: lightness, its square, its slope, and the likeness to skin."""

    lightness: SummedArea
    square: SummedArea
    slope: SummedArea
    skin: SummedArea | None


def find_faces(lab: Plane) -> list[Face]:
    """Find up to three upright faces in a small picture [3,H,W], the most certain first.

    Sinha's ratio templates (Sinha 1994): under any light, eyes are darker than forehead and cheeks,
    the mouth darker than the nose; here graded by contrast, and joined with the share of
    skin colour inside the window against its surroundings. Grey pictures use the pattern alone.
    """
    size = lab.shape[1:]
    coloured = float(np.hypot(lab[1], lab[2]).mean()) > _GREY_CHROMA
    widths = _window_widths(size)
    if not widths:
        return []
    evidence = _gather_evidence(lab, coloured, int(widths[-1]) + 3)
    scores = np.stack([_window_scores(evidence, size, width_px) for width_px in widths])
    return _best_windows(scores, widths, _MIN_SCORE if coloured else _MIN_GREY_SCORE)


def _gather_evidence(lab: Plane, coloured: bool, margin_px: int) -> _Evidence:
    lightness = lab[0]
    return _Evidence(
        SummedArea(lightness, margin_px),
        SummedArea(lightness * lightness, margin_px),
        SummedArea(np.hypot(*gradient(lightness)), margin_px),
        SummedArea(skin_likeness(lab), margin_px) if coloured else None,
    )


def _window_widths(size: tuple[int, ...]) -> list[float]:
    largest = min(size[1] * 0.95, size[0] / WINDOW_ASPECT * 1.05)
    count = int(np.log(max(largest / _SMALLEST_PX, 0.5)) / np.log(_SCALE_STEP)) + 1
    return [_SMALLEST_PX * _SCALE_STEP**i for i in range(count)]


def _window_scores(evidence: _Evidence, size: tuple[int, ...], width_px: float) -> Plane:
    """How much the window around every pixel looks like a face [H,W]."""
    window = Window(width_px, int(np.clip(width_px / _STRIDE_WIDTH_PX, 1, 4)))
    scores = _pattern(evidence, window)
    if evidence.skin is not None:
        scores += _skin_contrast(evidence.skin, window)
    scores += np.float32(_SIZE_BONUS * np.log2(width_px / _SMALLEST_PX))
    full = scores.repeat(window.stride_px, 0).repeat(window.stride_px, 1)
    return full[: size[0], : size[1]] - _unlikeliness(size, width_px)


def _unlikeliness(size: tuple[int, ...], width_px: float) -> Plane:
    """Faces of portraits are neither far to the side nor low, nor cut off by the border [H,W]."""
    y = (np.arange(size[0], dtype=np.float32) + np.float32(0.5)) / np.float32(size[0])
    x = (np.arange(size[1], dtype=np.float32) + np.float32(0.5)) / np.float32(size[1])
    half = np.float32(width_px / 2 / size[1]), np.float32(width_px * WINDOW_ASPECT / 2 / size[0])
    low = np.clip(2 * y - 1, 0, 1) ** 2 + 2 * np.clip(np.abs(y - 0.5) + half[1] - 0.5, 0, 1) / half[1]
    aside = (2 * x - 1) ** 2 + 2 * np.clip(np.abs(x - 0.5) + half[0] - 0.5, 0, 1) / half[0]
    return np.asarray(_POSITION_PENALTY * (low[:, None] + aside[None]), np.float32)


def _pattern(evidence: _Evidence, window: Window) -> Plane:
    light = evidence.lightness
    mean = light.mean(_WHOLE, window)
    variance = np.maximum(evidence.square.mean(_WHOLE, window) - mean * mean, 0)
    contrast = np.sqrt(variance) + np.float32(2)
    pattern = _agreement(light, _RELATIONS, contrast / np.float32(_GAIN), window)
    balance = np.abs(light.mean(_LEFT_CHEEK, window) - light.mean(_RIGHT_CHEEK, window)) / contrast
    pattern -= np.float32(0.15) * np.clip(balance - 0.5, 0, 1)
    slope = evidence.slope.mean(_WHOLE, window) + np.float32(1)
    return pattern + np.float32(_BUSY_SHARE) * _agreement(evidence.slope, _BUSY_RELATIONS, slope, window)


def _skin_contrast(skin: SummedArea, window: Window) -> Plane:
    """Skin inside the window counts for it, skin all around against it."""
    inside, around = skin.mean(_INSIDE, window), skin.mean(_AROUND, window)
    area = (_AROUND.right - _AROUND.left) * (_AROUND.bottom - _AROUND.top)
    ring = (around * np.float32(area) - skin.mean(_WHOLE, window)) / np.float32(area - 1)
    return np.asarray(0.9 * inside - 0.45 * np.clip(ring, 0, 1), np.float32)


def _agreement(sums: SummedArea, relations: tuple[_Relation, ...], full: Plane, window: Window) -> Plane:
    """How well windows fulfil relations, -1..1; a difference of `full` counts in full."""
    total = np.zeros_like(full)
    for greater, smaller, weight in relations:
        difference = sums.mean(greater, window) - sums.mean(smaller, window)
        total += np.float32(weight) * np.clip(difference / full, -1, 1)
    return total / np.float32(sum(weight for _, _, weight in relations))


def _best_windows(scores: Plane, widths: list[float], min_score: float) -> list[Face]:
    """Greedy non-maximum suppression over positions and scales [S,H,W]."""
    _, height, width = scores.shape
    scores = scores.copy()
    faces: list[Face] = []
    for _ in range(_MAX_FACES):
        level, y, x = (int(i) for i in np.unravel_index(int(scores.argmax()), scores.shape))
        score = float(scores[level, y, x])
        if score < min_score:
            break
        # Further faces must be certain by themselves, and nearly as certain as the first.
        min_score = max(min_score + _FURTHER_CERTAINTY, score - _SCORE_TOLERANCE) if not faces else min_score
        box = widths[level], widths[level] * WINDOW_ASPECT
        if not faces or widths[level] > _SIZE_TOLERANCE * faces[0].width * width:
            faces.append(Face((x + 0.5) / width, (y + 0.5) / height, box[0] / width, box[1] / height))
        top, left = max(0, int(y - box[1])), max(0, int(x - box[0]))
        scores[:, top : int(y + box[1]) + 1, left : int(x + box[0]) + 1] = -1
    return faces
