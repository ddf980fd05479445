"""The job table: order, leases, fencing, states and estimates, with a fake clock."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from cartoonize_pack.utils.contract import TaskStatus
from cartoonize_pack.utils.service import jobs, queue
from cartoonize_pack.utils.service.jobs import JobTable
from cartoonize_pack.utils.service.messages import place
from cartoonize_pack.utils.service.states import RETENTION_S, TASK_TIMEOUT_S, TaskState, derive_status
from fake_clock import Clock


@pytest.fixture
def table(tmp_path: Path, clock: Clock) -> Iterator[JobTable]:
    table = JobTable(tmp_path / "jobs.sqlite3", clock)
    yield table
    table.close()


def test_higher_priority_comes_first_and_then_first_come_first_served(table: JobTable) -> None:
    """Priority 9 overtakes; within a priority, tasks and their pictures keep their order."""
    for name, priority in [("a", 1), ("b", 9), ("c", 1), ("d", 9), ("e", 0)]:
        table.accept("anime", [f"{name}0", f"{name}1"], priority)
    order = [claim.link for claim in iter(lambda: table.claim("me"), None)]
    assert order == ["b0", "b1", "d0", "d1", "a0", "a1", "c0", "c1", "e0", "e1"]


def test_a_claimed_picture_is_not_handed_out_again_while_its_lease_lives(table: JobTable, clock: Clock) -> None:
    """The lease protects; after it ran out somebody else gets the picture; renewing keeps it."""
    table.accept("anime", ["x"], 1)
    claim = table.claim("one")
    assert claim is not None
    clock.now += jobs.LEASE_S - 0.1
    assert table.claim("two") is None
    table.renew([claim])
    clock.now += jobs.LEASE_S - 0.1
    assert table.claim("two") is None
    clock.now += 0.2
    assert table.claim("two") is not None


def test_only_the_holder_of_the_last_claim_may_finish(table: JobTable, clock: Clock) -> None:
    """A worker that comes back late changes nothing, not even under the same name."""
    task_id = table.accept("anime", ["x"], 1)
    late = table.claim("one")
    clock.now += jobs.LEASE_S + 1
    current = table.claim("one")
    assert late is not None
    assert current is not None
    assert not table.finish(late, result="late.png")
    assert table.finish(current, result="current.png")
    assert not table.finish(current, result="again.png")
    state = table.state(task_id, 1)
    assert state is not None
    assert [image.result for image in state.images] == ["current.png"]


def test_a_picture_that_kills_its_worker_is_given_up(table: JobTable, clock: Clock) -> None:
    """After three attempts without an end it fails with a reason, and does not block the queue for ever."""
    task_id = table.accept("anime", ["poison"], 1)
    for _ in range(jobs.MAX_ATTEMPTS):
        assert table.claim("me") is not None
        clock.now += jobs.LEASE_S + 1
    assert table.claim("me") is None
    state = table.state(task_id, 1)
    assert state is not None
    assert state.status is TaskStatus.FAILED
    assert "3 times" in state.images[0].reason


def test_a_late_renewal_does_not_touch_what_others_hold(table: JobTable, clock: Clock) -> None:
    """A lease is lengthened for its own claim only."""
    table.accept("anime", ["x"], 1)
    late = table.claim("one")
    clock.now += jobs.LEASE_S + 1
    table.claim("two")
    clock.now += jobs.LEASE_S - 0.1
    assert late is not None
    table.renew([late])
    clock.now += 0.2
    assert table.claim("three") is not None


def test_a_failed_write_leaves_the_table_usable(tmp_path: Path) -> None:
    """A full disk is an error of that call, not of all that follow."""
    table = JobTable(tmp_path / "jobs.sqlite3")
    table._db.execute("PRAGMA max_page_count = 12")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        table.accept("anime", ["x" * 8000] * 20, 1)
    table._db.execute("PRAGMA max_page_count = 4000")
    task_id = table.accept("anime", ["x"], 1)
    state = table.state(task_id, 1)
    table.close()
    assert state is not None
    assert len(state.images) == 1


def test_released_work_is_free_at_once_and_costs_no_attempt(table: JobTable) -> None:
    """A clean stop hands back what it holds."""
    table.accept("anime", ["x"], 1)
    for _ in range(jobs.MAX_ATTEMPTS + 2):
        claim = table.claim("me")
        assert claim is not None
        assert claim.attempt == 1
        table.release("me")


def test_two_processes_share_one_table(tmp_path: Path, table: JobTable, clock: Clock) -> None:
    """Every picture is claimed once, whoever asks."""
    other = JobTable(tmp_path / "jobs.sqlite3", clock)
    table.accept("anime", [str(i) for i in range(20)], 1)
    claims = [(table if i % 2 else other).claim(f"owner{i % 2}") for i in range(20)]
    other.close()
    assert sorted(int(claim.link) for claim in claims if claim) == list(range(20))
    assert table.claim("late") is None


def test_jobs_survive_a_new_start(tmp_path: Path, table: JobTable, clock: Clock) -> None:
    """What was accepted is there after reopening the file."""
    task_id = table.accept("manga", ["x", "y"], 3)
    again = JobTable(tmp_path / "jobs.sqlite3", clock)
    state = again.state(task_id, 1)
    claim = again.claim("me")
    again.close()
    assert state is not None
    assert state.status is TaskStatus.WAITING
    assert claim is not None
    assert (claim.link, claim.style) == ("x", "manga")


def test_an_unknown_task_is_none(table: JobTable) -> None:
    """No state is invented."""
    assert table.state("6a4eab77-be30-430a-bf0e-3048042a34ef", 1) is None


def test_wait_time_is_what_the_measured_work_ahead_takes(table: JobTable) -> None:
    """A guess before the first measurement, then pictures ahead x measured seconds / workers, rounded up."""
    first = table.accept("anime", ["x", "y"], 1)
    before = table.state(first, 1)
    assert before is not None
    assert before.wait_time_s == 2 * queue.FIRST_GUESS_S
    for seconds in (3.0, 5.0):
        claim = table.claim("me")
        assert claim is not None
        table.finish(claim, result="r.png", seconds=seconds)
    second = table.accept("anime", ["z"] * 3, 1)
    third = table.accept("anime", ["w"], 1)
    urgent = table.accept("anime", ["u"], 9)
    waits = [table.state(task, 2).wait_time_s for task in (first, second, third, urgent)]  # type: ignore[union-attr]
    assert waits == [0, 8, 10, 2]


@pytest.mark.parametrize(
    ("states", "age_s", "since_end_s", "expected"),
    [
        (["queued", "queued"], 5, None, TaskStatus.WAITING),
        (["running", "queued"], 5, None, TaskStatus.IN_PROGRESS),
        (["done", "queued"], 5, None, TaskStatus.IN_PROGRESS),
        (["done", "done"], 5, 1, TaskStatus.COMPLETE),
        (["done", "failed"], 5, 1, TaskStatus.COMPLETE),
        (["failed", "failed"], 5, 1, TaskStatus.FAILED),
        (["done"], RETENTION_S + 9, RETENTION_S + 1, TaskStatus.CLOSED),
        (["queued"], TASK_TIMEOUT_S + 1, None, TaskStatus.TIMED_OUT),
        (["done", "running"], TASK_TIMEOUT_S + 1, None, TaskStatus.TIMED_OUT),
    ],
)
def test_all_six_statuses_come_from_what_happened(
    states: list[str], age_s: float, since_end_s: float | None, expected: TaskStatus
) -> None:
    """Status is derived, never stored, so it cannot disagree with the pictures."""
    now = 1e6
    finished = 0.0 if since_end_s is None else now - since_end_s
    assert derive_status(states, now - age_s, finished, now) is expected


def test_a_timed_out_task_is_not_worked_on(table: JobTable, clock: Clock) -> None:
    """Nobody waits for it any more."""
    table.accept("anime", ["x"], 1)
    clock.now += TASK_TIMEOUT_S + 1
    assert table.claim("me") is None


def test_a_waiting_task_knows_its_place(table: JobTable) -> None:
    """Tasks and not pictures, by priority, then first come; only while it waits."""

    def places(*tasks: str) -> list[str]:
        return [place(state) for task in tasks if (state := table.state(task, 1)) is not None]

    first, second, third = (table.accept("anime", ["x", "y"], 1) for _ in range(3))
    urgent = table.accept("anime", ["u"], 9)
    assert places(first, second, third, urgent) == ["2nd in line", "3rd in line", "4th in line", ""]
    for _ in range(2):  # the urgent one, and the first picture of the first
        claim = table.claim("me")
        assert claim is not None
        table.finish(claim, result="r.png", seconds=1.0)
    assert places(first, second, third, urgent) == ["", "2nd in line", "3rd in line", ""]


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (0, ""),
        (1, "2nd"),
        (2, "3rd"),
        (3, "4th"),
        (10, "11th"),
        (11, "12th"),
        (12, "13th"),
        (20, "21st"),
        (110, "111th"),
    ],
)
def test_a_place_in_words(ahead: int, words: str) -> None:
    """As English counts."""
    state = TaskState(TaskStatus.WAITING, 1, (), ahead)
    assert place(state) == (f"{words} in line" if words else "")
