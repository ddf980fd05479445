"""Where a person is expected in a picture: face, head with its hair, neck and body."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .curves import smoothstep
from .planes import Plane, Size

_HAIR_RISE = 0.12  # of the height of the face: the head reaches higher than the face


@dataclass(frozen=True)
class Face:
    """An upright face in fractions of the picture: centre, width and height of its box."""

    x: float
    y: float
    width: float
    height: float


def face_ellipse(face: Face, size: Size, scale: float = 1.0) -> Plane:
    """Soft ellipse of the face in a picture of `size` [H,W]: 1 inside, 0 from 1.2 radii on."""
    return 1 - smoothstep(face_radius(face, size) / np.float32(scale), 0.9, 1.2)


def face_radius(face: Face, size: Size) -> Plane:
    """Distance from the centre of the face in units of its half axes [H,W]."""
    y, x = _offsets(face, size)
    return np.asarray(2 * np.hypot(y[:, None], x[None]), np.float32)


def face_map(faces: Sequence[Face], size: Size, scale: float = 1.0) -> Plane:
    """Where faces are, 0..1 [H,W]: the union of their ellipses."""
    union = np.zeros(size, np.float32)
    for face in faces:
        union = np.maximum(union, face_ellipse(face, size, scale))
    return union


def body_map(faces: Sequence[Face], size: Size, reach: float) -> Plane:
    """Where the people can be expected [H,W], 0..1: around their faces with the hair, and below.

    `reach` is the width of the zone in face widths.
    """
    expected = np.zeros(size, np.float32)
    for face in faces:
        head = face_ellipse(_raised(face), size, reach)
        y, x = _offsets(face, size)
        beside = smoothstep(np.abs(x), 0.75 * reach, 1.2 * reach)
        torso = smoothstep(y, 0.5, 1.2)[:, None] * (1 - beside)[None]
        expected = np.maximum(expected, np.maximum(head, torso))
    return expected


def head_map(faces: Sequence[Face], size: Size, scale: float) -> Plane:
    """Where faces and their hair are, 0..1 [H,W]; `scale` in face widths."""
    return face_map([_raised(face) for face in faces], size, scale)


def _raised(face: Face) -> Face:
    return replace(face, y=face.y - _HAIR_RISE * face.height)


def neck_map(face: Face, size: Size) -> Plane:
    """Where the neck should be [H,W]: in the shade of the chin skin takes on other hues."""
    y, x = _offsets(face, size)
    rows = smoothstep(y, 0.3, 0.42) * (1 - smoothstep(y, 0.75, 0.95))
    return rows[:, None] * (1 - smoothstep(np.abs(x), 0.35, 0.5))[None]


def _offsets(face: Face, size: Size) -> tuple[Plane, Plane]:
    """Distance of every row [H] and column [W] from the centre of the face, in its height and width."""
    y = (np.arange(size[0], dtype=np.float32) + np.float32(0.5)) / np.float32(size[0])
    x = (np.arange(size[1], dtype=np.float32) + np.float32(0.5)) / np.float32(size[1])
    return (y - np.float32(face.y)) / np.float32(face.height), (x - np.float32(face.x)) / np.float32(face.width)
