"""Pictures of one colour, and outcomes and collections made of them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from cartoonize_pack.utils.images import Picture
from cartoonize_pack.utils.outcomes import Collection, Outcome
from cartoonize_pack.utils.references import TaskRef
from PIL import Image


def filled(width: int = 6, height: int = 4, value: int = 0) -> Picture:
    """A picture of one colour."""
    return Picture(np.full((height, width, 3), value, np.uint8))


def png(value: int, width: int = 6, height: int = 4) -> bytes:
    """The same as a file."""
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (value,) * 3).save(stream, "PNG")
    return stream.getvalue()


def done(index: int, picture: Picture | None = None, task_id: str = "t1") -> Outcome:
    """A picture that was finished."""
    return Outcome(task_id, index, "complete", "", f"https://r.example/{index}.png", picture or filled(value=index))


def lost(index: int, reason: str = "no face found", task_id: str = "t1", may_retry: bool = True) -> Outcome:
    """A picture that failed."""
    return Outcome(task_id, index, "failed", reason, "", None, may_retry=may_retry)


def of(*outcomes: Outcome, unassigned: Sequence[Outcome] = (), tasks: Sequence[TaskRef] = ()) -> Collection:
    """A collection of these outcomes, of one task unless others are given."""
    return Collection(tuple(tasks) or (TaskRef("t1"),), outcomes, tuple(unassigned))


def values(pictures: Sequence[Picture | None]) -> list[int | None]:
    """The colour of each picture, None where there is none."""
    return [None if picture is None else int(picture.rgb[0, 0, 0]) for picture in pictures]


def sizes(pictures: Sequence[Picture | None]) -> list[tuple[int, int] | None]:
    """The width and height of each picture, None where there is none."""
    return [None if picture is None else (picture.width, picture.height) for picture in pictures]
