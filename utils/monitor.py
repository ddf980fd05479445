"""Progress and Cancel between work in a thread and whoever watches it: a node, or the command line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .errors import Cancelled
from .redaction import redact


@dataclass(frozen=True)
class Progress:
    """How far the work is: `done` of `total` steps of what it does now, and a sentence for people.

    `share` is how far the whole of it is, from 0 to 1.
    """

    done: int | float = 0
    total: int | float = 1
    text: str = ""
    share: float = field(default=0.0, compare=False)


class Monitor:
    """Carries progress out of a working thread and Cancel into it; safe to share between threads.

    `tell` is called with every new progress, in the thread that reports it, until Cancel. `if_cancelled` is what Cancel
    would leave behind, in words; the work keeps it true.
    """

    def __init__(self, tell: Callable[[Progress], None] = lambda progress: None, if_cancelled: str = "") -> None:
        self.if_cancelled = if_cancelled
        self._tell = tell
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._progress = Progress()
        self._part = (0.0, 1.0)

    @property
    def progress(self) -> Progress:
        """The latest progress."""
        return self._progress

    @contextmanager
    def part(self, start: float, end: float) -> Iterator[None]:
        """Make what is reported within it a part of the whole, from `start` to `end` of what is around it."""
        low, high = before = self._part
        self._part = (low + start * (high - low), low + end * (high - low))
        try:
            yield
        finally:
            self._part = before

    def report(self, done: float, total: float, text: str) -> None:
        """Tell how far the work is."""
        with self._lock:
            self._set(done, total, text)

    def say(self, text: str) -> None:
        """Tell what happens, which brings the work no further."""
        with self._lock:
            self._set(self._progress.done, self._progress.total, text)

    def step(self, text: str) -> None:
        """Tell that one more step is done."""
        with self._lock:
            now = self._progress
            self._set(min(now.done + 1, now.total), now.total, text)

    def _set(self, done: float, total: float, text: str) -> None:
        low, high = self._part
        share = low + (high - low) * done / total if total else low
        # The text goes to every page that is open. No bar goes back, even where there is more to do than was thought.
        progress = Progress(done, total, redact(text), max(share, self._progress.share))
        if progress != self._progress:
            self._progress = progress
            if not self.is_cancelled():
                self._tell(progress)

    def cancel(self) -> None:
        """Ask the work to stop at its next wait; when this returns, it tells nothing any more."""
        with self._lock:
            self._cancelled.set()

    def is_cancelled(self) -> bool:
        """Whether Cancel was asked for."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raise Cancelled if Cancel was asked for."""
        if self.is_cancelled():
            msg = "Cancelled."
            raise Cancelled(msg)

    def sleep(self, seconds: float) -> None:
        """Sleep, waking at once on Cancel."""
        self._cancelled.wait(seconds)

    def pause(self, seconds: float) -> None:
        """Sleep; raises Cancelled when Cancel wakes it."""
        self.sleep(seconds)
        self.check()


def count(number: int, noun: str) -> str:
    """Return "1 image", "2 images" for status texts."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
