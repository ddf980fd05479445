"""Finished tasks -> one outcome a picture, in input order, and what to do about failed ones."""

from __future__ import annotations

import enum
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .backend import Backend
from .batches import cropped_to
from .client import Client
from .contract import ImageResult, Task, TaskStatus
from .download import Policy, fetch
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
from .images import MAX_PIXELS, READABLE_FORMATS, Picture, decode
from .monitor import Monitor, count
from .redaction import redact
from .tasks import watch
from .threads import map_bounded

MAX_RESULT_BYTES = 200_000_000
DOWNLOAD_TOTAL_S = 300.0
DOWNLOAD_RETRY_WAITS_S = (0.5, 2.0)
GONE = (401, 403, 404, 410)  # asking again would not help
PARALLEL_DOWNLOADS = 4
_GO_ON = "Continue with this task id in Poll Result (or --task on the command line); that costs nothing."


class OnFailure(enum.Enum):
    """What happens to pictures without a result."""

    ERROR = "error"
    SKIP = "skip"
    ORIGINAL = "original"


@dataclass(frozen=True)
class Outcome:
    """What became of one input picture; `picture` is None when there is no result."""

    task_id: str
    index: int
    status: str
    reason: str
    url: str
    picture: Picture | None


def collect(backend: Backend, task_ids: Sequence[str], *, timeout_s: float, monitor: Monitor) -> list[Outcome]:
    """Wait for the tasks, download their pictures, and return one outcome a picture, in input order.

    Raises TaskFailedError for a task without any picture, DeadlineError after `timeout_s` for each task; every error
    names the task and how to go on.
    """
    if not task_ids:
        msg = "There is no task id. Connect Submit Cartoonize, or paste the id that it showed."
        raise InputError(msg)
    outcomes: list[Outcome] = []
    with backend.client() as client:
        for task_id in task_ids:
            task = _wait_for(client, task_id, timeout_s, monitor)
            outcomes += _download_all(backend, task, monitor, first=len(outcomes))
    return outcomes


def _wait_for(client: Client, task_id: str, timeout_s: float, monitor: Monitor) -> Task:
    def on_trouble(error: UnreachableError, wait_s: float) -> None:
        monitor.report(0, 1, f"task {task_id}: {error} Asking again in {wait_s:.0f} s.")

    task: Task | None = None
    end = time.monotonic() + timeout_s
    try:
        for task in watch(
            lambda: client.get_task(task_id, left_s=end - time.monotonic()),
            timeout_s=timeout_s,
            sleep=monitor.sleep,
            check_cancel=monitor.check,
            on_trouble=on_trouble,
        ):
            done = sum(image.is_done for image in task.images)
            wait = "" if task.status.is_final or not task.wait_time_s else f", about {task.wait_time_s:.0f} s"
            monitor.report(done, max(1, len(task.images)), f"task {task_id}: {task.status_words}{wait}")
    except (DeadlineError, UnreachableError, ContractError) as error:
        error.amend(f"Task {task_id}: ", f" The task goes on at the service. {_GO_ON}")
        raise
    except ServiceError as error:
        error.amend(f"Task {task_id}: ", " Asking for it costs nothing.")
        raise
    if task is None or not any(image.is_done or image.reason for image in task.images):
        raise TaskFailedError(_nothing_came(task_id, task))
    return task


def _nothing_came(task_id: str, task: Task | None) -> str:
    words = "no answer" if task is None else task.status_words
    message = f" The service says: {task.message}" if task is not None and task.message else ""
    return (
        f"Task {task_id} ended without pictures: {words}.{message} Whether it was charged is shown in the service's "
        "console. To try once more, change 'variation' in Submit Cartoonize: that is a new task."
    )


def _download_all(backend: Backend, task: Task, monitor: Monitor, first: int) -> list[Outcome]:
    total = len(task.images)
    monitor.report(0, total, f"task {task.task_id}: downloading {count(total, 'picture')}")

    def download(index: int) -> Outcome:
        outcome = _download(backend, task, index, monitor)
        monitor.step(f"task {task.task_id}: picture {index + 1} of {total}")
        return replace(outcome, index=first + index)

    return map_bounded(download, range(total), workers=PARALLEL_DOWNLOADS, monitor=monitor)


