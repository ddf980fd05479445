"""The journal: every submission, written before it is sent, and every final answer, so that nothing is paid twice.

It holds no key, no signature and no picture: links are kept without their query, what must be recognized is a digest.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from . import locks
from .config import Profile
from .contract import Task
from .database import Database
from .errors import DeadlineError, InputError
from .links import names_of
from .records import State, Submission
from .redaction import redact, without_query
from .rows import answer_text, submission_of, task_of
from .work import Work

FILE = "journal.sqlite3"
LOCKS = "locks"
LOCK_TIMEOUT_S = 400.0  # longer than one submission takes, with all its attempts and waits
_LINKS_KEPT_S = 60 * 24 * 3600.0  # longer than any link of a hosted picture lives
_AMBIGUOUS = ""  # two pictures behind one link
_COLUMNS = "number, key, profile, service, state, task_id, links, variation, created, updated, detail"
MIGRATIONS = (
    """
    CREATE TABLE submissions (
        number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, profile TEXT NOT NULL, service TEXT NOT NULL,
        state TEXT NOT NULL, task_id TEXT NOT NULL, links TEXT NOT NULL, variation INTEGER NOT NULL,
        created REAL NOT NULL, updated REAL NOT NULL, detail TEXT NOT NULL DEFAULT '');
    CREATE INDEX submissions_by_key ON submissions (key, number);
    CREATE INDEX submissions_by_task ON submissions (task_id);
    CREATE TABLE answers (
        service TEXT NOT NULL, task_id TEXT NOT NULL, answer TEXT NOT NULL, noted REAL NOT NULL,
        PRIMARY KEY (service, task_id));
    CREATE TABLE links (link TEXT PRIMARY KEY, content TEXT NOT NULL, noted REAL NOT NULL)
    """,
)


class Journal:
    """The journal of one state folder; nothing is opened before it is used, and it may be shared between threads.

    Every method raises ConfigurationError when the file cannot be used.
    """

    def __init__(self, home: Path, clock: Callable[[], float] = time.time) -> None:
        self._home = home
        self._clock = clock
        self._database = Database(home / FILE, MIGRATIONS, "The journal of paid tasks", tells="what was paid")

    def sending(self, key: str, sleep: Callable[[float], None]) -> AbstractContextManager[None]:
        """Be the only one, of all processes, that sends the work of this key; see `locks.held`."""
        return locks.held(self._home / LOCKS, key, timeout_s=LOCK_TIMEOUT_S, sleep=sleep)

    # Submissions

    def latest(self, keys: Sequence[str]) -> list[Submission | None]:
        """Return the latest record of each key."""
        with self._database.transaction() as db:
            found = [_select(db, "key = ? ORDER BY number DESC LIMIT 1", key) for key in keys]
        return [rows[0] if rows else None for rows in found]

    def begin(self, work: Work, profile: Profile, variation: int) -> int:
        """Write down, durably, that the work is about to be sent, and return the record's number.

        A record that never led to a task is used again; one that did is kept beside the new one.
        """
        with self._database.transaction() as db:
            db.execute("DELETE FROM submissions WHERE key = ? AND task_id = ''", (work.key,))
            return self._insert(db, work, profile, variation, State.SENDING)

    def _insert(
        self,
        db: sqlite3.Connection,
        work: Work,
        profile: Profile,
        variation: int,
        state: State,
        task_id: str = "",
        number: int | None = None,
    ) -> int:
        now = self._clock()
        links = json.dumps([without_query(link) for link in work.links])
        row = (
            number, work.key, profile.name, profile.task_address, state.value, task_id, links, variation, now, now, "",
        )  # fmt: skip
        cursor = db.execute(
            f"INSERT INTO submissions ({_COLUMNS}) VALUES ({', '.join('?' * len(row))})",  # noqa: S608  # our own words
            row,
        )
        return int(cursor.lastrowid or 0)

    def accept(self, number: int, work: Work, profile: Profile, variation: int, task_id: str) -> None:
        """Write down that a submission was accepted as a task, also when that is learned late or it was forgotten."""
        with self._database.transaction() as db:
            if not self._set_accepted(db, number, task_id):
                self._insert(db, work, profile, variation, State.ACCEPTED, task_id, number)

    def settle(self, number: int, task_id: str) -> None:
        """Write down, by the word of a person, that a submission of unknown outcome was accepted as a task."""
        with self._database.transaction() as db:
            self._set_accepted(db, number, task_id)

    def _set_accepted(self, db: sqlite3.Connection, number: int, task_id: str) -> bool:
        changed = db.execute(
            "UPDATE submissions SET state = ?, task_id = ?, updated = ? WHERE number = ?",
            (State.ACCEPTED.value, task_id, self._clock(), number),
        )
        return changed.rowcount == 1

    def end_unaccepted(self, number: int, state: State, detail: str) -> None:
        """Write down that a submission was refused, or that its outcome is unknown, unless it is known by now."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE submissions SET state = ?, detail = ?, updated = ? WHERE number = ? AND state = ?",
                (state.value, redact(detail), self._clock(), number, State.SENDING.value),
            )

    def submissions(self) -> list[Submission]:
        """Return all records, oldest first."""
        with self._database.transaction() as db:
            return _select(db, "1 ORDER BY number")

    def of_task(self, service: str, task_id: str) -> Submission | None:
        """Return the record that led to a task, None if it was submitted elsewhere."""
        with self._database.transaction() as db:
            rows = _select(db, "task_id = ? AND service = ? ORDER BY number DESC LIMIT 1", task_id, service)
        return rows[0] if rows else None

    def forget(self, submission: Submission) -> None:
        """Remove a record and the answer to it: the same work counts as new then.

        Raises InputError for one that is being sent at this moment.
        """
        try:
            with locks.held(self._home / LOCKS, submission.key, timeout_s=0, sleep=time.sleep):
                with self._database.transaction() as db:
                    db.execute("DELETE FROM submissions WHERE number = ?", (submission.number,))
                self.forget_answer(submission.service, submission.task_id)
        except DeadlineError as error:
            msg = f"Submission {submission.number} is being sent at this moment: it is not forgotten. Try again later."
            raise InputError(msg) from error

    # Answers

    def remember(self, service: str, task: Task, state: State) -> None:
        """Keep the final answer about a task, and what it makes of its submission; links without their query."""
        with self._database.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO answers (service, task_id, answer, noted) VALUES (?, ?, ?, ?)",
                (service, task.task_id, answer_text(task), self._clock()),
            )
            db.execute(
                "UPDATE submissions SET state = ?, updated = ? WHERE task_id = ? AND service = ?",
                (state.value, self._clock(), task.task_id, service),
            )

    def recall(self, service: str, task_id: str) -> Task | None:
        """Return the final answer about a task, None if there is none yet."""
        with self._database.transaction() as db:
            row = db.execute(
                "SELECT answer FROM answers WHERE service = ? AND task_id = ?", (service, task_id)
            ).fetchone()
            return None if row is None else task_of(task_id, row[0])

    def answers(self) -> list[tuple[str, str, float]]:
        """Return service, task id and time of every final answer."""
        with self._database.transaction() as db:
            return db.execute("SELECT service, task_id, noted FROM answers ORDER BY noted").fetchall()

    def forget_answer(self, service: str, task_id: str) -> None:
        """Remove the final answer about a task."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM answers WHERE service = ? AND task_id = ?", (service, task_id))

    # Hosted pictures

    def note_links(self, contents: Mapping[str, str]) -> None:
        """Note which content lies behind the links of hosted pictures, whatever the signature in their query."""
        now = self._clock()
        with self._database.transaction() as db:
            db.execute("DELETE FROM links WHERE noted < ?", (now - _LINKS_KEPT_S,))
            for link, content in contents.items():
                for name in names_of(link):
                    db.execute(
                        "INSERT INTO links (link, content, noted) VALUES (?, ?, ?) ON CONFLICT (link) DO UPDATE "
                        "SET noted = excluded.noted, content = CASE WHEN content = excluded.content THEN content "
                        "ELSE ? END",
                        (_digest(name), content, now, _AMBIGUOUS),
                    )

    def contents_of(self, links: Sequence[str]) -> list[str]:
        """Return what stands for each link: the content of a hosted picture, else the link itself."""
        with self._database.transaction() as db:
            return [_content(db, link) or f"link {link}" for link in links]

    def is_hosted(self, link: str) -> bool:
        """Whether a link is one of a picture that this machine has uploaded."""
        with self._database.transaction() as db:
            return bool(_content(db, link))


def _content(db: sqlite3.Connection, link: str) -> str:
    for name in names_of(link):
        row = db.execute("SELECT content FROM links WHERE link = ?", (_digest(name),)).fetchone()
        if row is not None:
            return str(row[0])
    return ""


def _select(db: sqlite3.Connection, condition: str, *values: object) -> list[Submission]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM submissions WHERE {condition}", values)  # noqa: S608  # our own words
    return [submission_of(row) for row in rows]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
