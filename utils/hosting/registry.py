"""What was uploaded where, until it is deleted: so that a picture is uploaded once, and nothing is left behind.

Written before an upload begins, because a process may be killed in the middle of it.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from ..database import Database
from ..links import names_of
from . import Upload
from .records import Place, Record

FILE = "uploads.sqlite3"
_GONE_KEPT_S = 60 * 24 * 3600.0  # longer than ComfyUI remembers a link
_NEVER = 0.0  # expires: not to be used again, to be deleted at the next occasion
_COLUMNS = "number, host, identity, content, changes, name, link, expires, removal, is_done"
MIGRATIONS = (
    """
    CREATE TABLE uploads (
        number INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT NOT NULL, identity TEXT NOT NULL, recipe TEXT NOT NULL,
        content TEXT NOT NULL, changes TEXT NOT NULL DEFAULT '', name TEXT NOT NULL, link TEXT NOT NULL DEFAULT '',
        known_as TEXT NOT NULL DEFAULT '', expires REAL NOT NULL, removal TEXT NOT NULL DEFAULT '',
        until_stored INTEGER NOT NULL, is_done INTEGER NOT NULL DEFAULT 0, handed_on REAL NOT NULL DEFAULT 0);
    CREATE INDEX uploads_by_recipe ON uploads (identity, recipe);
    CREATE INDEX uploads_by_link ON uploads (known_as);
    CREATE TABLE uses (
        upload INTEGER NOT NULL, service TEXT NOT NULL, task_id TEXT NOT NULL, stored REAL,
        PRIMARY KEY (upload, service, task_id));
    CREATE TABLE gone (known_as TEXT PRIMARY KEY, noted REAL NOT NULL)
    """,
)


class Registry:
    """The uploads of one state folder; every method raises ConfigurationError when the file cannot be used."""

    def __init__(self, home: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._database = Database(home / FILE, MIGRATIONS, "The list of uploads", tells="what was uploaded")

    def find(self, place: Place, recipes: Sequence[str]) -> dict[str, Record]:
        """Return the uploads at a place that can be used again, by recipe."""
        condition = "identity = ? AND host = ? AND recipe = ? AND is_done AND expires > ? ORDER BY number DESC LIMIT 1"
        found = {}
        with self._database.transaction() as db:
            for recipe in dict.fromkeys(recipes):
                for record in _select(db, condition, (place.identity, place.host, recipe, self._clock())):
                    found[recipe] = record
        return found

    def begin(self, place: Place, recipe: str, content: str, name: str, expires_s: float) -> int:
        """Write down, durably, that an upload is about to begin, and return its number."""
        row = (place.host, place.identity, recipe, content, name, expires_s, place.until_stored)
        with self._database.transaction() as db:
            cursor = db.execute(
                "INSERT INTO uploads (host, identity, recipe, content, name, expires, until_stored) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            return int(cursor.lastrowid or 0)

    def finish(self, number: int, upload: Upload, changes: str) -> bool:
        """Write down an upload that is there, or that was renewed, and what was changed of the picture.

        Returns whether it may be used: not one that somebody else has begun to delete.
        """
        link = "" if upload.is_signed else upload.link  # another one is signed when it is used again
        known, now = known_as(upload.link), self._clock()
        values = (changes, upload.name, link, known, upload.expires_s, upload.removal, now, number, _NEVER)
        with self._database.transaction() as db:
            db.execute("DELETE FROM gone WHERE known_as = ?", (known,))
            changed = db.execute(
                "UPDATE uploads SET changes = ?, name = ?, link = ?, known_as = ?, expires = ?, removal = ?, "
                "handed_on = ?, is_done = 1 WHERE number = ? AND expires > ?",
                values,
            )
            return changed.rowcount == 1

    def note_uses(self, service: str, tasks: Mapping[str, Sequence[str]]) -> None:
        """Note which tasks need the uploads behind links; a task that is noted already stays as it is."""
        with self._database.transaction() as db:
            for task_id, links in tasks.items():
                for link in dict.fromkeys(links):
                    db.execute(
                        "INSERT OR IGNORE INTO uses (upload, service, task_id) "
                        "SELECT number, ?, ? FROM uploads WHERE known_as = ?",
                        (service, task_id, known_as(link)),
                    )

    def drop_uses(self, service: str, task_ids: Collection[str]) -> None:
        """Forget what was noted of tasks that there are not."""
        with self._database.transaction() as db:
            for task_id in task_ids:
                db.execute("DELETE FROM uses WHERE service = ? AND task_id = ?", (service, task_id))

    def note_stored(self, service: str, task_id: str) -> bool:
        """Note that all results of a task are stored; returns whether it needed any upload until now."""
        with self._database.transaction() as db:
            changed = db.execute(
                "UPDATE uses SET stored = ? WHERE service = ? AND task_id = ? AND stored IS NULL",
                (self._clock(), service, task_id),
            )
            return changed.rowcount > 0

    def take_leftovers(self, spare_s: float) -> list[Record]:
        """Return the uploads to be deleted: expired ones, and those whose results are stored.

        These only if that was `spare_s` ago, and their link was not handed on since. From then on they are not used
        again.
        """
        condition = (
            "expires <= $now OR (until_stored AND is_done AND handed_on <= $now - $spare AND "
            "EXISTS (SELECT 1 FROM uses WHERE upload = number) AND "
            "NOT EXISTS (SELECT 1 FROM uses WHERE upload = number AND (stored IS NULL OR stored > $now - $spare)))"
        )
        with self._database.transaction() as db:
            records = _select(db, condition, {"now": self._clock(), "spare": spare_s})
            _take(db, records)
        return records

    def take(self, host: str | None, needed_by: Collection[tuple[str, str]]) -> list[Record]:
        """Return all uploads of a host (None: of every one), to be deleted, but those that these tasks need.

        A task is given with its service.
        """
        with self._database.transaction() as db:
            rows = db.execute("SELECT upload, service, task_id FROM uses").fetchall()
            needed = {upload for upload, service, task_id in rows if (service, task_id) in needed_by}
            records = [
                r for r in _select(db, "$host IS NULL OR host = $host", {"host": host}) if r.number not in needed
            ]
            _take(db, records)
        return records

    def is_shared(self, record: Record) -> bool:
        """Whether a later upload that is still in use has the same link: some hosts keep the same bytes once."""
        condition = "number != $number AND is_done AND expires > $now AND identity = $identity AND known_as != '' AND "
        condition += "known_as = (SELECT known_as FROM uploads WHERE number = $number)"
        values = {"number": record.number, "now": self._clock(), "identity": record.identity}
        with self._database.transaction() as db:
            return bool(_select(db, condition, values))

    def forget(self, numbers: Sequence[int]) -> None:
        """Remove the records of uploads that are not there any more; their links are known to lead nowhere."""
        now = self._clock()
        with self._database.transaction() as db:
            db.execute("DELETE FROM gone WHERE noted < ?", (now - _GONE_KEPT_S,))
            for number in numbers:
                db.execute(
                    "INSERT OR REPLACE INTO gone (known_as, noted) "
                    "SELECT known_as, ? FROM uploads WHERE number = ? AND known_as != ''",
                    (now, number),
                )
                db.execute("DELETE FROM uploads WHERE number = ?", (number,))
                db.execute("DELETE FROM uses WHERE upload = ?", (number,))

    def gone(self, links: Sequence[str]) -> set[str]:
        """Return the links whose uploads this machine has deleted, or is about to, or whose time is over."""
        live = "SELECT 1 FROM uploads WHERE known_as = $known AND expires > $now"
        ended = "SELECT 1 FROM gone WHERE known_as = $known UNION SELECT 1 FROM uploads WHERE known_as = $known"
        found = set()
        with self._database.transaction() as db:
            for link in links:
                values = {"known": known_as(link), "now": self._clock()}
                if not db.execute(live, values).fetchone() and db.execute(ended, values).fetchone():
                    found.add(link)
        return found

    def counts(self) -> dict[str, int]:
        """Return how many uploads there are at each host."""
        with self._database.transaction() as db:
            return dict(db.execute("SELECT host, COUNT(*) FROM uploads GROUP BY host").fetchall())


def known_as(link: str) -> str:
    """Return what a link is found by, whoever signs it anew; a digest, as links may be all that protects a picture."""
    return hashlib.sha256(names_of(link)[-1].encode("utf-8", "replace")).hexdigest()


def _take(db: sqlite3.Connection, records: Sequence[Record]) -> None:
    for record in records:
        db.execute("UPDATE uploads SET expires = ? WHERE number = ?", (_NEVER, record.number))


def _select(db: sqlite3.Connection, condition: str, values: tuple[object, ...] | dict[str, object]) -> list[Record]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM uploads WHERE {condition}", values)  # noqa: S608  # our own words
    return [_record(*row) for row in rows.fetchall()]


def _record(
    number: int,
    host: str,
    identity: str,
    content: str,
    changes: str,
    name: str,
    link: str,
    expires: float,
    removal: str,
    is_done: int,
) -> Record:
    return Record(number, host, identity, content, changes, Upload(name, link, expires, removal), bool(is_done))
