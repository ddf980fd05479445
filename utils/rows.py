"""Rows of the journal <-> records and answers; pure. Damage inside a value is the error of a damaged file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .contract import ImageResult, Task, TaskStatus
from .records import State, Submission
from .redaction import redact, without_query


def submission_of(row: Sequence[Any]) -> Submission:
    """Return the record of a row, whose values stand in the order of its fields."""
    number, key, profile, service, state, task_id, links, variation, created, updated, detail = row
    with _readable(f"record {number}"):
        return Submission(
            number, key, profile, service, State(state), task_id, tuple(json.loads(links)), variation, created, updated,
            detail,
        )  # fmt: skip


def task_of(task_id: str, answer: str) -> Task:
    """Return the final answer that `answer_text` has written."""
    with _readable(f"the answer about task {task_id}"):
        table = json.loads(answer)
        return Task(
            task_id=task_id,
            status=TaskStatus.of(table["status"]),
            status_code=table["status"],
            wait_time_s=None,
            images=tuple(
                ImageResult(
                    None if i["url"] is None else _text(i["url"]),
                    None if i["status"] is None else TaskStatus(i["status"]),
                    _text(i["reason"]),
                )
                for i in table["images"]
            ),
            message=_text(table["message"]),
        )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Turn damage that SQLite does not see, inside a value, into the error of damage that it sees."""
    try:
        yield
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        msg = f"{what} cannot be read"
        raise sqlite3.DatabaseError(msg) from error


def answer_text(task: Task) -> str:
    """Return a final answer as it is kept: redacted, and links without their query."""
    answer = {
        "status": task.status_code,
        "message": redact(task.message),
        "images": [
            {"url": image.url and without_query(image.url), "status": image.status, "reason": redact(image.reason)}
            for image in task.images
        ],
    }
    return json.dumps(answer)
