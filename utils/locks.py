"""A lock between threads, processes, and machines with a shared home, that its holder's death releases."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import ConfigurationError, DeadlineError
from .home import ensure_home
from .private_files import create_private_file

_SLOTS = 4096
_ASK_AGAIN_S = 0.02


@contextmanager
def held(folder: Path, key: str, *, timeout_s: float, sleep: Callable[[float], None]) -> Iterator[None]:
    """Hold the lock of a key (hexadecimal digits) for the block; raises DeadlineError when others hold it too long.

    Keys share a fixed number of lock files, so that files need not be deleted, which could not be done safely; a
    thread must hold one lock at a time. SQLite's own file lock is used, because it is the same on every platform and
    the system releases it even when the process is killed. `sleep` may raise to give up.
    """
    db = _open(ensure_home(folder) / f"{int(key[:8], 16) % _SLOTS:04}.lock")
    end = time.monotonic() + timeout_s
    try:
        while not _taken(db, folder):
            if time.monotonic() > end:
                msg = f"Another submission has not ended for {timeout_s:g} s. This one sent nothing; run again later."
                raise DeadlineError(msg)
            sleep(_ASK_AGAIN_S)
        yield
    finally:
        db.close()


def _open(path: Path) -> sqlite3.Connection:
    try:
        create_private_file(path)
        return sqlite3.connect(path, timeout=0, isolation_level=None)
    except (sqlite3.Error, OSError) as error:
        raise _unusable(path, error) from error


def _taken(db: sqlite3.Connection, folder: Path) -> bool:
    try:
        db.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return False
        raise _unusable(folder, error) from error
    except sqlite3.Error as error:
        raise _unusable(folder, error) from error
    return True


def _unusable(path: Path, error: Exception) -> ConfigurationError:
    msg = f"{path} cannot be used ({error}). Make it writable, or set CARTOONIZE_HOME elsewhere. Nothing was sent."
    return ConfigurationError(msg)
