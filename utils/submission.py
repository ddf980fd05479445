"""Links -> tasks: what Submit Cartoonize and the command line do between the links and the task ids.

The journal is asked first, and written before anything is sent: the same work is paid for once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .backend import Backend
from .config import Profile
from .errors import CartoonizeError, InputError
from .monitor import Monitor, count
from .records import Verdict, verdict
from .references import TaskRef
from .report import Retry, read_report
from .sending import Fate, Sender
from .threads import map_bounded
from .work import Order, Work, say_places, split_work

IN_FLIGHT = 3


@dataclass(frozen=True)
class Request:
    """What a user submits: links, and how; `report` of an earlier result restricts it to the images that failed."""

    links: tuple[str, ...]
    priority: int = 1
    variation: int = 0
    report: str = ""


def submit(backend: Backend, request: Request, monitor: Monitor) -> list[TaskRef]:
    """Return the tasks of the links, in order, creating those that the journal does not know.

    Raises as `Client.create_task` does, InputError for more images than the profile allows, and OutcomeUnknownError
    for work whose earlier submission has no known outcome. When one of several fails, no further one is begun, and
    the error says what became of each; running again submits only what is missing.
    """
    backend.check_links(list(request.links))
    retry = read_report(request.report) if request.report else None
    works = _works(backend, request, retry)
    kept = () if retry is None else retry.tasks
    sender = Sender(backend, request.priority, request.variation, monitor)
    with backend.client() as client:  # all of it, before the first of it is sent
        for work in works:
            client.checked(work.links, request.priority)
    text = _plan(backend, works, retry)
    monitor.report(0, max(1, len(works)), text)
    monitor.check()
    fates = map_bounded(sender.fate_of, works, workers=IN_FLIGHT, monitor=monitor)
    if any(fate.error for fate in fates):
        raise _combined(fates)
    done = [_said(fate, backend.profile) for fate in fates]
    monitor.report(len(works), max(1, len(works)), "\n".join([text, *done, *sender.warnings]))
    return [*kept, *(TaskRef(fate.task_id, fate.work.places if retry else ()) for fate in fates)]


def _works(backend: Backend, request: Request, retry: Retry | None) -> list[Work]:
    profile, links = backend.profile, request.links
    if not links:
        msg = "There are no links: connect Image to URL, or paste links, one per line. Nothing was sent."
        raise InputError(msg)
    places: Sequence[int] = range(1, len(links) + 1)
    after: tuple[str, ...] = ()
    if retry is not None:
        _check_retry(retry, profile.name, len(links))
        places, after = retry.failed, tuple(map(str, retry.tasks))
    chosen = [links[place - 1] for place in places]
    account = "" if profile.is_local else profile.app_key.reveal()  # the embedded service's is a new one each time
    order = Order(profile.create_address, account, request.variation, after)
    return split_work(chosen, backend.journal.contents_of(chosen), places, profile.limits.max_images, order)


def _check_retry(retry: Retry, profile: str, links: int) -> None:
    if retry.images != links:
        msg = (
            f"The report is about {count(retry.images, 'image')}, but {count(links, 'link')} were given: connect the "
            "links that were submitted. Nothing was sent."
        )
        raise InputError(msg)
    if retry.profile != profile:
        msg = (
            f"The report is about tasks of profile {retry.profile!r}, not {profile!r}: choose the same profile. "
            "Nothing was sent."
        )
        raise InputError(msg)


def _plan(backend: Backend, works: Sequence[Work], retry: Retry | None) -> str:
    """Return what is about to be sent and what is paid for, in words; raises InputError if it is too much."""
    profile = backend.profile
    records = backend.journal.latest([work.key for work in works])
    images = dict.fromkeys(Verdict, 0)
    tasks = 0
    for work, record in zip(works, records, strict=True):
        decision = verdict(record, is_free=profile.is_local)
        images[decision] += len(work.links)
        tasks += decision is Verdict.SEND
    to_send = count(images[Verdict.SEND], "image")
    if images[Verdict.SEND] > profile.max_images and not profile.is_local:
        msg = (
            f"{to_send} would be submitted to profile {profile.name!r}, more than its max_images, "
            f"{profile.max_images}. If that is what you want, raise max_images in config.toml. Nothing was sent."
        )
        raise InputError(msg)
    parts = [f"sending {to_send} as {count(tasks, 'task')} to profile {profile.name!r}" if tasks else "nothing to send"]
    if images[Verdict.REUSE]:
        parts.append(f"{count(images[Verdict.REUSE], 'image')} already {_paid(profile)}")
    if images[Verdict.ASK]:
        parts.append(f"{count(images[Verdict.ASK], 'image')} being sent elsewhere, or of unknown outcome")
    if retry is not None:
        parts.append(f"{count(retry.images - len(retry.failed), 'image')} of the report need no second attempt")
    return "; ".join(parts)


def _said(fate: Fate, profile: Profile) -> str:
    how = f"accepted by profile {profile.name!r}" if fate.is_new else f"already {_paid(profile)}"
    return f"task {fate.task_id}: {fate.work.words} {how}"


def _paid(profile: Profile) -> str:
    return "submitted" if profile.is_local else "paid for"


def _combined(fates: Sequence[Fate]) -> CartoonizeError:
    """Return the first error; of several tasks, with a word about every other one."""
    first, *others = [fate for fate in fates if fate.error is not None]
    assert first.error is not None  # noqa: S101  # for the type checker: chosen so above
    if len(fates) > 1:
        rows = [f"task {fate.task_id}: {fate.work.words} accepted, it stays known" for fate in fates if fate.task_id]
        rows += [f"{fate.work.words}: {fate.error}" for fate in others]
        waiting = [place for fate in fates if not fate.task_id and fate.error is None for place in fate.work.places]
        if waiting:
            rows.append(f"{say_places(waiting)}: not sent")
        rows.append("Run again: only what is not accepted is submitted.")
        first.error.amend(f"{first.work.words}: ", "\n" + "\n".join(rows))
    return first.error
