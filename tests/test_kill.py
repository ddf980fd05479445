"""Killed with SIGKILL anywhere, run again until it finishes: paid once, nothing lost, nothing decided by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kill_campaign import PaidService, campaign, runners
from kill_child import PLACES

KILLS = 200
ROUNDS = 100


def test_200_kills_pay_nothing_twice_and_lose_nothing(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """At every named step, at any line, at any moment; benchmarks/bench_kill.py does 2,000."""
    result = campaign(tmp_path / "home", KILLS, seed=1)
    record_property("counts", result.report())  # printed at the end of the run, see conftest
    assert result.wrong == []
    assert sum(result.kills.values()) >= KILLS
    assert set(PLACES) <= set(result.kills)
    assert result.found
    assert result.forgotten


def test_two_processes_with_the_same_graph_at_the_same_moment_pay_once(tmp_path: Path) -> None:
    """100 rounds: one submission each, and both get its pictures."""
    service = PaidService(tmp_path / "home")
    with service.running(), runners(service, tmp_path / "home") as (runner, *_):
        for work in range(ROUNDS):
            first, second = runner.run(work, pair=True)
            assert first["tasks"] == second["tasks"]
            assert first["colours"] == second["colours"] == [[0, work, 100], [0, work, 101]]
    assert service.accepted == {work: 1 for work in range(ROUNDS)}
    assert service.attempts == ROUNDS
