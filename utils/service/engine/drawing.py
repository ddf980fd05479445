"""From a picture to a drawing: survey, sketch, paint, and a finer sketch of small faces."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from . import anime, manga
from .colour import lab_from_rgb
from .detail import Detail, blend_mask, plan_detail, within
from .faces import SURVEY_LONG_SIDE_PX, find_faces
from .lines import Pen
from .noise import clean_resized
from .planes import Picture, Plane, Size
from .resampling import resize_picture
from .sketch import People, Sketch, make_sketch
from .skin_model import learn_skin

LONGEST_SIDE_PX = 4999

_WORK_LONG_SIDE_PX = 1008  # about 1024, but no power of two: such rows collide in the cache
_PEN_LONG_SIDE_PX = 1024.0  # the pen is one unit wide on a picture of this size
_MAX_ENLARGEMENT = 2.5  # beyond this lines gain nothing
_MIN_WORK_PX = 16
_STRIP_ROWS = 48


class Style(enum.Enum):
    """The styles the engine draws in."""

    ANIME = "anime"
    MANGA = "manga"


@dataclass(frozen=True)
class Drawing:
    """A finished drawing, and the ink lines in it as coverage 0..255 [H,W]."""

    rgb: Picture
    ink: Picture


class Painter(Protocol):
    """Paints one sketch at one size, in strips."""

    def strip(self, top: int, bottom: int) -> tuple[Picture, Plane]:
        """Rows `top` to `bottom`: colours [h,W,3] and ink lines 0..1 [h,W]."""


def stylize(rgb: NDArray[np.uint8], style: Style) -> NDArray[np.uint8]:
    """Redraw an sRGB picture uint8 [H,W,3] in `style`, at exactly the same size.

    Raises ValueError for any other shape or type and for sides above 4999 pixels.
    """
    return draw(rgb, style).rgb


def draw(rgb: NDArray[np.uint8], style: Style) -> Drawing:
    """Redraw a picture like `stylize`, and keep the layer of ink lines."""
    _check(rgb)
    people = _survey(rgb)
    size = rgb.shape[0], rgb.shape[1]
    work = _work_size(size)
    pen = anime.PEN if style is Style.ANIME else manga.PEN
    sketch = make_sketch(clean_resized(rgb, work), people, pen, max(work) / _PEN_LONG_SIDE_PX)
    painters = _painters(sketch, people, style, size)
    drawing = Drawing(np.empty((*size, 3), np.uint8), np.empty(size, np.uint8))
    _paint(painters(sketch, size, (0, 0)), drawing)
    for face in people.faces:
        detail = plan_detail(face, size, work)
        if detail is not None:
            closer = _sketch_detail(rgb, people, pen, detail, sketch)
            _overlay(painters(closer, detail.size, (detail.top, detail.left)), drawing, detail, style)
    return drawing


def _painters(sketch: Sketch, people: People, style: Style, page: Size) -> Callable[[Sketch, Size, Size], Painter]:
    """Fix the tones of the whole picture, so that its details are painted alike."""
    if style is Style.ANIME:
        palette = anime.choose_palette(sketch)
        return lambda part, size, corner: anime.Painter(part, palette, size)
    exposure = manga.choose_exposure(sketch, people)
    return lambda part, size, corner: manga.Painter(part, exposure, size, page, corner)


def _sketch_detail(rgb: Picture, people: People, pen: Pen, detail: Detail, sketch: Sketch) -> Sketch:
    size = rgb.shape[0], rgb.shape[1]
    closer = People([within(face, detail, size) for face in people.faces], people.skins)
    height, width = sketch.half_defocus.shape
    rows = slice(detail.top * height // size[0], (detail.top + detail.size[0]) * height // size[0] + 1)
    columns = slice(detail.left * width // size[1], (detail.left + detail.size[1]) * width // size[1] + 1)
    picture = clean_resized(rgb, detail.work, detail.box)
    return make_sketch(picture, closer, pen, detail.unit_px, sketch.half_defocus[rows, columns])


def _check(rgb: NDArray[np.uint8]) -> None:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        msg = f"expected an uint8 picture [H,W,3], got {rgb.dtype} {list(rgb.shape)}"
        raise ValueError(msg)
    if not 1 <= min(rgb.shape[:2]) <= max(rgb.shape[:2]) <= LONGEST_SIDE_PX:
        msg = f"expected sides of 1 to {LONGEST_SIDE_PX} pixels, got {list(rgb.shape)}"
        raise ValueError(msg)


def _survey(rgb: Picture) -> People:
    """Find the people in a picture, on a thumbnail."""
    scale = min(1.0, SURVEY_LONG_SIDE_PX / max(rgb.shape[:2]))
    size = max(1, round(rgb.shape[0] * scale)), max(1, round(rgb.shape[1] * scale))
    lab = lab_from_rgb(resize_picture(rgb, size))
    faces = find_faces(lab)
    return People(faces, [learn_skin(lab, face) for face in faces])


def _work_size(size: Size) -> Size:
    scale = min(_WORK_LONG_SIDE_PX / max(size), _MAX_ENLARGEMENT)
    return _work_length(size[0] * scale), _work_length(size[1] * scale)


def _work_length(length_px: float) -> int:
    even = max(_MIN_WORK_PX, 2 * round(length_px / 2))
    return even + 4 if even % 64 == 0 else even  # again no rows that collide in the cache


def _paint(painter: Painter, drawing: Drawing) -> None:
    height = drawing.ink.shape[0]
    for top in range(0, height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, height)
        colours, ink = painter.strip(top, bottom)
        drawing.rgb[top:bottom] = colours
        drawing.ink[top:bottom] = (ink * 255 + np.float32(0.5)).astype(np.uint8)


def _overlay(painter: Painter, drawing: Drawing, detail: Detail, style: Style) -> None:
    """Paint a detail over the drawing."""
    mask = blend_mask(detail, (drawing.ink.shape[0], drawing.ink.shape[1]))
    if style is Style.MANGA:
        mask = np.rint(mask)  # half a dot over another one would be grey
    columns = slice(detail.left, detail.left + detail.size[1])
    for top in range(0, detail.size[0], _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, detail.size[0])
        rows = slice(detail.top + top, detail.top + bottom)
        colours, ink = painter.strip(top, bottom)
        share = mask[top:bottom]
        drawing.rgb[rows, columns] = _mixed(drawing.rgb[rows, columns], colours, share[..., None])
        drawing.ink[rows, columns] = _mixed(drawing.ink[rows, columns], ink * np.float32(255), share)


def _mixed(below: Picture, above: Picture | Plane, share: Plane) -> Picture:
    mixed = below + (above - below.astype(np.float32)) * share
    return (mixed + np.float32(0.5)).astype(np.uint8)
