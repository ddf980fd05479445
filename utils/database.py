"""A small SQLite file that several processes, and machines with a shared home, may use at once.

WAL keeps its index in memory that only processes of one machine share. In exclusive locking mode it needs none
(sqlite.org/wal.html, section 8), so every transaction opens the file alone and closes it again: 1 to 2 ms, safe
wherever file locks work.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .errors import ConfigurationError
from .home import ensure_home
from .private_files import create_private_file

BUSY_TIMEOUT_S = 15.0
_BUSY_WORDS = ("locked", "busy")


class Database:
    """One file with a versioned schema: `migrations[n]` is the SQL that leads from version n to n + 1.

    `name` is what sentences call it, `tells` what would not be known without it. Every failure of
    the file is a ConfigurationError that says what to do.
    """

    def __init__(self, path: Path, migrations: Sequence[str], name: str, *, tells: str) -> None:
        self._path = path
        self._tells = tells
        self._migrations = migrations
        self._name = name
        self._is_checked = False

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the open file; what was done is durable when the block has ended, or undone if it raised."""
        db = self._begin()
        try:
            yield db
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._problem(error) from error
        finally:
            db.close()  # rolls back what was not committed

    def _begin(self) -> sqlite3.Connection:
        ensure_home(self._path.parent)
        end = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                create_private_file(self._path)
                return self._open()
            except sqlite3.OperationalError as error:
                if not any(word in str(error) for word in _BUSY_WORDS) or time.monotonic() > end:
                    raise self._problem(error) from error
                time.sleep(random.uniform(0.002, 0.02))
            except (sqlite3.Error, OSError) as error:
                raise self._problem(error) from error

    def _open(self) -> sqlite3.Connection:
        # No waiting inside SQLite: who waits there keeps a shared lock, and of several nobody gets the exclusive one.
        db = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        try:
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("BEGIN IMMEDIATE")
            self._check(db)
            self._migrate(db)
        except BaseException:
            db.close()
            raise
        return db

    def _check(self, db: sqlite3.Connection) -> None:
        """Look through the whole file once: a damaged page must not read as "never paid"."""
        if not self._is_checked:
            (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            self._is_checked = True

    def _migrate(self, db: sqlite3.Connection) -> None:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        newest = len(self._migrations)
        if version > newest:
            msg = (
                f"{self._name} {self._path} was written by a newer version of this pack (format {version}, this "
                f"version knows {newest}). Update the pack. Nothing was sent."
            )
            raise ConfigurationError(msg)
        for number in range(version, newest):
            for statement in self._migrations[number].split(";"):
                db.execute(statement)
        if version < newest:
            db.execute(f"PRAGMA user_version={newest}")

    def _problem(self, error: Exception) -> ConfigurationError:
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            msg = (
                f"{self._name} {self._path} is damaged ({error}). Nothing was sent. Put back a copy of it if you have "
                f"one; or move it away to begin a new one, which does not know {self._tells} before."
            )
        elif isinstance(error, sqlite3.Error) and any(word in str(error) for word in _BUSY_WORDS):
            msg = (
                f"{self._name} {self._path} is held by another program for more than {BUSY_TIMEOUT_S:g} s. Close what "
                "has it open. Nothing was sent."
            )
        else:
            msg = (
                f"{self._name} {self._path} cannot be written ({error}). Free space on the disk, make it writable, or "
                "set CARTOONIZE_HOME to another folder. Nothing was sent."
            )
        return ConfigurationError(msg)