def _download(backend: Backend, task: Task, index: int, monitor: Monitor) -> Outcome:
    image = task.images[index]
    status = _status_words(image, task)
    failed = Outcome(task.task_id, index, status, image.reason, image.url or "", None)
    if not image.is_done or image.url is None:
        return replace(failed, reason=image.reason or f"no result ({status})")
    try:
        data = _fetch_patiently(image.url, backend.policy, monitor)
        picture = decode(data, READABLE_FORMATS, MAX_PIXELS, f"result {index + 1}")
    except Cancelled:
        raise
    except CartoonizeError as error:
        return replace(failed, reason=f"finished, but not downloaded: {error} {_GO_ON}")
    return replace(failed, picture=picture)


def _fetch_patiently(url: str, policy: Policy, monitor: Monitor) -> bytes:
    """Fetch a result, once more after each of the waits, unless the answer says that it is gone."""
    end = time.monotonic() + DOWNLOAD_TOTAL_S
    for wait_s in DOWNLOAD_RETRY_WAITS_S:
        try:
            return fetch(url, policy, max_bytes=MAX_RESULT_BYTES, total_s=end - time.monotonic())
        except UnreachableError as error:
            if error.http_status in GONE or time.monotonic() + wait_s >= end:
                raise
            monitor.sleep(wait_s)
            monitor.check()
    return fetch(url, policy, max_bytes=MAX_RESULT_BYTES, total_s=end - time.monotonic())


def _status_words(image: ImageResult, task: Task) -> str:
    if image.status is not None:
        return image.status.words
    return TaskStatus.COMPLETE.words if image.is_done else task.status_words


def settle(outcomes: Sequence[Outcome], on_failure: OnFailure, originals: Sequence[Picture] | None) -> list[Picture]:
    """Return the pictures to hand on, in input order.

    Raises TaskFailedError naming every failed picture and its reason (`error`, or when nothing is left), InputError
    when originals are needed but do not match the outcomes one to one.
    """
    failed = [outcome for outcome in outcomes if outcome.picture is None]
    if failed and (on_failure is OnFailure.ERROR or (on_failure is OnFailure.SKIP and len(failed) == len(outcomes))):
        raise TaskFailedError(_describe(failed, len(outcomes)))
    if not failed or on_failure is OnFailure.SKIP:
        return [outcome.picture for outcome in outcomes if outcome.picture is not None]
    if originals is None or len(originals) != len(outcomes):
        have = "none are connected" if originals is None else f"{len(originals)} are connected"
        msg = (
            f"on_failure is 'original', which needs one original for each of the {len(outcomes)} results, but {have}. "
            f"{_describe(failed, len(outcomes))}"
        )
        raise InputError(msg)
    return list(_with_originals(outcomes, originals))


def _with_originals(outcomes: Sequence[Outcome], originals: Sequence[Picture]) -> Iterator[Picture]:
    size = next(((o.picture.width, o.picture.height) for o in outcomes if o.picture is not None), None)
    for outcome, original in zip(outcomes, originals, strict=True):
        yield outcome.picture or (cropped_to(original, *size) if size else original)


def _describe(failed: Sequence[Outcome], total: int) -> str:
    lines = [f"image {o.index + 1} (task {o.task_id}): {o.status}: {o.reason}" for o in failed]
    rest = (
        "\nThe others are kept by the service: set on_failure to 'skip' or 'original' in Poll Result, with the same "
        "task id; that costs nothing."
    )
    return (
        f"{len(failed)} of {total} images have no result:\n" + "\n".join(lines) + (rest if len(failed) < total else "")
    )


def report(outcomes: Sequence[Outcome], expected: int | None) -> str:
    """Return the JSON report: one entry an input picture, links without their query; `expected` is None if unknown."""
    images = [
        {
            "index": outcome.index,
            "task_id": outcome.task_id,
            "status": outcome.status,
            "reason": redact(outcome.reason),
            "url": redact(outcome.url),
            "width": outcome.picture.width if outcome.picture else None,
            "height": outcome.picture.height if outcome.picture else None,
        }
        for outcome in outcomes
    ]
    counts = {"results": len(outcomes), "failed": sum(outcome.picture is None for outcome in outcomes)}
    if expected is not None and expected != len(outcomes):
        counts["expected"] = expected
    return json.dumps({**counts, "images": images}, indent=2, ensure_ascii=False)
