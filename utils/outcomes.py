"""One outcome an input picture, and what to do about those without a result; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .batches import cropped_to
from .choices import OnFailure
from .errors import InputError, TaskFailedError
from .images import Picture
from .references import TaskRef


@dataclass(frozen=True)
class Outcome:
    """What became of one input picture; `picture` is None when there is no result.

    `link` is the submitted link, if this machine knows it, `url` that of the result, `file` where its bytes are kept.
    `may_retry` says that the service ended it without a result, so that submitting it again makes sense.
    """

    task_id: str
    index: int
    status: str
    reason: str
    url: str
    picture: Picture | None
    link: str = ""
    file: str = ""
    may_retry: bool = False


@dataclass(frozen=True)
class Collection:
    """The outcomes of some tasks, one an input picture, in input order.

    `unassigned` are results of which it is not certain to which picture they belong.
    """

    tasks: tuple[TaskRef, ...]
    outcomes: tuple[Outcome, ...]
    unassigned: tuple[Outcome, ...] = ()


def settle(collection: Collection, on_failure: OnFailure, originals: Sequence[Picture] | None) -> list[Picture | None]:
    """Return the pictures to hand on, in input order; None (for `skip` only) where there is none.

    Unassigned ones follow at the end, but for `original`, where every image has a picture.

    Raises TaskFailedError naming every failed picture and its reason (`error`), InputError when originals are needed
    but do not match the outcomes one to one.
    """
    outcomes = collection.outcomes
    failed = [outcome for outcome in outcomes if outcome.picture is None]
    extra = [outcome.picture for outcome in collection.unassigned if outcome.picture is not None]
    if failed and on_failure is OnFailure.ERROR:
        raise TaskFailedError(describe(collection))
    if not failed or on_failure is OnFailure.SKIP:
        return [*(outcome.picture for outcome in outcomes), *extra]
    if originals is None or len(originals) != len(outcomes):
        have = "none are connected" if originals is None else f"{len(originals)} are connected"
        msg = (
            f"on_failure is 'original', which needs one original for each of the {len(outcomes)} images, but {have}. "
            f"{describe(collection)}"
        )
        raise InputError(msg)
    return list(_with_originals(outcomes, originals))


def _with_originals(outcomes: Sequence[Outcome], originals: Sequence[Picture]) -> Iterator[Picture]:
    size = next(((o.picture.width, o.picture.height) for o in outcomes if o.picture is not None), None)
    for outcome, original in zip(outcomes, originals, strict=True):
        yield outcome.picture or (cropped_to(original, *size) if size else original)


def describe(collection: Collection) -> str:
    """Return every picture without a result with its reason, and what can be done about it."""
    failed = [outcome for outcome in collection.outcomes if outcome.picture is None]
    rows = [f"image {o.index + 1} (task {o.task_id}): {o.status}: {o.reason}" for o in failed]
    text = f"{len(failed)} of {len(collection.outcomes)} images have no result:\n" + "\n".join(rows)
    if len(failed) < len(collection.outcomes) or collection.unassigned:
        text += (
            "\nThe results that came are stored: set on_failure to 'skip' or 'original' in Poll Result, with the same "
            "task id; that costs nothing."
        )
    if any(outcome.may_retry for outcome in failed):
        text += (
            "\nWhether the failed ones were charged is shown in the service's console. To submit only them once more, "
            "set on_failure to 'skip' and connect the report of Poll Result to a second Submit Cartoonize (example "
            "'retry-failed')."
        )
    return text
