"""watch(): polling driven by a clock that only moves when somebody sleeps; no test waits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cartoonize_pack.utils.contract import Task, TaskStatus
from cartoonize_pack.utils.errors import (
    Cancelled,
    ContractError,
    DeadlineError,
    OutcomeUnknownError,
    ServiceError,
    UnreachableError,
)
from cartoonize_pack.utils.tasks import backoff_s, clamp_s, watch


def state(code: int = 2, wait_time_s: float | None = 5.0) -> Task:
    """An answer; unlisted codes count as failed, as the parser has it."""
    known = code in {status.value for status in TaskStatus}
    return Task("t1", TaskStatus(code) if known else TaskStatus.FAILED, code, wait_time_s, ())


DONE = state(3)


def trouble(retry_after_s: float | None = None) -> UnreachableError:
    """No usable answer this time."""
    return UnreachableError("The service is in trouble.", http_status=503, retry_after_s=retry_after_s)


class World:
    """A service that answers from a script (its last line for ever), a clock, and what was slept and told."""

    def __init__(self, *script: Task | Exception, answer_takes_s: float = 0.0) -> None:
        self.script = list(script)
        self.answer_takes_s = answer_takes_s
        self.now = 1000.0
        self.fetches = 0
        self.sleeps: list[float] = []
        self.troubles: list[tuple[UnreachableError, float]] = []
        self.cancelled = False
        self.on_sleep: Callable[[], None] = lambda: None
        self.on_fetch: Callable[[], None] = lambda: None

    def fetch(self) -> Task:
        self.fetches += 1
        self.now += self.answer_takes_s
        self.on_fetch()
        line = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(line, Exception):
            raise line
        return line

    def sleep(self, seconds: float) -> None:
        assert seconds > 0, "a wait of nothing hammers the service"
        assert len(self.sleeps) < 1000, "it never ends"
        self.sleeps.append(seconds)
        self.now += seconds
        self.on_sleep()

    def check_cancel(self) -> None:
        if self.cancelled:
            message = "Cancelled."
            raise Cancelled(message)

    def cancel(self) -> None:
        self.cancelled = True

    def watch(self, timeout_s: float = 10_000.0, jitter: float = 1.0) -> list[Task]:
        """Every state that watch() yields."""
        return list(
            watch(
                self.fetch,
                timeout_s=timeout_s,
                clock=lambda: self.now,
                sleep=self.sleep,
                check_cancel=self.check_cancel,
                on_trouble=lambda error, wait_s: self.troubles.append((error, wait_s)),
                jitter=lambda: jitter,
            )
        )


# How long it waits between two questions


@pytest.mark.parametrize(
    ("wait_time_s", "slept"),
    [(5.0, 5.0), (0.5, 0.5), (30.0, 30.0), (0.0, 0.5), (0.49, 0.5), (30.1, 30.0), (86_400.0, 30.0), (None, 2.0)],
    ids=["as asked", "least", "most", "zero", "below", "above", "a day", "not named"],
)
def test_the_wait_time_of_the_service_is_honoured_within_bounds(wait_time_s: float | None, slept: float) -> None:
    """Never hammering, never sleeping through the result, 2 s where the service names nothing."""
    world = World(state(2, wait_time_s), DONE)
    world.watch()
    assert world.sleeps == [slept]


def test_each_answer_sets_its_own_wait() -> None:
    """The wait follows the service's last word."""
    world = World(state(1, 7.0), state(2, 3.0), state(2, None), state(2, 1.0), DONE)
    world.watch()
    assert world.sleeps == [7.0, 3.0, 2.0, 1.0]


@pytest.mark.parametrize(("wait_time_s", "slept"), [(5.0, 5.5), (0.0, 0.55), (60.0, 33.0)])
def test_the_jitter_lengthens_every_wait(wait_time_s: float, slept: float) -> None:
    """Many tasks that were submitted at once do not ask at once."""
    world = World(state(2, wait_time_s), DONE)
    world.watch(jitter=1.1)
    assert world.sleeps == pytest.approx([slept])


def test_the_jitter_lengthens_waits_in_trouble_too() -> None:
    """Everybody whom an outage hit would come back in step otherwise."""
    world = World(trouble(), trouble(retry_after_s=10.0), DONE)
    world.watch(jitter=1.1)
    assert world.sleeps == pytest.approx([1.1, 11.0])


def test_the_jitter_of_its_own_never_shortens_and_hardly_lengthens() -> None:
    """The service's wait is a lower bound; a fifth more at most."""
    world = World(*[state(2, 10.0)] * 200, DONE)
    states = watch(world.fetch, timeout_s=1e6, clock=lambda: world.now, sleep=world.sleep)
    assert len(list(states)) == 201
    assert min(world.sleeps) >= 10.0
    assert max(world.sleeps) <= 12.0
    assert len(set(world.sleeps)) > 100


