"""Where a face is too small for the pen, and how the detail that redraws it lies in the picture."""

from dataclasses import dataclass

import numpy as np

from .curves import smoothstep
from .figure import Face
from .planes import Plane, Size

_FACE_PX = 360.0  # height at which a face is sketched: an eye is then fifty pixels wide
_FACE_AT_UNIT_PX = 420.0  # a face this high suits a pen of one unit
_PEN_EXPONENT = 0.75  # smaller faces get a finer pen, but not in proportion: lines must stay lines
_MARGIN = (0.32, 0.42, 0.22)  # beside, above and below the face, in its width and height
_MIN_FACE_PX = 20.0  # of the original; less holds no features


@dataclass(frozen=True)
class Detail:
    """A rectangle of the picture that is sketched again at a larger scale."""

    top: int
    left: int
    size: Size  # in pixels of the picture
    work: Size  # at which it is sketched
    unit_px: float  # pen unit at that size

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.left + self.size[1], self.top + self.size[0]


def plan_detail(face: Face, picture: Size, work: Size) -> Detail | None:
    """Plan the detail for `face`, or None if the sketch of the whole picture is fine enough."""
    working_px = face.height * work[0]
    original_px = face.height * picture[0]
    if working_px >= _FACE_PX or original_px < _MIN_FACE_PX:
        return None
    beside, above, below = _MARGIN
    left = max(0, int((face.x - face.width * (0.5 + beside)) * picture[1]))
    right = min(picture[1], int((face.x + face.width * (0.5 + beside)) * picture[1]) + 1)
    top = max(0, int((face.y - face.height * (0.5 + above)) * picture[0]))
    bottom = min(picture[0], int((face.y + face.height * (0.5 + below)) * picture[0]) + 1)
    size = bottom - top, right - left
    scale = _FACE_PX / original_px
    sketched = _even(size[0] * scale), _even(size[1] * scale)
    share = working_px / _FACE_AT_UNIT_PX
    unit_px = min(share, 1.0) ** _PEN_EXPONENT * _FACE_PX / working_px
    return Detail(top, left, size, sketched, unit_px)


def _even(length_px: float) -> int:
    even = max(16, 2 * round(length_px / 2))
    return even + 4 if even % 64 == 0 else even


def within(face: Face, detail: Detail, picture: Size) -> Face:
    """The same face in fractions of the detail."""
    height, width = detail.size
    return Face(
        (face.x * picture[1] - detail.left) / width,
        (face.y * picture[0] - detail.top) / height,
        face.width * picture[1] / width,
        face.height * picture[0] / height,
    )


def blend_mask(detail: Detail, picture: Size) -> Plane:
    """How much the detail covers the picture [h,w]: fades out towards its cut edges."""
    rows = _fade(detail.top, detail.size[0], picture[0])
    columns = _fade(detail.left, detail.size[1], picture[1])
    return rows[:, None] * columns[None]


def _fade(start: int, length: int, whole: int) -> Plane:
    position = (np.arange(length, dtype=np.float32) + np.float32(0.5)) / np.float32(length)
    fade = np.ones(length, np.float32)
    if start > 0:
        fade *= smoothstep(position, 0.02, 0.12)
    if start + length < whole:
        fade *= smoothstep(position[::-1], 0.02, 0.12)
    return fade
