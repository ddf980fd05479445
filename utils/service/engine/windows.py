"""Means over parts of many candidate windows at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .planes import Plane

WINDOW_ASPECT = 1.3  # height of a face, hairline to chin, over its width


class Patch(NamedTuple):
    """A rectangle in fractions of the face box."""

    left: float
    top: float
    right: float
    bottom: float


class Window(NamedTuple):
    """Size of a candidate face box, and the step between its positions."""

    width_px: float
    stride_px: int


class SummedArea:
    """Summed-area table of a plane (Crow 1984): the mean over a patch for many windows at once."""

    def __init__(self, plane: Plane, margin_px: int) -> None:
        self._margin_px = margin_px
        self._size = plane.shape
        padded = np.pad(plane.astype(np.float64), margin_px, mode="edge")
        self._table = np.pad(padded.cumsum(0).cumsum(1), ((1, 0), (1, 0)))

    def mean(self, patch: Patch, window: Window) -> Plane:
        """Mean over `patch` of the windows centred on every pixel of the stride."""
        left, right = _span(patch.left, patch.right, window.width_px)
        top, bottom = _span(patch.top, patch.bottom, window.width_px * WINDOW_ASPECT)
        total = self._shifted(bottom, right, window) - self._shifted(top, right, window)
        total -= self._shifted(bottom, left, window) - self._shifted(top, left, window)
        return np.asarray(total / ((right - left) * (bottom - top)), np.float32)

    def _shifted(self, down: int, across: int, window: Window) -> NDArray[np.float64]:
        y, x = self._margin_px + down, self._margin_px + across
        return self._table[y : y + self._size[0] : window.stride_px, x : x + self._size[1] : window.stride_px]


def _span(low: float, high: float, length_px: float) -> tuple[int, int]:
    start = round((low - 0.5) * length_px)
    return start, max(start + 1, round((high - 0.5) * length_px))