@pytest.mark.parametrize(
    ("given", "expected"), [(-1.0, 0.5), (0.0, 0.5), (0.5, 0.5), (12.0, 12.0), (30.0, 30.0), (1e9, 30.0)]
)
def test_clamping(given: float, expected: float) -> None:
    """0.5 to 30 s."""
    assert clamp_s(given) == expected


@pytest.mark.parametrize(
    ("failures", "expected"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 16.0), (6, 30.0), (7, 30.0), (10_000, 30.0)]
)
def test_backing_off(failures: int, expected: float) -> None:
    """Doubling up to 30 s, also after very many failures."""
    assert backoff_s(failures) == expected


# What it yields, and when it ends


def test_every_answer_is_yielded_once_and_in_order() -> None:
    """Also equal ones: each is progress that can be shown."""
    answers = [state(1), state(1), state(2), state(2), DONE]
    world = World(*answers)
    assert world.watch() == answers
    assert world.fetches == 5


@pytest.mark.parametrize("code", [3, 4, 5, 6, 0, 7, 8, -1])
def test_a_final_or_unlisted_state_ends_it_without_another_question_or_wait(code: int) -> None:
    """The final state is yielded like the others."""
    world = World(state(1), state(code), AssertionError("asked after the end"))
    assert [task.status_code for task in world.watch()] == [1, code]
    assert world.fetches == 2
    assert len(world.sleeps) == 1


@pytest.mark.parametrize("code", [1, 2])
def test_waiting_and_in_progress_do_not_end_it(code: int) -> None:
    """Both mean: ask again."""
    world = World(state(code), state(code), DONE)
    world.watch()
    assert world.fetches == 3


def test_a_task_that_is_already_done_costs_one_question_and_no_wait() -> None:
    """Resuming an old task is instant."""
    world = World(DONE)
    assert world.watch() == [DONE]
    assert (world.fetches, world.sleeps) == (1, [])


def test_an_answer_is_handed_on_before_the_wait_that_follows_it() -> None:
    """Progress is shown while waiting, not after it."""
    world = World(state(1), DONE)
    states = watch(world.fetch, timeout_s=100.0, clock=lambda: world.now, sleep=world.sleep)
    next(states)
    assert (world.fetches, world.sleeps) == (1, [])


# Trouble in transport


def test_trouble_is_answered_by_doubling_waits_and_then_forgotten() -> None:
    """1, 2, 4 s; after an answer it counts anew."""
    world = World(trouble(), trouble(), trouble(), state(2, 5.0), trouble(), trouble(), DONE)
    assert [task.status_code for task in world.watch()] == [2, 3]
    assert world.sleeps == [1.0, 2.0, 4.0, 5.0, 1.0, 2.0]


def test_trouble_is_reported_with_the_wait_that_follows() -> None:
    """The user sees why nothing moves."""
    first, second = trouble(), trouble(retry_after_s=9.0)
    world = World(first, second, DONE)
    world.watch()
    assert world.troubles == [(first, 1.0), (second, 9.0)]


@pytest.mark.parametrize(
    ("retry_after_s", "slept"), [(7.0, 7.0), (0.0, 0.5), (30.0, 30.0), (100.0, 100.0), (86_400.0, 150.0)]
)
def test_the_retry_after_of_the_service_is_honoured_within_bounds(retry_after_s: float, slept: float) -> None:
    """A day in Retry-After does not put the node to sleep for a day."""
    world = World(trouble(retry_after_s), DONE)
    world.watch()
    assert world.sleeps == [slept]
    assert world.troubles[0][1] == slept


def test_two_minutes_without_any_answer_end_it_with_the_last_trouble() -> None:
    """Neither before 120 s nor much after."""
    last = trouble()
    world = World(*[trouble() for _ in range(8)], last)
    with pytest.raises(UnreachableError) as caught:
        world.watch()
    assert caught.value is last
    assert world.sleeps == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert 120 <= world.now - 1000 < 125


def test_an_answer_in_between_starts_the_two_minutes_anew() -> None:
    """An outage of a minute, an answer, and another outage of a minute are survived."""
    minute = [trouble() for _ in range(6)]  # 1 + 2 + 4 + 8 + 16 + 30 s
    world = World(*minute, state(2), *minute, state(2), *minute, DONE)
    assert len(world.watch()) == 3


def test_one_blip_after_long_waiting_does_not_end_it() -> None:
    """The patience is counted from the last answer, not from the start."""
    world = World(*[state(2, 30.0)] * 20, trouble(), state(2), DONE)
    assert len(world.watch()) == 22


