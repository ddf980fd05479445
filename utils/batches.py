"""Pictures of any size -> one batch of floats, and the list beside it; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .choices import Sizes
from .images import Picture


@dataclass(frozen=True)
class Batch:
    """Floats 0..1: `images` [B,H,W,3], `masks` [B,H,W] where 1 is transparent or padding, as ComfyUI's masks are."""

    images: NDArray[np.float32]
    masks: NDArray[np.float32]


def to_float(picture: Picture) -> NDArray[np.float32]:
    """Return [H,W,3] floats 0..1."""
    return picture.rgb.astype(np.float32) / np.float32(255)


def make_batch(pictures: Sequence[Picture], sizes: Sizes) -> Batch | None:
    """Return one batch of at least one picture, or None for mixed sizes that are wanted as a list only."""
    width, height = pictures[0].width, pictures[0].height
    if any((p.width, p.height) != (width, height) for p in pictures):
        if sizes is Sizes.LIST_ONLY:
            return None
        if sizes is Sizes.PAD:
            width, height = max(p.width for p in pictures), max(p.height for p in pictures)
    place = padded_to if sizes is Sizes.PAD else cropped_to
    images = np.empty((len(pictures), height, width, 3), np.float32)
    masks = np.zeros((len(pictures), height, width), np.float32)
    for i, picture in enumerate(pictures):
        placed = place(picture, width, height)
        images[i] = to_float(placed)
        if placed.alpha is not None:
            masks[i] = 1 - placed.alpha.astype(np.float32) / 255
    return Batch(images, masks)


def split(batch: Batch | None, pictures: Sequence[Picture]) -> list[NDArray[np.float32]]:
    """Return every picture as floats [1,H,W,3] at its own size; parts of the batch where that is the same."""
    height, width = (0, 0) if batch is None else batch.images.shape[1:3]
    return [
        batch.images[i : i + 1]
        if batch and (picture.height, picture.width) == (height, width)
        else to_float(picture)[None]
        for i, picture in enumerate(pictures)
    ]


def cropped_to(picture: Picture, width: int, height: int) -> Picture:
    """Return the picture filling width x height: scaled evenly, the overhang cut off on both sides."""
    scale = max(width / picture.width, height / picture.height)
    # The window is cut out before it is scaled: a long thin picture would fill the memory the other way round.
    return picture.resized(width, height, window=(width / scale, height / scale))


def padded_to(picture: Picture, width: int, height: int) -> Picture:
    """Return the picture at its own size in the middle of width x height; the border is black and transparent."""
    if (picture.width, picture.height) == (width, height):
        return picture
    rgb, alpha = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    left, top = (width - picture.width) // 2, (height - picture.height) // 2
    window = (slice(top, top + picture.height), slice(left, left + picture.width))
    rgb[window] = picture.rgb
    alpha[window] = 255 if picture.alpha is None else picture.alpha
    return Picture(rgb, alpha)
