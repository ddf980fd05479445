"""Results of tasks -> outcomes of images: what belongs to which input picture, in input order; pure.

The API document gives results no index and no input link: they are in input order, if they are as many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .contract import Task, TaskStatus
from .errors import InputError
from .monitor import count
from .outcomes import Collection, Outcome
from .references import TaskRef


@dataclass(frozen=True)
class TaskResults:
    """What one task brought: one outcome a result, and how many it should have been, None if that is not known.

    `links` are the submitted ones, none if they are not known; `is_fresh` says that something was fetched only now.
    """

    ref: TaskRef
    outcomes: list[Outcome]
    expected: int | None
    task: Task
    links: tuple[str, ...] = ()
    is_fresh: bool = False

    @property
    def is_stored(self) -> bool:
        """Whether the pictures of all its images are on disk."""
        return self.expected in (None, len(self.outcomes)) and all(outcome.file for outcome in self.outcomes)


def arranged(refs: Sequence[TaskRef], results: Sequence[TaskResults]) -> Collection:
    """Return the results of all tasks in input order, those of a retry in the place of what had failed.

    Raises InputError for a retry of images that the tasks before it do not have.
    """
    outcomes: list[Outcome] = []
    unassigned: list[Outcome] = []
    for result in results:
        aligned, rest = _aligned(result)
        unassigned += rest
        if not result.ref.places:
            outcomes += [replace(outcome, index=len(outcomes) + i) for i, outcome in enumerate(aligned)]
            continue
        for place, outcome in zip(result.ref.places, aligned, strict=True):
            if place > len(outcomes):
                msg = (
                    f"{result.ref} is for image {place}, but the tasks above it have only {len(outcomes)} images. Take "
                    "all lines of task_id as Submit Cartoonize gave them."
                )
                raise InputError(msg)
            if outcomes[place - 1].picture is None:
                link = outcome.link or outcomes[place - 1].link
                outcomes[place - 1] = replace(outcome, index=place - 1, link=link)
    return Collection(tuple(refs), tuple(outcomes), tuple(unassigned))


def _aligned(result: TaskResults) -> tuple[list[Outcome], list[Outcome]]:
    """Return one outcome for each submitted image, and the results of which it is not certain to which they belong."""
    got, expected, task = len(result.outcomes), result.expected, result.task
    aligned, rest = result.outcomes, []
    if expected is not None and got == 0:
        may_retry = task.status not in (TaskStatus.COMPLETE, TaskStatus.CLOSED)  # those may be paid for
        nothing = Outcome(task.task_id, 0, task.status_words, nothing_came(task), "", None, may_retry=may_retry)
        aligned = [nothing] * expected
    elif expected is not None and got != expected:
        images = count(expected, "image")
        reason = f"the service returned {count(got, 'result')} for {images}; which is whose is not known"
        aligned, rest = [Outcome(task.task_id, 0, "unknown", reason, "", None)] * expected, result.outcomes
    if len(result.links) == len(aligned):
        aligned = [replace(outcome, link=link) for outcome, link in zip(aligned, result.links, strict=True)]
    return aligned, rest


def nothing_came(task: Task) -> str:
    """Return what is to be said of a task that ended without any picture."""
    message = f" The service says: {task.message}" if task.message else ""
    return (
        f"Task {task.task_id} ended without pictures: {task.status_words}.{message} Whether it was charged is shown in "
        "the service's console. To try once more, connect the report to a second Submit Cartoonize (example "
        "'retry-failed'), or change 'variation': a new task of all images, also of those that are paid for."
    )
