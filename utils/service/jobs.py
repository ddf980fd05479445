"""The durable job table: tasks and their pictures in SQLite, claimed under leases.

Every picture is claimed with an owner and an attempt number, and only the holder of exactly that claim may finish
it. A worker that died leaves a lease that runs out; one that comes back late finishes nothing. So a picture may be
drawn twice after a crash, but it takes effect once.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..contract import TaskStatus
from ..private_files import create_private_file
from . import queue
from .states import RETENTION_S, TASK_TIMEOUT_S, ImageState, TaskState, derive_status

LEASE_S = 6.0  # renewed every 2 s; also how long the work of a killed process rests
MAX_ATTEMPTS = 3
BUSY_TIMEOUT_S = 10.0  # for another process that holds the write lock

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, style TEXT NOT NULL,
    priority INTEGER NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS images (
    task INTEGER NOT NULL REFERENCES tasks(seq) ON DELETE CASCADE, idx INTEGER NOT NULL, link TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued', owner TEXT, lease_until REAL, attempts INTEGER NOT NULL DEFAULT 0,
    result TEXT, reason TEXT NOT NULL DEFAULT '', finished REAL, seconds REAL, PRIMARY KEY (task, idx));
CREATE INDEX IF NOT EXISTS open_images ON images(state) WHERE state IN ('queued', 'running');
"""


