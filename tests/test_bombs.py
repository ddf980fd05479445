"""Nothing that a stranger sends fills the memory: a bomb for each door and each kind of file, and what becomes of it.

The bombs, how each of them ends and how memory is measured are in bombs.py: every case runs in a process of its own and
tells by how much its memory has grown at most, whatever was freed again. Making the bomb counts, too.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from child_process import output_of

if sys.platform != "linux":
    pytest.skip("memory is measured in forked processes, as Linux counts it", allow_module_level=True)

from bombs import GROUPS, Case

MOST_MB = 100.0


@functools.cache
def measured(group: str) -> Mapping[str, Any]:
    """What a child says of each case of a group."""
    lines = output_of("import bombs; bombs.main(sys.argv[1])", group).splitlines()
    return {found["name"]: found for found in map(json.loads, lines)}


def cases(group: str) -> dict[str, Case]:
    """The cases of a group by the names that a child gives them."""
    return {f"{name}: {case.name}": case for name, rows in GROUPS[group].items() for case in rows}


def problems(group: str, name: str) -> list[str]:
    """What is wrong about how a case ended."""
    case, found = cases(group)[name], measured(group)[name]
    is_end = found["kind"] == case.kind and re.search(case.words, found["words"])
    is_fine = is_end and found["mb"] < MOST_MB and (case.may_go_on or not found["is_reading"])
    return [] if is_fine else [f"{name}: expected {case.kind} {case.words!r}, not {found}"]


def test_bombs_are_refused_or_handled_in_little_memory(record_property: Callable[[str, object], None]) -> None:
    """With one of our errors, or with what is good about it; and nobody goes on reading behind it."""
    rows = [(group, name) for group in ("answers", "pictures") for name in cases(group)]
    assert [problem for row in rows for problem in problems(*row)] == []
    most, worst = max((measured(group)[name]["mb"], name) for group, name in rows)
    record_property("counts", f"{len(rows)} bombs; the most memory took {worst!r}: {most:.0f} MB")


def test_memory_is_measured() -> None:
    """150 MB are seen, in one piece and in many, and what never ends is ended."""
    found = measured("controls")
    for name in ("control: 150 MB in one piece", "control: 150 MB in small pieces"):
        assert found[name]["kind"] == ""
        assert 140 < found[name]["mb"] < 180
    assert found["control: no end"]["kind"] == "killed"
