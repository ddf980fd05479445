"""The report: what became of every input image, as JSON; written by Poll Result, read again to retry what failed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import InputError
from .outcomes import Collection, Outcome
from .redaction import redact, without_query
from .references import TaskRef, parse_references


@dataclass(frozen=True)
class Retry:
    """What a report says about trying again: the tasks so far, and the numbers (from 1) of the images that failed.

    `links` are those of all images, without their query; "" where the machine that wrote it did not know one.
    """

    profile: str
    tasks: tuple[TaskRef, ...]
    links: tuple[str, ...]
    failed: tuple[int, ...]

    @property
    def images(self) -> int:
        """How many images it is about."""
        return len(self.links)


def write_report(collection: Collection, profile: str, expected: int | None) -> str:
    """Return the report: one entry an input image, in input order, links without their query.

    `expected` is how many originals are connected, None if none are; it is named when it is another number.
    """
    outcomes = collection.outcomes
    table: dict[str, object] = {
        "profile": profile,
        "tasks": [str(task) for task in collection.tasks],
        "results": len(outcomes),
        "failed": sum(outcome.picture is None for outcome in outcomes),
    }
    if expected is not None and expected != len(outcomes):
        table["expected"] = expected
    table["images"] = [{"index": outcome.index, **_entry(outcome)} for outcome in outcomes]
    if collection.unassigned:
        table["unassigned"] = [_entry(outcome) for outcome in collection.unassigned]
    return json.dumps(table, indent=2, ensure_ascii=False)


def _entry(outcome: Outcome) -> dict[str, object]:
    return {
        "link": without_query(outcome.link),
        "task_id": outcome.task_id,
        "status": outcome.status,
        "reason": redact(outcome.reason),
        "may_retry": outcome.may_retry,
        "url": redact(without_query(outcome.url)),
        "width": outcome.picture.width if outcome.picture else None,
        "height": outcome.picture.height if outcome.picture else None,
        "file": outcome.file or None,
    }


def read_report(text: str) -> Retry:
    """Return what a report says about trying again; raises InputError if it is none."""
    try:
        table = json.loads(text)
        entries, tasks = table["images"], table["tasks"]
        if not (isinstance(entries, list) and isinstance(tasks, list) and entries and tasks):
            raise TypeError  # told below, as everything else that is no report
        failed = tuple(number for number, entry in enumerate(entries, 1) if _failed(entry))
        return Retry(str(table["profile"]), _tasks(tasks), tuple(str(entry["link"]) for entry in entries), failed)
    except (ValueError, KeyError, TypeError, RecursionError):
        msg = "Not a report: connect the output 'report' of Poll Result. Nothing was sent."
        raise InputError(msg) from None  # the cause holds the whole text, which may be a key in the wrong place


def _failed(entry: Mapping[str, object]) -> bool:
    return bool(entry["may_retry"]) and entry["width"] is None


def _tasks(rows: Sequence[object]) -> tuple[TaskRef, ...]:
    return tuple(parse_references([str(row) for row in rows]))
