"""What the job table says of a task: the states of its pictures, and the status that follows from them; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..contract import TaskStatus

TASK_TIMEOUT_S = 3600.0
RETENTION_S = 24 * 3600.0  # of results; afterwards the task is closed


@dataclass(frozen=True)
class ImageState:
    """One picture of a task: `result` is a name in the picture store, or None."""

    state: str
    result: str | None
    reason: str


@dataclass(frozen=True)
class TaskState:
    """A task as the API shows it; `ahead` tasks are done before it."""

    status: TaskStatus
    wait_time_s: int
    images: tuple[ImageState, ...]
    ahead: int = 0


def derive_status(states: Sequence[str], created: float, finished: float, now: float) -> TaskStatus:
    """Return the task's status from the states of its pictures and three moments in seconds.

    Complete with at least one picture, failed with none, closed when the results have expired, timed out when it was
    not done within an hour.
    """
    if all(state in ("done", "failed") for state in states):
        if now > finished + RETENTION_S:
            return TaskStatus.CLOSED
        return TaskStatus.COMPLETE if "done" in states else TaskStatus.FAILED
    if now > created + TASK_TIMEOUT_S:
        return TaskStatus.TIMED_OUT
    return TaskStatus.WAITING if all(state == "queued" for state in states) else TaskStatus.IN_PROGRESS
