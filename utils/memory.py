"""What this machine remembers of the tasks of one service: the journal and the results store, as far as they work.

A broken journal stops paying. It does not stop fetching what was paid for: here its troubles are only logged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from .contract import Task, TaskStatus
from .errors import ConfigurationError
from .images import Header
from .logs import logger
from .records import State, Submission, ended_state
from .results import Kept, ResultStore

if TYPE_CHECKING:
    from .journal import Journal

R = TypeVar("R")
_log = logger(__name__)


class Memory:
    """Answers, submissions and pictures of the tasks of one service; `is_free` says that its work costs nothing."""

    def __init__(self, journal: Journal, results: ResultStore, service: str, *, is_free: bool) -> None:
        self._journal = journal
        self._results = results
        self._service = service
        self._is_free = is_free

    def submission(self, task_id: str) -> Submission | None:
        """Return the record that led to a task, None if it was submitted elsewhere."""
        return _tried(lambda: self._journal.of_task(self._service, task_id))

    def answer(self, task_id: str) -> Task | None:
        """Return the final answer about a task, None if there is none yet; its links have no query."""
        return _tried(lambda: self._journal.recall(self._service, task_id))

    def note(self, task: Task) -> None:
        """Keep a final answer."""
        state = ended_state(task, is_free=self._is_free)
        _tried(lambda: self._journal.remember(self._service, task, state))

    def note_gone(self, task_id: str) -> None:
        """Let the same work be done anew where that costs nothing: the embedded service's results expire."""
        if self._is_free:
            nothing = Task(task_id, TaskStatus.FAILED, TaskStatus.FAILED, None, ())
            _tried(lambda: self._journal.remember(self._service, nothing, State.FAILED))

    def profile_of(self, task_id: str) -> str | None:
        """Return the profile that a task was submitted with, whatever its service; None if it is not known."""
        submissions = _tried(self._journal.submissions) or []
        return next((s.profile for s in reversed(submissions) if s.task_id == task_id), None)

    def pictures(self, task: Task) -> dict[int, Kept]:
        """Return the pictures of a finished task that are kept, by index; they are in use from now on."""
        self._results.use(self._service, task.task_id)
        found = {
            index: self._results.get(self._service, task.task_id, index)
            for index, image in enumerate(task.images)
            if image.is_done
        }
        return {index: kept for index, kept in found.items() if kept is not None}

    def keep(self, task_id: str, index: int, data: bytes, header: Header) -> Kept:
        """Keep a picture; when that fails it is handed on all the same, and only the next run fetches it again."""
        try:
            return self._results.put(self._service, task_id, index, data, header)
        except OSError as error:
            _log.warning("picture %d of task %s cannot be kept: %s", index + 1, task_id, error)
            return Kept(data, "")

    def drop(self, kept: Kept) -> None:
        """Remove a picture that turned out to be unusable."""
        self._results.drop(kept)

    def make_room(self) -> None:
        """Keep the pictures within their limit."""
        self._results.make_room()


def _tried(work: Callable[[], R]) -> R | None:
    try:
        return work()
    except ConfigurationError as error:
        _log.warning("Finished pictures are fetched all the same, but not remembered: %s", error)
        return None
