"""What a node says of a task while it waits, and how far its bar is."""

from __future__ import annotations

import pytest
from cartoonize_pack.utils.contract import ImageResult, Task, TaskStatus
from cartoonize_pack.utils.errors import UnreachableError
from cartoonize_pack.utils.monitor import Monitor, Progress
from cartoonize_pack.utils.waiting import Waiting, waiting_share, waiting_text
from fake_clock import Clock

DONE = ImageResult("https://h.test/1.png", TaskStatus.COMPLETE, "")
OPEN = ImageResult(None, TaskStatus.WAITING, "")


class Ticking(Clock):
    """A clock that sleeping moves."""

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.now += seconds


def task(status: TaskStatus, wait_s: float | None = None, images: tuple[ImageResult, ...] = (), msg: str = "") -> Task:
    """An answer about the task "t"."""
    return Task("t", status, int(status), wait_s, images, msg)


@pytest.mark.parametrize(
    ("answer", "left_s", "is_estimate", "text"),
    [
        (task(TaskStatus.WAITING), 0.0, True, "waiting"),
        (task(TaskStatus.WAITING, msg="2nd in line"), 12.4, True, "waiting, 2nd in line, about 12 s left"),
        (task(TaskStatus.WAITING, msg="success"), 12.0, False, "waiting, asking again in 12 s"),
        (task(TaskStatus.IN_PROGRESS), 0.9, True, "in progress"),
        (task(TaskStatus.IN_PROGRESS, None, (DONE, OPEN, OPEN)), 5.0, True, "in progress, 1 of 3 done, about 5 s left"),
        (task(TaskStatus.IN_PROGRESS, None, (OPEN,)), 5.0, False, "in progress, asking again in 5 s"),
        (task(TaskStatus.IN_PROGRESS, msg="a\n b\t" + 100 * "c"), 0.0, True, "in progress, a b " + 76 * "c"),
        (task(TaskStatus.COMPLETE, 7.0, (DONE,), "2nd in line"), 7.0, True, "complete"),
        (task(TaskStatus.CLOSED), 3.0, False, "closed"),
        (Task("t", TaskStatus.FAILED, 8, None, ()), 3.0, False, "undocumented status 8"),
    ],
)
def test_the_text_of_an_answer(answer: Task, left_s: float, is_estimate: bool, text: str) -> None:
    """State, the service's words, what is done, the next moment; an estimate is called so only where it is one."""
    assert waiting_text(answer, left_s, is_estimate=is_estimate) == f"{text}\ntask t"


@pytest.mark.parametrize(
    ("answer", "waited_s", "left_s", "is_estimate", "share"),
    [
        (task(TaskStatus.WAITING), 0.0, 10.0, True, 0.0),
        (task(TaskStatus.WAITING), 5.0, 15.0, True, 0.25),
        (task(TaskStatus.WAITING), 5.0, 15.0, False, 0.0),
        (task(TaskStatus.IN_PROGRESS, None, (DONE, OPEN)), 1.0, 99.0, True, 0.5),
        (task(TaskStatus.IN_PROGRESS, None, (DONE, OPEN)), 9.0, 1.0, True, 0.9),
        (task(TaskStatus.IN_PROGRESS, None, (DONE, OPEN)), 9.0, 1.0, False, 0.5),
        (task(TaskStatus.IN_PROGRESS), 9.0, 0.0, True, 0.0),
        (task(TaskStatus.COMPLETE), 0.0, 0.0, False, 1.0),
    ],
)
def test_the_share_of_an_answer(answer: Task, waited_s: float, left_s: float, is_estimate: bool, share: float) -> None:
    """By finished pictures, and by the time only where the service estimates it; never by hope."""
    assert waiting_share(answer, waited_s, left_s, is_estimate=is_estimate) == share


def test_the_seconds_run_down_between_two_answers() -> None:
    """Every second a new text and a longer bar; trouble replaces what was known."""
    clock, told = Ticking(), list[Progress]()
    monitor = Monitor(told.append)
    monitor.sleep = clock.sleep  # type: ignore[method-assign]
    waiting = Waiting("t", monitor, is_estimate=True, clock=clock)
    waiting.answered(task(TaskStatus.WAITING, 3.0))
    waiting.sleep(3.0)
    waiting.troubled(UnreachableError("No answer."), 2.0)
    waiting.sleep(2.0)
    assert waiting.left_s(60.0) == 55.0
    assert [progress.text.partition("\n")[0] for progress in told] == [
        "asking", "waiting, about 3 s left", "waiting, about 2 s left", "waiting, about 1 s left",
        "No answer. Asking again in 2 s.",
    ]  # fmt: skip
    shares = [progress.share for progress in told]
    assert shares == sorted(shares)
    assert shares[3] == pytest.approx(2 / 3)


def test_cancel_ends_the_counting() -> None:
    """At the next second at the latest; in the real monitor at once."""
    clock, monitor = Ticking(), Monitor()
    monitor.sleep = lambda seconds: (clock.sleep(seconds), monitor.cancel())  # type: ignore[method-assign]
    waiting = Waiting("t", monitor, is_estimate=False, clock=clock)
    waiting.sleep(30.0)
    assert waiting.left_s(30.0) == 29.0
