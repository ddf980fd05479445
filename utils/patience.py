"""Trying again after a while, where that may help and cannot hurt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from .errors import UnreachableError

R = TypeVar("R")


def patiently(
    attempt: Callable[[], R],
    waits_s: Sequence[float],
    sleep: Callable[[float], None],
    may_repeat: Callable[[UnreachableError, float], bool] = lambda error, wait_s: True,
) -> R:
    """Return what the attempt returns; one that raises UnreachableError is repeated, once after each of the waits.

    `may_repeat` is told the error and the seconds of the wait; what it refuses is raised at once. `sleep` may raise to
    give up.
    """
    for wait_s in waits_s:
        try:
            return attempt()
        except UnreachableError as error:
            if not may_repeat(error, wait_s):
                raise
        sleep(wait_s)
    return attempt()
