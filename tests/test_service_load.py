"""The service under more work than it takes: nothing is lost, what is refused is told, memory stays flat."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from load import campaign

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for memory, and loopback for addresses")
REAL = 10
GROWTH_MB = 40.0


def test_a_flood_is_refused_honestly_and_all_that_was_accepted_is_finished(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Six clients ask for more than the queue holds; benchmarks/bench_service.py does it for longer.

    Ten pictures are drawn; all others fail at once, because they are too small, so that hundreds can be asked for.
    """
    load = campaign(tmp_path, seconds=2.0, clients=6, real=REAL)
    record_property("counts", load.report())  # printed at the end of the run, see conftest
    assert load.wrong == []
    assert set(load.statuses) == {200, 429, 503}
    assert set(load.pictures) == {"drawn", "too small"}
    assert load.pictures["drawn"] == REAL
    assert sum(load.pictures.values()) == sum(load.accepted.values()) > 150
    assert sum(load.statuses.values()) > 300
    assert load.peak_mb - load.start_mb < GROWTH_MB
