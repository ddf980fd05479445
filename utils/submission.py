"""Links -> tasks: what Submit Cartoonize and the command line do between the links and the task ids.

The journal is asked first, and written before anything is sent: the same work is paid for once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .backend import Backend
from .config import Profile
from .errors import CartoonizeError, InputError, OutcomeUnknownError
from .hosting.uploads import PENDING
from .monitor import Monitor, count
from .reachability import Trial, own_address_problem, refusal, unreachable, unusable
from .records import State, Submission, Verdict, verdict
from .references import TaskRef
from .report import Retry
from .retry import checked_retry
from .sending import Fate, Sender
from .threads import map_bounded
from .work import Order, Work, candidate_keys, say_places, split_work

IN_FLIGHT = 3
MOST_VARIATIONS = 2**63  # as the journal can hold; a linked seed may be larger


@dataclass(frozen=True)
class Request:
    """What a user submits: links, and how; `report` of an earlier result restricts it to the images that failed."""

    links: tuple[str, ...]
    priority: int = 1
    variation: int = 0
    report: str = ""


def submit(backend: Backend, request: Request, monitor: Monitor) -> list[TaskRef]:
    """Return the tasks of the links, in order, creating those that the journal does not know.

    Raises as `Client.create_task` does, InputError for more images than the profile allows or links that the service
    could not use, and OutcomeUnknownError for work whose earlier submission has no known outcome. When one of several
    fails, no further one is begun, and the error says what became of each; running again submits only what is missing.
    """
    if not 0 <= request.variation < MOST_VARIATIONS:
        msg = f"variation must be a whole number from 0 to {MOST_VARIATIONS - 1}, not {request.variation}."
        raise InputError(msg)
    retry = None
    if request.report:
        retry = checked_retry(backend.journal, backend.profile.name, request.report, request.links)
    works, records = _works(backend, request, retry)
    is_alone = len(works) == 1 and retry is None
    sender = Sender(backend, request.priority, request.variation, monitor, is_alone=is_alone)
    for work in works:
        if (record := records[work.key]) is not None and record.state is State.UNKNOWN:
            sender.check_known(record)  # nothing of the request is sent then; one that is being sent may be learned yet
    verdicts = {work.key: verdict(records[work.key], is_free=backend.profile.is_local) for work in works}
    to_send = [work for work in {work.key: work for work in works}.values() if verdicts[work.key] is Verdict.SEND]
    _check(backend, to_send, request, monitor)
    text = _plan(backend.profile, works, to_send, verdicts, retry)
    monitor.report(0, max(1, len(works)), text)
    monitor.check()
    fates = map_bounded(sender.fate_of, works, workers=IN_FLIGHT, monitor=monitor)
    _note_uses(backend, fates)
    if any(fate.error for fate in fates):
        raise _combined(fates)
    monitor.report(len(works), max(1, len(works)), "\n".join([*(_said(fate, backend.profile) for fate in fates), text]))
    kept = () if retry is None else retry.tasks
    return [*kept, *(TaskRef(fate.task_id, fate.work.places if retry else ()) for fate in fates)]


def _check(backend: Backend, to_send: Sequence[Work], request: Request, monitor: Monitor) -> None:
    """Check all that is about to be sent, before the first of it is; from here on its uploads are not deleted."""
    _check_spending(backend.profile, _images(to_send))
    with backend.client() as client:
        for work in to_send:
            client.checked(work.links, request.priority)
    service, pending = backend.profile.task_address, {PENDING + work.key: work.links for work in to_send}
    backend.uploads.note_uses(service, pending)
    try:
        _check_links(backend, [link for work in to_send for link in work.links], request.links, monitor)
    except CartoonizeError:
        backend.uploads.drop_uses(service, pending)
        raise


def _note_uses(backend: Backend, fates: Sequence[Fate]) -> None:
    """Note which tasks need which uploads, in the place of the work that was being sent."""
    service = backend.profile.task_address
    backend.uploads.note_uses(service, {fate.task_id: fate.work.links for fate in fates if fate.task_id})
    known = [fate for fate in fates if not isinstance(fate.error, OutcomeUnknownError)]
    backend.uploads.drop_uses(service, [PENDING + fate.work.key for fate in known])


def _works(backend: Backend, request: Request, retry: Retry | None) -> tuple[list[Work], dict[str, Submission | None]]:
    """Return the request as tasks, those that the journal knows in one piece, and the latest record of each key."""
    profile, links, journal = backend.profile, request.links, backend.journal
    if not links:
        msg = "There are no links: connect Image to URL, or paste links, one per line. Nothing was sent."
        raise InputError(msg)
    places: Sequence[int] = range(1, len(links) + 1)
    after: tuple[str, ...] = ()
    if retry is not None:
        places, after = retry.failed, tuple(map(str, retry.tasks))
    chosen = [links[place - 1] for place in places]
    order, most = _order(profile, request.variation, after), profile.limits.max_images
    keys = candidate_keys(journal.contents_of(chosen), order, most)
    records = dict(zip(keys.values(), journal.latest(list(keys.values())), strict=True))
    known = {key for key, record in records.items() if verdict(record, is_free=profile.is_local) is not Verdict.SEND}
    return split_work(chosen, places, keys, most, known), records


def _order(profile: Profile, variation: int, after: tuple[str, ...]) -> Order:
    account = "" if profile.is_local else profile.app_key.reveal()  # the embedded service's is a new one each time
    return Order(profile.create_address, account, variation, after)


def _check_spending(profile: Profile, images: int) -> None:
    if images > profile.max_images and not profile.is_local:
        msg = (
            f"{count(images, 'image')} would be submitted to profile {profile.name!r}, more than its max_images, "
            f"{profile.max_images}. If that is what you want, raise max_images in config.toml. Nothing was sent."
        )
        raise InputError(msg)


def _check_links(backend: Backend, to_send: Sequence[str], links: Sequence[str], monitor: Monitor) -> None:
    """Raise InputError for links that the service could not fetch: it would be paid for nothing."""
    profile = backend.profile
    if profile.is_local or not to_send:  # the embedded service costs nothing, and says itself what it cannot fetch
        return
    trial = Trial(profile.limits, replace(profile.policy, allow_http=True), profile.expected_wait_s)
    problems = unusable(to_send, trial, time.time())
    problems |= dict.fromkeys(backend.uploads.gone(to_send), "was uploaded by this machine, which has deleted it since")
    if profile.check_links:
        problems |= unreachable([link for link in to_send if link not in problems], trial, monitor)
    if not problems:
        return
    next_step = "Choose a host in Image to URL that the service can reach."
    if any(backend.journal.is_hosted(link) and not own_address_problem(link, profile.allow_hosts) for link in problems):
        backend.uploads.renew_links()
        next_step = (
            "Run again: Image to URL makes new links (if they end too soon, raise link_lifetime_h of their host). "
            f"Or: {next_step}"
        )
    if profile.check_links:
        next_step += (
            f" If the service can fetch them all the same, set check_links = false for profile {profile.name!r} in "
            "config.toml, or CARTOONIZE_CHECK_LINKS=0."
        )
    raise refusal(problems, links, next_step)


def _plan(
    profile: Profile,
    works: Sequence[Work],
    to_send: Sequence[Work],
    verdicts: Mapping[str, Verdict],
    retry: Retry | None,
) -> str:
    """Return what is about to be sent, and what is paid for, in words."""
    parts = ["nothing to send"]
    if to_send:
        tasks = count(len(to_send), "task")
        parts = [f"sending {count(_images(to_send), 'image')} as {tasks} to profile {profile.name!r}"]
        parts += ["drawn on this machine, no account needed"] if profile.is_local else []
    for decision, words in ((Verdict.REUSE, f"already {_paid(profile)}"), (Verdict.ASK, "being sent elsewhere")):
        if images := _images([work for work in works if verdicts[work.key] is decision]):
            parts.append(f"{count(images, 'image')} {words}")
    if retry is not None:
        parts.append(f"{count(retry.images - len(retry.failed), 'image')} of the report need no second attempt")
    return "; ".join(parts)


def _images(works: Sequence[Work]) -> int:
    return sum(len(work.links) for work in works)


def _said(fate: Fate, profile: Profile) -> str:
    if fate.warning:
        return fate.warning
    how = f"accepted by profile {profile.name!r}" if fate.is_new else f"already {_paid(profile)}"
    return f"task {fate.task_id}: {fate.work.words} {how}"


def _paid(profile: Profile) -> str:
    return "submitted" if profile.is_local else "paid for"


def _combined(fates: Sequence[Fate]) -> CartoonizeError:
    """Return the first error; of several tasks, with a word about every other one."""
    first, *others = [fate for fate in fates if fate.error is not None]
    assert first.error is not None  # noqa: S101  # for the type checker: chosen so above
    if len(fates) > 1:
        rows = [fate.warning or f"task {fate.task_id}: {fate.work.words} accepted" for fate in fates if fate.task_id]
        rows += [f"{fate.work.words}: {fate.error}" for fate in others]
        waiting = [place for fate in fates if not fate.task_id and fate.error is None for place in fate.work.places]
        rows += [f"{say_places(waiting)}: not sent"] if waiting else []
        if not any(isinstance(fate.error, OutcomeUnknownError) for fate in fates):
            rows.append("Run again: only what is not accepted is submitted.")
        first.error.amend(f"{first.work.words}: ", "\n" + "\n".join(rows))
    return first.error
