"""One work -> its task: under its lock, written into the journal before it is sent, and sent at most once."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime

from .backend import Backend
from .errors import Cancelled, CartoonizeError, ConfigurationError, OutcomeUnknownError, UnreachableError
from .monitor import Monitor, count
from .records import State, Submission, Verdict, verdict
from .work import Work

RETRY_WAITS_S = (1.0, 2.0, 4.0)  # between attempts of which nothing was accepted
MAX_RETRY_AFTER_S = 30.0  # Submit holds the graph while it waits: a longer wait is for the user to decide
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fate:
    """What became of the work of one task; with neither task nor error it was not begun."""

    work: Work
    task_id: str = ""
    is_new: bool = False
    error: CartoonizeError | None = None


class Sender:
    """Sends the works of one request, several at a time, each at most once."""

    def __init__(self, backend: Backend, priority: int, variation: int, monitor: Monitor) -> None:
        self._backend = backend
        self._priority = priority
        self._variation = variation
        self._monitor = monitor
        self._stopped = threading.Event()
        self.warnings: list[str] = []

    def fate_of(self, work: Work) -> Fate:
        """Return what becomes of one work; after a failure nothing further is begun."""
        if self._stopped.is_set():
            return Fate(work)
        try:
            with self._backend.journal.sending(work.key, self._sleep):
                fate = self._found_or_sent(work)
        except Cancelled:
            raise
        except CartoonizeError as error:
            self._stopped.set()
            return Fate(work, error=error)
        self._monitor.step(f"task {fate.task_id}: {work.words} {'accepted' if fate.is_new else 'known'}")
        return fate

    def _found_or_sent(self, work: Work) -> Fate:
        """Return the task of the work, while nobody else sends it."""
        (record,) = self._backend.journal.latest([work.key])
        decision = verdict(record, is_free=self._backend.profile.is_local)
        if record is not None and decision is Verdict.REUSE:
            return Fate(work, record.task_id)
        if record is not None and decision is Verdict.ASK:
            self._backend.journal.end_unaccepted(record.number, State.UNKNOWN, "the process ended while sending")
            raise OutcomeUnknownError(unknown_words(record))
        return Fate(work, self._sent(work), is_new=True)

    def _sent(self, work: Work) -> str:
        """Create the task; an attempt of which certainly nothing was accepted is repeated, after a wait."""
        for attempt in range(len(RETRY_WAITS_S) + 1):
            self._monitor.check()
            number = self._backend.journal.begin(work, self._backend.profile, self._variation)
            try:
                return self._sent_once(work, number)
            except OutcomeUnknownError as error:
                self._note_end(number, State.UNKNOWN, error)
                error.amend("", f"\n{how_to_go_on(number)}")
                raise
            except CartoonizeError as error:
                self._note_end(number, State.REFUSED, error)
                wait_s = retry_wait_s(error, attempt)
                if wait_s is None:
                    raise
                self._monitor.report(0, 1, f"{error} Trying again in {wait_s:.0f} s.")
                self._sleep(wait_s)
        raise AssertionError  # the last attempt returns or raises

    def _sent_once(self, work: Work, number: int) -> str:
        with self._backend.client() as client:
            task_id = client.create_task(
                work.links, self._priority, on_late=lambda late_id: self._accepted(work, number, late_id)
            )
        self._accepted(work, number, task_id)
        return task_id

    def _accepted(self, work: Work, number: int, task_id: str) -> None:
        """Note the task in the thread that received its id: whoever pressed Cancel meanwhile finds it there."""
        _log.info("task %s: %s accepted by profile %r", task_id, work.words, self._backend.profile.name)
        try:
            self._backend.journal.accept(number, task_id)
        except ConfigurationError as error:
            warning = f"Task {task_id} was accepted, but the journal does not know it: keep its id. {error}"
            _log.error("%s", warning)
            self.warnings.append(warning)

    def _note_end(self, number: int, state: State, error: CartoonizeError) -> None:
        try:
            self._backend.journal.end_unaccepted(number, state, str(error))
        except ConfigurationError as trouble:  # the record says "sending", which counts as unknown: nothing is repeated
            _log.error("submission %d: %s; %s", number, error, trouble)

    def _sleep(self, seconds: float) -> None:
        self._monitor.sleep(seconds)
        self._monitor.check()


def retry_wait_s(error: CartoonizeError, attempt: int) -> float | None:
    """Return how long to wait before a submission is tried again (`attempt` counts from 0), None if it is not.

    Only where certainly nothing was accepted and that may change by itself: no connection (DNS, refused, TLS), 429
    with Retry-After, 503 with a word of the gateway.
    """
    if not isinstance(error, UnreachableError) or attempt >= len(RETRY_WAITS_S):
        return None
    if error.http_status == 429 and error.retry_after_s is None:
        return None
    wait_s = max(RETRY_WAITS_S[attempt], error.retry_after_s or 0.0)
    return wait_s if wait_s <= MAX_RETRY_AFTER_S else None


def unknown_words(record: Submission) -> str:
    """Return what a user must know about an earlier submission without a known outcome."""
    when = datetime.fromtimestamp(record.created_s).strftime("%Y-%m-%d %H:%M:%S")
    why = f" ({record.detail})" if record.detail and record.state is State.UNKNOWN else ""
    return (
        f"The same work, {count(record.images, 'image')} for profile {record.profile!r}, was being sent at {when}, "
        f"and no answer is known{why}. The service may have accepted it and charged for it; nothing was sent now.\n"
        f"{how_to_go_on(record.number)}"
    )


def how_to_go_on(number: int) -> str:
    """Return the steps that only the user can take about a submission of unknown outcome."""
    return (
        "Look into the service's console. If the task is there, it is paid for: paste its id into Poll Result. If it "
        "is not there, change 'variation' in Submit Cartoonize and run again: that is a new submission of all its "
        "images, and should the first one appear after all, a second charge. To settle this one alone, in a terminal: "
        f"'portrait-cartoonize tasks found {number} TASK_ID', or 'portrait-cartoonize tasks forget {number}' to send "
        "it again."
    )
