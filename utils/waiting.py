"""What a node says of a task while it waits, and how far its bar is."""

from __future__ import annotations

import time
from collections.abc import Callable

from .contract import Task, TaskStatus
from .errors import UnreachableError
from .monitor import Monitor

POLLING = 0.9  # how much of a task's bar is waiting; the rest is fetching its pictures
_SAYS_NOTHING = ("", "ok", "success", "succeed", "succeeded")
_LONGEST_WORDS = 80  # characters of the service's own words
_TICK_S = 1.0


class Waiting:
    """One task that is waited for: each answer is shown, and between them the seconds to the next one run down."""

    def __init__(
        self, task_id: str, monitor: Monitor, *, is_estimate: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._task_id = task_id
        self._monitor = monitor
        self._is_estimate = is_estimate
        self._clock = clock
        self._begin = clock()
        self._latest: Task | None = None
        monitor.say(f"asking\ntask {task_id}")

    def left_s(self, timeout_s: float) -> float:
        """Return how many seconds of a timeout are left."""
        return self._begin + timeout_s - self._clock()

    def answered(self, task: Task) -> None:
        """Show an answer."""
        self._latest = task
        self._show(task, task.wait_time_s or 0.0)

    def troubled(self, error: UnreachableError, wait_s: float) -> None:
        """Show that no answer came; what was known before says nothing while nobody answers."""
        self._latest = None
        self._monitor.say(f"{error} Asking again in {wait_s:.0f} s.\ntask {self._task_id}")

    def sleep(self, seconds: float) -> None:
        """Sleep until the next question, or until Cancel."""
        end = self._clock() + seconds
        while (left_s := end - self._clock()) > 0 and not self._monitor.is_cancelled():
            if self._latest is not None:
                self._show(self._latest, left_s)
            self._monitor.sleep(min(left_s, _TICK_S))

    def _show(self, task: Task, left_s: float) -> None:
        text = waiting_text(task, left_s, is_estimate=self._is_estimate)
        waited_s = self._clock() - self._begin
        self._monitor.report(waiting_share(task, waited_s, left_s, is_estimate=self._is_estimate), 1, text)


def waiting_text(task: Task, left_s: float, *, is_estimate: bool) -> str:
    """Return the state, what the service says of it, what is done, and the next moment; below them the id.

    `left_s` are the seconds until the service wants to be asked again. Where that is its estimate of the end (the
    embedded one's), it is called so; the API document promises only "the waiting time before the next request".
    """
    words = [task.status_words]
    if not task.status.is_final:
        note = " ".join(task.message.split())
        words += [] if note.lower() in _SAYS_NOTHING else [note[:_LONGEST_WORDS]]
        if len(task.images) > 1:
            words.append(f"{sum(image.is_done for image in task.images)} of {len(task.images)} done")
        if left_s >= 1:
            words.append(f"about {left_s:.0f} s left" if is_estimate else f"asking again in {left_s:.0f} s")
    return f"{', '.join(words)}\ntask {task.task_id}"


def waiting_share(task: Task, waited_s: float, left_s: float, *, is_estimate: bool) -> float:
    """Return how far a task is, from 0 to 1: by its finished pictures or, if that is known, by the time."""
    if task.status is TaskStatus.COMPLETE:
        return 1.0
    done = sum(image.is_done for image in task.images) / max(1, len(task.images))
    by_time = waited_s / (waited_s + left_s) if is_estimate and left_s > 0 else 0.0
    return max(done, by_time)
