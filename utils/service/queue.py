"""How long the queue of the job table is, in pictures and in seconds; reads only."""

from __future__ import annotations

import sqlite3

from .states import TASK_TIMEOUT_S

FIRST_GUESS_S = 1.5  # seconds a picture, until there are measurements
_MEASURED = 20  # how many of the latest pictures the estimate looks at
_OPEN = "FROM images JOIN tasks ON seq = task WHERE state IN ('queued', 'running') AND created > ?"


def length(db: sqlite3.Connection, now: float) -> int:
    """Return how many pictures are to be drawn."""
    return int(db.execute(f"SELECT count(*) {_OPEN}", (now - TASK_TIMEOUT_S,)).fetchone()[0])


def until(db: sqlite3.Connection, seq: int, priority: int, now: float) -> int:
    """Return how many pictures are to be drawn until a task is done, its own included."""
    before = f"SELECT count(*) {_OPEN} AND (priority > ? OR (priority = ? AND seq <= ?))"
    return int(db.execute(before, (now - TASK_TIMEOUT_S, priority, priority, seq)).fetchone()[0])


def tasks_ahead(db: sqlite3.Connection, seq: int, priority: int, now: float) -> int:
    """Return how many other tasks are done before a task."""
    before = f"SELECT count(DISTINCT task) {_OPEN} AND (priority > ? OR (priority = ? AND seq < ?))"
    return int(db.execute(before, (now - TASK_TIMEOUT_S, priority, priority, seq)).fetchone()[0])


def seconds_each(db: sqlite3.Connection) -> float:
    """Return how many seconds a picture takes, as measured lately."""
    (measured,) = db.execute(
        "SELECT avg(seconds) FROM (SELECT seconds FROM images WHERE seconds IS NOT NULL "
        "ORDER BY finished DESC LIMIT ?)",
        (_MEASURED,),
    ).fetchone()
    return FIRST_GUESS_S if measured is None else float(measured)
