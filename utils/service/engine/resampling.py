"""Changing the size of planes and pictures, whole or strip by strip."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .planes import Picture, Plane, Size

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in source pixels, in Pillow's order."""


def resize_plane(plane: Plane, size: Size) -> Plane:
    """Resize a float32 plane [H,W] to `size` bilinearly; reductions are area-weighted."""
    if plane.shape == size:
        return plane
    image = Image.fromarray(np.ascontiguousarray(plane))
    return np.array(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def resize_picture(rgb: Picture, size: Size) -> Picture:
    """Resize an sRGB picture [H,W,3] to `size` bicubically."""
    image = Image.fromarray(np.ascontiguousarray(rgb))
    # A reducing gap makes large reductions cheap without a visible difference.
    return np.array(image.resize((size[1], size[0]), Image.Resampling.BICUBIC, reducing_gap=3.0))


@dataclass(frozen=True)
class Enlarger:
    """Serves one plane at another size in strips of rows, so that the whole is never in memory.

    `image` is a Pillow image in mode F, `size` the size of the whole result.
    """

    image: Image.Image
    size: Size

    @classmethod
    def of(cls, plane: Plane, size: Size) -> "Enlarger":
        """Prepare the plane [H,W] for strips of a result of `size`."""
        return cls(Image.fromarray(np.ascontiguousarray(plane)), size)

    def strip(self, top: int, bottom: int) -> Plane:
        """Rows `top` to `bottom` of the resized plane [bottom - top, W]; equal to cutting the whole."""
        scale = self.image.height / self.size[0]
        box = (0, top * scale, self.image.width, min(bottom * scale, self.image.height))
        width = self.size[1]
        return np.array(self.image.resize((width, bottom - top), Image.Resampling.BICUBIC, box))
