"""Tasks -> outcomes: waits for each, remembers its answer, keeps its pictures, and puts all in input order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .alignment import TaskResults, arranged, nothing_came
from .backend import Backend
from .client import Client
from .contract import ImageResult, Task, TaskStatus
from .errors import (
    Cancelled,
    CartoonizeError,
    ContractError,
    DeadlineError,
    InputError,
    ServiceError,
    TaskFailedError,
    UnreachableError,
)
from .images import MAX_PIXELS, READABLE_FORMATS, decode, inspect
from .memory import Memory
from .monitor import Monitor, count
from .outcomes import Collection, Outcome
from .pictures import fetch_picture
from .references import TaskRef
from .results import Kept
from .tasks import watch
from .threads import map_bounded
from .waiting import POLLING, Waiting

PARALLEL_DOWNLOADS = 4
UNASSIGNED = 5000  # from here on the store numbers results of which it is not certain to which image they belong
_GONE = (
    "Run again to ask once more, which costs nothing. To have it made anew, and pay for it, submit that image alone "
    "with another 'variation' (with the others, another 'variation' buys them all anew)."
)


def go_on(task_id: str) -> str:
    """Return the next step for a task that is not here yet."""
    return (
        "Continue with this task id in Poll Result, or just run again (in a terminal: 'tasks resume "
        f"{task_id}'); that costs nothing more."
    )


def collect(backend: Backend, refs: Sequence[TaskRef], *, timeout_s: float, monitor: Monitor) -> Collection:
    """Wait for the tasks, keep their pictures, and return one outcome an input picture, in input order.

    What is known of finished tasks comes from the journal and the results store, without asking anybody. When a task
    cannot be had (DeadlineError after `timeout_s` for each, ServiceError, TaskFailedError), the others are kept all
    the same before the error, which names every task and how to go on, is raised.
    """
    results: list[TaskResults] = []
    problems: list[CartoonizeError] = []
    patience_s, profile = timeout_s, backend.profile
    memory = Memory(backend.journal, backend.results, profile.task_address, is_free=profile.is_local)
    with backend.client() as client:
        collector = _Collector(backend, memory, client, monitor)
        for number, ref in enumerate(refs):
            try:
                with monitor.part(number / len(refs), (number + 1) / len(refs)):
                    results.append(collector.results_of(ref, patience_s))
            except (DeadlineError, ServiceError, TaskFailedError) as error:
                problems.append(error)
                if isinstance(error, (DeadlineError, UnreachableError)):
                    patience_s = 0.0  # the others are asked once, to keep what is finished
    memory.make_room()
    stored = {result.task.task_id: result.is_fresh for result in results if result.is_stored}
    backend.uploads.end_of(profile.task_address, stored)
    backend.uploads.sweep()
    if problems:
        raise _combined(problems, results)
    return arranged(refs, results)


class _Collector:
    """The way of one task from its id to pictures."""

    def __init__(self, backend: Backend, memory: Memory, client: Client, monitor: Monitor) -> None:
        self._policy = backend.policy
        self._is_local = backend.profile.is_local
        self._memory = memory
        self._client = client
        self._monitor = monitor

    def results_of(self, ref: TaskRef, timeout_s: float) -> TaskResults:
        """Return what a task brought, each picture kept before anything is made of it."""
        submission, recalled = self._memory.submission(ref.task_id), self._memory.answer(ref.task_id)
        expected = len(ref.places) or (submission.images if submission else None)
        with self._monitor.part(0.0, POLLING):
            task = recalled or self._watched(ref.task_id, timeout_s)
        is_whole = bool(task.images) and len(task.images) == (expected or len(task.images))
        if recalled is None and (is_whole or task.status is not TaskStatus.COMPLETE):
            self._memory.note(task)  # a complete task whose list is short, or long, may have the right one next time
        if not task.images and expected is None:
            raise TaskFailedError(nothing_came(task))
        is_aligned = expected is None or len(task.images) == expected
        kept = self._memory.pictures(task) if is_aligned else {}  # else an index does not say which picture it is
        if recalled is not None and len(kept) < sum(image.is_done for image in task.images):
            task = self._asked_again(task, kept)
        with self._monitor.part(POLLING, 1.0):
            outcomes = self._outcomes(task, kept, 0 if is_aligned else UNASSIGNED)
        links = submission.links if submission else ()
        return TaskResults(ref, outcomes, expected, task, links, is_fresh=len(kept) < len(outcomes))

    def _watched(self, task_id: str, timeout_s: float) -> Task:
        waiting = Waiting(task_id, self._monitor, is_estimate=self._is_local)
        try:
            for task in watch(
                lambda: self._client.get_task(task_id, left_s=waiting.left_s(timeout_s)),
                timeout_s=timeout_s,
                sleep=waiting.sleep,
                check_cancel=self._monitor.check,
                on_trouble=waiting.troubled,
            ):
                waiting.answered(task)
        except (DeadlineError, UnreachableError, ContractError) as error:
            error.amend(
                f"Task {task_id}: ", f" The task goes on at the service, which charges for it once. {go_on(task_id)}"
            )
            raise
        except ServiceError as error:
            error.amend(
                f"Task {task_id}: ", f"{self._where(task_id)} Asking for it costs nothing, and changes no charge."
            )
            if error.http_status == 404:
                self._memory.note_gone(task_id)
            raise
        return task

    def _where(self, task_id: str) -> str:
        profile = self._memory.profile_of(task_id)
        return f" This machine submitted it with profile {profile!r}." if profile else ""

    def _asked_again(self, task: Task, kept: Mapping[int, Kept]) -> Task:
        """Return a finished task with fresh links for pictures that are not kept any more, or the reason why not."""
        try:
            fresh = self._client.get_task(task.task_id)
            reason = f"the service says: {fresh.status_words}"
        except ServiceError as error:
            fresh, reason = None, str(error)
        if fresh is not None and len(fresh.images) == len(task.images) and any(i.is_done for i in fresh.images):
            return fresh
        if fresh is not None and fresh.status.is_final:
            self._memory.note_gone(task.task_id)
        words = f"finished, but its picture is not kept here any more, and cannot be had again now: {reason} {_GONE}"
        gone = ImageResult(None, TaskStatus.COMPLETE, words)
        images = (gone if i.is_done and index not in kept else i for index, i in enumerate(task.images))
        return replace(task, images=tuple(images))

    def _outcomes(self, task: Task, kept: Mapping[int, Kept], first: int) -> list[Outcome]:
        """Return one outcome a result; what is fetched is kept under numbers from `first` on."""
        total = len(task.images)
        self._monitor.report(0, max(1, total), f"fetching {count(total, 'picture')}\ntask {task.task_id}")

        def outcome(index: int) -> Outcome:
            result = self._outcome(task, index, kept.get(index), first + index)
            self._monitor.step(f"fetched picture {index + 1} of {total}\ntask {task.task_id}")
            return result

        return map_bounded(outcome, range(total), workers=PARALLEL_DOWNLOADS, monitor=self._monitor)

    def _outcome(self, task: Task, index: int, kept: Kept | None, number: int) -> Outcome:
        image = task.images[index]
        status = _status_words(image, task)
        failed = Outcome(task.task_id, index, status, image.reason, image.url or "", None)
        if kept is None and (not image.is_done or image.url is None):
            ended = (TaskStatus.COMPLETE, TaskStatus.CLOSED)  # perhaps with a result, and paid for
            may_retry = image.status not in ended and task.status is not TaskStatus.CLOSED
            return replace(failed, reason=image.reason or f"no result ({status})", may_retry=may_retry)
        is_fresh = kept is None
        try:
            kept = kept or self._fetched(task.task_id, number, image.url or "")
        except Cancelled:
            raise
        except CartoonizeError as error:
            return replace(failed, reason=f"finished, but not downloaded: {error} {go_on(task.task_id)}")
        try:
            picture = decode(kept.data, READABLE_FORMATS, MAX_PIXELS, f"result {index + 1}")
        except InputError as error:
            if is_fresh and not _is_too_large(kept.data):  # it arrived damaged, and may arrive whole the next time
                self._memory.drop(kept)
                return replace(failed, reason=f"finished, but not downloaded whole: {error} {go_on(task.task_id)}")
            return replace(failed, reason=f"finished and kept, but not readable here: {error}", file=kept.file)
        return replace(failed, picture=picture, file=kept.file)

    def _fetched(self, task_id: str, number: int, url: str) -> Kept:
        data, header = fetch_picture(url, self._policy, self._monitor)
        return self._memory.keep(task_id, number, data, header)


def _is_too_large(data: bytes) -> bool:
    header = inspect(data, READABLE_FORMATS)
    return header.width * header.height > MAX_PIXELS


def _status_words(image: ImageResult, task: Task) -> str:
    if image.status is not None:
        return image.status.words
    return TaskStatus.COMPLETE.words if image.is_done else task.status_words


def _combined(problems: Sequence[CartoonizeError], results: Sequence[TaskResults]) -> CartoonizeError:
    """Return the first problem, with a word about every other task."""
    first, *others = problems
    rows = [str(error) for error in others]
    for result in results:
        stored = sum(bool(outcome.file) for outcome in result.outcomes)
        rows.append(f"Task {result.ref.task_id}: {result.task.status_words}, {count(stored, 'picture')} stored.")
    if rows:
        hint = "\nTo have their pictures now, leave out the tasks that have none." if results else ""
        first.amend("", "\nThe other tasks:\n" + "\n".join(rows) + hint)
    return first