class QueueFull(Exception):
    """So many pictures wait already that nothing more is accepted."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} pictures wait")
        self.waiting = waiting


@dataclass(frozen=True)
class Claim:
    """One picture to draw, and the proof of who may finish it."""

    task: int
    index: int
    attempt: int
    owner: str
    link: str
    style: str


class JobTable:
    """Accepts, hands out and finishes work; safe between threads and between processes sharing the file."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._db = _connect(path)
        try:
            self._db.executescript(
                f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; {_SCHEMA}"
            )
            self._reader = _connect(path)  # reading never waits for a writer, here or in another process
        except sqlite3.Error:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        with self._lock, self._read_lock:
            self._db.close()
            self._reader.close()

    def accept(self, style: str, links: Sequence[str], priority: int, most_waiting: int = 10**9) -> str:
        """Store a task durably and return its id; raises QueueFull when more pictures than that would wait."""
        task_id = str(uuid.uuid4())
        with self._transaction() as db:
            waiting = queue.length(db, self._clock())
            if waiting + len(links) > most_waiting:
                raise QueueFull(waiting)
            seq = db.execute(
                "INSERT INTO tasks (id, style, priority, created) VALUES (?, ?, ?, ?)",
                (task_id, style, priority, self._clock()),
            ).lastrowid
            db.executemany(
                "INSERT INTO images (task, idx, link) VALUES (?, ?, ?)",
                [(seq, index, link) for index, link in enumerate(links)],
            )
        return task_id

    def claim(self, owner: str) -> Claim | None:
        """Take the next picture: highest priority first, then first come, first served; None if there is none."""
        now = self._clock()
        if not self._has_open_work():
            return None
        with self._transaction() as db:
            db.execute(
                "UPDATE images SET state = 'failed', finished = ?, reason = ? "
                "WHERE state = 'running' AND lease_until < ? AND attempts >= ?",
                (now, f"the service stopped {MAX_ATTEMPTS} times while drawing this picture", now, MAX_ATTEMPTS),
            )
            row = db.execute(
                "SELECT task, idx, attempts + 1, link, style FROM images JOIN tasks ON seq = task "
                "WHERE (state = 'queued' OR (state = 'running' AND lease_until < ?)) AND created > ? "
                "ORDER BY priority DESC, seq, idx LIMIT 1",
                (now, now - TASK_TIMEOUT_S),
            ).fetchone()
            if row is None:
                return None
            task, index, attempt, link, style = row
            db.execute(
                "UPDATE images SET state = 'running', owner = ?, lease_until = ?, attempts = ? "
                "WHERE task = ? AND idx = ?",
                (owner, now + LEASE_S, attempt, task, index),
            )
        return Claim(task, index, attempt, owner, link, style)

    def renew(self, claims: Collection[Claim]) -> None:
        """Lengthen the leases of claims that are being worked on."""
        if not claims:
            return
        until = self._clock() + LEASE_S
        with self._transaction() as db:
            db.executemany(
                "UPDATE images SET lease_until = ? "
                "WHERE task = ? AND idx = ? AND state = 'running' AND owner = ? AND attempts = ?",
                [(until, claim.task, claim.index, claim.owner, claim.attempt) for claim in claims],
            )

    def release(self, owner: str) -> None:
        """Give back everything the owner holds, as if it had never been claimed."""
        with self._transaction() as db:
            db.execute(
                "UPDATE images SET state = 'queued', owner = NULL, attempts = attempts - 1 "
                "WHERE state = 'running' AND owner = ?",
                (owner,),
            )

    def finish(self, claim: Claim, *, result: str | None, reason: str = "", seconds: float | None = None) -> bool:
        """Record the outcome of a claim; False if the claim is no longer valid, and then nothing changes."""
        with self._transaction() as db:
            changed = db.execute(
                "UPDATE images SET state = ?, result = ?, reason = ?, finished = ?, seconds = ?, owner = NULL "
                "WHERE task = ? AND idx = ? AND state = 'running' AND owner = ? AND attempts = ?",
                (
                    "failed" if result is None else "done", result, reason, self._clock(), seconds,
                    claim.task, claim.index, claim.owner, claim.attempt,
                ),
            )  # fmt: skip
            return changed.rowcount == 1

    def state(self, task_id: str, workers: int) -> TaskState | None:
        """Return a task as the API shows it, or None for an unknown id; `workers` draw at the same time."""
        now = self._clock()
        with self._snapshot() as db:
            task = db.execute("SELECT seq, priority, created FROM tasks WHERE id = ?", (task_id,)).fetchone()
            if task is None:
                return None
            seq, priority, created = task
            rows = db.execute(
                "SELECT state, result, reason, finished FROM images WHERE task = ? ORDER BY idx", (seq,)
            ).fetchall()
            pictures, seconds = queue.until(db, seq, priority, now), queue.seconds_each(db)
            is_waiting = all(row[0] == "queued" for row in rows)
            ahead = queue.tasks_ahead(db, seq, priority, now) if is_waiting else 0
        images = tuple(ImageState(state, result, reason) for state, result, reason, _ in rows)
        finished = max((row[3] or 0.0) for row in rows)
        status = derive_status([image.state for image in images], created, finished, now)
        wait_s = 0 if status.is_final else max(1, math.ceil(seconds * pictures / workers))
        return TaskState(status, wait_s, () if status is TaskStatus.CLOSED else images, ahead)

    def wait_of_queue_s(self, workers: int) -> int:
        """Return in how many seconds a picture or more will be drawn, so that there is room again."""
        with self._snapshot() as db:
            return max(1, math.ceil(queue.seconds_each(db) / workers))

    def sweep(self) -> None:
        """Forget tasks that were closed or timed out a day ago or longer."""
        with self._transaction() as db:
            db.execute("DELETE FROM tasks WHERE created < ?", (self._clock() - TASK_TIMEOUT_S - 2 * RETENTION_S,))

    def _has_open_work(self) -> bool:
        """Whether a claim may succeed; a plain read, so that idle workers never take the write lock."""
        with self._snapshot() as db:
            row = db.execute(
                "SELECT 1 FROM images JOIN tasks ON seq = task "
                "WHERE state IN ('queued', 'running') AND created > ? LIMIT 1",
                (self._clock() - TASK_TIMEOUT_S,),
            ).fetchone()
        return row is not None

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        with self._read_lock:
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                self._reader.execute("COMMIT")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _connect(path: Path) -> sqlite3.Connection:
    create_private_file(path)
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