@pytest.mark.parametrize("gap_s", [121.0, 3600.0])
def test_a_first_blip_after_a_long_gap_does_not_end_it(gap_s: float) -> None:
    """A computer that was asleep finds its network a moment later than its programs: one failure is not two minutes."""
    world = World(state(2), trouble(), DONE)

    def suspended() -> None:
        if len(world.sleeps) == 1:
            world.now += gap_s

    world.on_sleep = suspended
    assert world.watch() == [state(2), DONE]


@pytest.mark.parametrize(
    "error",
    [ServiceError("refused", code=7), ContractError("nonsense"), OutcomeUnknownError("lost"), ValueError("a fault")],
    ids=lambda error: type(error).__name__,
)
def test_any_other_error_passes_at_once(error: Exception) -> None:
    """Asking again would not help, and hiding a fault of the pack would not either."""
    world = World(state(1), error)
    with pytest.raises(type(error)) as caught:
        world.watch()
    assert caught.value is error
    assert (world.fetches, len(world.sleeps), world.troubles) == (2, 1, [])


# The deadline


def test_the_deadline_ends_it_naming_the_time_and_the_last_state() -> None:
    """After the whole time, not before, and with one last question at the very end."""
    world = World(state(1), state(2, 4.0))
    with pytest.raises(DeadlineError, match=r"\b10 s.*in progress"):
        world.watch(timeout_s=10.0)
    assert world.now == 1010.0
    assert world.sleeps == [5.0, 4.0, 1.0]
    assert world.fetches == 4


@pytest.mark.parametrize("timeout_s", [0.1, 1.0, 7.3, 30.0, 100.0])
@pytest.mark.parametrize("script", [[state(2, 30.0)], [trouble()], [trouble(60.0)]], ids=["answers", "trouble", "busy"])
def test_no_wait_goes_beyond_the_deadline(timeout_s: float, script: list[Task | Exception]) -> None:
    """Not with long wait times, not with jitter, not while the service is away."""
    world = World(*script)
    with pytest.raises((DeadlineError, UnreachableError)):
        world.watch(timeout_s=timeout_s, jitter=1.2)
    assert world.now - 1000 == pytest.approx(timeout_s)


def test_a_task_that_ends_just_at_the_deadline_is_not_lost() -> None:
    """The last question is asked at the deadline, and its answer counts."""
    world = World(state(2, 30.0), DONE)
    assert world.watch(timeout_s=10.0) == [state(2, 30.0), DONE]


def test_time_spent_on_answers_counts() -> None:
    """The deadline is one of the clock, not of the waits."""
    world = World(state(2, 1.0), answer_takes_s=4.0)
    with pytest.raises(DeadlineError):
        world.watch(timeout_s=10.0)
    assert world.fetches == 3
    assert world.now <= 1014.0


def test_no_time_at_all_still_asks_once() -> None:
    """A timeout of 0 is a look at the task."""
    assert World(DONE).watch(timeout_s=0.0) == [DONE]
    world = World(state(1))
    with pytest.raises(DeadlineError, match="waiting"):
        world.watch(timeout_s=0.0)
    assert (world.fetches, world.sleeps) == (1, [])


def test_a_deadline_shorter_than_the_patience_without_any_answer_tells_the_trouble() -> None:
    """ "Not finished" would hide that the service was never reached."""
    world = World(trouble())
    with pytest.raises(UnreachableError, match="in trouble"):
        world.watch(timeout_s=5.0)
    assert world.sleeps == [1.0, 2.0, 2.0]


# Cancel


def test_cancel_before_the_start_asks_nothing() -> None:
    """Not even the first question."""
    world = World(DONE)
    world.cancel()
    with pytest.raises(Cancelled):
        world.watch()
    assert world.fetches == 0


@pytest.mark.parametrize("line", [state(2), trouble()], ids=["after an answer", "after trouble"])
def test_cancel_during_a_wait_ends_it_before_the_next_question(line: Task | Exception) -> None:
    """The sleeper wakes, and nothing more is sent."""
    world = World(line)
    world.on_sleep = world.cancel
    with pytest.raises(Cancelled):
        world.watch()
    assert (world.fetches, len(world.sleeps)) == (1, 1)


@pytest.mark.parametrize("line", [state(2), trouble()], ids=["with an answer", "with trouble"])
def test_cancel_during_a_question_ends_it_before_the_next_wait(line: Task | Exception) -> None:
    """Cancel is heard on both sides of every wait."""
    world = World(line)
    world.on_fetch = world.cancel
    with pytest.raises(Cancelled):
        world.watch()
    assert (world.fetches, world.sleeps) == (1, [])


def test_a_final_answer_wins_over_cancel() -> None:
    """What has arrived is not thrown away."""
    world = World(DONE)
    world.on_fetch = world.cancel
    assert world.watch() == [DONE]
