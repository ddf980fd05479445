"""Progress and Cancel between work in a thread and whoever watches it: a node, or the command line."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace

from .errors import Cancelled
from .redaction import redact

_MOST_UNSEEN = 50


@dataclass(frozen=True)
class Progress:
    """How far the work is: `done` of `total` steps, and a sentence for people."""

    done: int = 0
    total: int = 1
    text: str = ""


class Monitor:
    """Carries progress out of a working thread and Cancel into it; safe to share between threads."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._progress = Progress()
        self._unseen: deque[Progress] = deque(maxlen=_MOST_UNSEEN)

    @property
    def progress(self) -> Progress:
        """The latest progress."""
        return self._progress

    def news(self) -> list[Progress]:
        """Return every progress since the last call, so that what is said quickly is shown, too."""
        with self._lock:
            news = list(self._unseen)
            self._unseen.clear()
        return news

    def report(self, done: int, total: int, text: str) -> None:
        """Tell how far the work is."""
        with self._lock:
            self._set(Progress(done, total, text))

    def step(self, text: str) -> None:
        """Tell that one more step is done."""
        with self._lock:
            now = self._progress
            self._set(Progress(min(now.done + 1, now.total), now.total, text))

    def _set(self, progress: Progress) -> None:
        progress = replace(progress, text=redact(progress.text))  # it goes to every page that is open
        if progress != self._progress:
            self._progress = progress
            self._unseen.append(progress)

    def cancel(self) -> None:
        """Ask the work to stop at its next wait."""
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
