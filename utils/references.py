"""A task as a line of text: its id, and which images its results are for; pure.

    6a4eab77-be30-430a-bf0e-3048042a34ef         the images that follow those of the line above
    0f0c6a52-9d0e-4a8e-8c43-2d4a6a3f5b11@3,7     images 3 and 7: the failed ones of the lines above, tried once more

Plain text on purpose: it can be copied, pasted, and used on another machine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .contract import check_task_id
from .errors import InputError

_PLACES = re.compile(r"[1-9][0-9]{0,5}(,[1-9][0-9]{0,5})*")


@dataclass(frozen=True)
class TaskRef:
    """One task, and the numbers (from 1) of the images that its results replace; none for the next ones in order."""

    task_id: str
    places: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.task_id}@{','.join(map(str, self.places))}" if self.places else self.task_id


def lines(text: str) -> list[str]:
    """Return the non-empty lines of a text without surrounding spaces: links, or tasks."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def parse_references(rows: Sequence[str]) -> list[TaskRef]:
    """Return the tasks of the lines; raises InputError naming the line that is none."""
    if not rows:
        msg = "There is no task id. Connect Submit Cartoonize, or paste the id that it showed."
        raise InputError(msg)
    return [_parse(row) for row in rows]


def _parse(row: str) -> TaskRef:
    task_id, at, places = row.partition("@")
    if at and not _PLACES.fullmatch(places):
        msg = f"Not a task: after the @ in {row[:80]!r} must stand the numbers of its images, such as 3,7."
        raise InputError(msg)
    return TaskRef(check_task_id(task_id), tuple(int(place) for place in places.split(",")) if at else ())
