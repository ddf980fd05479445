"""One work -> its task: under its lock, written into the journal before it is sent, and sent at most once."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

from .backend import Backend
from .errors import Cancelled, CartoonizeError, ConfigurationError, OutcomeUnknownError, UnreachableError
from .logs import logger
from .monitor import Monitor, count
from .records import State, Submission, Verdict, name_of, verdict
from .work import Work

RETRY_WAITS_S = (1.0, 2.0, 4.0)  # between attempts of which nothing was accepted
MAX_RETRY_AFTER_S = 30.0  # Submit holds the graph while it waits: a longer wait is for the user to decide
_log = logger(__name__)


@dataclass(frozen=True)
class Fate:
    """What became of the work of one task; with neither task nor error it was not begun."""

    work: Work
    task_id: str = ""
    is_new: bool = False
    error: CartoonizeError | None = None
    warning: str = ""


class Sender:
    """Sends the works of one request, several at a time, each at most once.

    `is_alone` says that there is nothing else in the request that another `variation` would buy again.
    """

    def __init__(self, backend: Backend, priority: int, variation: int, monitor: Monitor, *, is_alone: bool) -> None:
        self._backend = backend
        self._priority = priority
        self._variation = variation
        self._monitor = monitor
        self._is_alone = is_alone
        self._stopped = threading.Event()

    def fate_of(self, work: Work) -> Fate:
        """Return what becomes of one work; after a failure nothing further is begun."""
        try:
            with self._backend.journal.sending(work.key, self._wait_for_turn):
                fate = Fate(work) if self._stopped.is_set() else self._found_or_sent(work)
        except Cancelled:
            raise
        except CartoonizeError as error:
            self._stopped.set()
            return Fate(work, error=error)
        if fate.task_id:
            self._monitor.step(f"task {fate.task_id}: {work.words} {'accepted' if fate.is_new else 'known'}")
        return fate

    def check_known(self, record: Submission) -> None:
        """Raise OutcomeUnknownError if a submission has no known outcome, and nobody is about to learn it."""
        if verdict(record, is_free=self._backend.profile.is_local) is Verdict.ASK:
            self._backend.journal.end_unaccepted(record.number, State.UNKNOWN, "the process ended while sending")
            msg = f"{unknown_words(record)}\n{self._how_to_go_on(record.name)}"
            raise OutcomeUnknownError(msg)

    def _found_or_sent(self, work: Work) -> Fate:
        """Return the task of the work, while nobody else sends it."""
        (record,) = self._backend.journal.latest([work.key])
        if record is not None:
            self.check_known(record)
            if verdict(record, is_free=self._backend.profile.is_local) is Verdict.REUSE:
                return Fate(work, record.task_id)
        return self._sent(work)

    def _sent(self, work: Work) -> Fate:
        """Create the task; an attempt of which certainly nothing was accepted is repeated, after a wait."""
        for attempt in range(len(RETRY_WAITS_S) + 1):
            self._monitor.check()
            number = self._backend.journal.begin(work, self._backend.profile, self._variation)
            try:
                return self._sent_once(work, number)
            except OutcomeUnknownError as error:
                self._note_end(number, State.UNKNOWN, error)
                error.amend("", f"\n{self._how_to_go_on(name_of(number, work.key))}")
                raise
            except CartoonizeError as error:
                self._note_end(number, State.REFUSED, error)
                wait_s = retry_wait_s(error, attempt)
                if wait_s is None:
                    raise
                self._monitor.say(f"{error} Trying again in {wait_s:.0f} s.")
                self._sleep(wait_s)
        raise AssertionError  # the last attempt returns or raises

    def _sent_once(self, work: Work, number: int) -> Fate:
        def late(task_id: str) -> None:
            self._accepted(work, number, task_id)

        with self._backend.client() as client:
            task_id = client.create_task(work.links, self._priority, on_late=late)
        return self._accepted(work, number, task_id)

    def _accepted(self, work: Work, number: int, task_id: str) -> Fate:
        """Note the task in the thread that received its id: whoever pressed Cancel meanwhile finds it there."""
        _log.info("task %s: %s accepted by profile %r", task_id, work.words, self._backend.profile.name)
        try:
            self._backend.journal.accept(number, work, self._backend.profile, self._variation, task_id)
        except ConfigurationError as error:
            warning = f"task {task_id} was accepted, but the journal cannot note it: keep its id, for Poll Result"
            _log.error("%s. %s", warning, error)
            return Fate(work, task_id, is_new=True, warning=warning)
        return Fate(work, task_id, is_new=True)

    def _note_end(self, number: int, state: State, error: CartoonizeError) -> None:
        try:
            self._backend.journal.end_unaccepted(number, state, str(error))
        except ConfigurationError as trouble:  # the record says "sending", which counts as unknown: nothing is repeated
            _log.error("submission %d: %s; %s", number, error, trouble)

    def _wait_for_turn(self, seconds: float) -> None:
        self._monitor.say("waiting for another process that is submitting the same images")
        self._sleep(seconds)

    def _how_to_go_on(self, name: str) -> str:
        """Return the steps that only the user can take about a submission of unknown outcome."""
        settle = f"'tasks found {name} TASK_ID' if it is, 'tasks forget {name}' if it is not (README, 'Command line')"
        if not self._is_alone:
            return (
                "Look into the service's console whether the task is there, and say so in a terminal: "
                f"{settle}; then run again, and only what is missing is sent. (Another 'variation' would buy all "
                "images anew, also those that are paid for.)"
            )
        return (
            "Look into the service's console. If the task is there, it is paid for: paste its id into Poll Result. If "
            "it is not, change 'variation' in Submit Cartoonize and run again: a new submission, and should the first "
            f"one appear after all, a second charge. Or say in a terminal what you found: {settle}; then run again."
        )

    def _sleep(self, seconds: float) -> None:
        self._monitor.sleep(seconds)
        self._monitor.check()


def retry_wait_s(error: CartoonizeError, attempt: int) -> float | None:
    """Return how long to wait before a submission is tried again (`attempt` counts from 0), None if it is not.

    Only where certainly nothing was accepted and that may change by itself: no connection (DNS, refused, TLS), 429
    with Retry-After, 503 with Retry-After or the API's own refusal code.
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
        f"and no answer is known{why}. The service may have accepted it and charged for it; nothing was sent now."
    )
