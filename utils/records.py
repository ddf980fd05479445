"""What the journal holds, as data: one record a submission, its states, and what they allow; pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from .contract import Task, TaskStatus
from .errors import InputError


class State(enum.Enum):
    """Where a submission stands.

    sending -> accepted -> done | failed
            |-> refused              nothing was accepted
            `-> unknown              it may have been accepted; only the user decides how to go on
    """

    SENDING = "sending"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    DONE = "done"
    FAILED = "failed"


class Verdict(enum.Enum):
    """What a submission may do whose work the journal knows."""

    SEND = "send"
    REUSE = "reuse"
    ASK = "ask"


@dataclass(frozen=True)
class Submission:
    """One submission: `number` is its name for people, times are seconds since 1970, links are without their query.

    `service` is where its task is asked for; `key` says what work it is, see `work.work_key`.
    """

    number: int
    key: str
    profile: str
    service: str
    state: State
    task_id: str
    links: tuple[str, ...]
    variation: int
    created_s: float
    updated_s: float
    detail: str = ""

    @property
    def images(self) -> int:
        """How many images it was for."""
        return len(self.links)

    @property
    def name(self) -> str:
        """What error texts call it."""
        return name_of(self.number, self.key)


def name_of(number: int, key: str) -> str:
    """Return what a submission is called where it may be looked up in a wrong journal, which has other keys."""
    return f"{number}-{key[:6]}"


def named(submissions: Sequence[Submission], name: str) -> Submission:
    """Return the latest submission of a number, a name or a task id; raises InputError if there is none."""
    for submission in reversed(submissions):
        if name and name in (str(submission.number), submission.name, submission.task_id):
            return submission
    msg = f"There is no submission {name!r} in the journal; 'portrait-cartoonize tasks list' shows them."
    raise InputError(msg)


def verdict(record: Submission | None, *, is_free: bool) -> Verdict:
    """Return what may be done about work, given its latest record and that nobody is sending it at this moment.

    So a record that still says "sending" is of a process that died between sending and answer. Where the work costs
    nothing, an unknown outcome is simply sent again.
    """
    if record is None or record.state in (State.REFUSED, State.FAILED):
        return Verdict.SEND
    if record.state in (State.ACCEPTED, State.DONE):
        return Verdict.REUSE
    return Verdict.SEND if is_free else Verdict.ASK


def ended_state(task: Task, *, is_free: bool) -> State:
    """Return what a final answer makes of a submission.

    Failed, and therefore free to be sent again, is only a task that the service itself calls failed or timed out and
    that left no picture. One that it calls closed may have been finished, and paid for, before; what an undocumented
    status means for the bill is not known.
    """
    if any(image.is_done for image in task.images) or task.status is TaskStatus.COMPLETE:
        return State.DONE
    has_failed = task.status_code in (TaskStatus.FAILED, TaskStatus.TIMED_OUT)
    return State.FAILED if has_failed or is_free else State.DONE
