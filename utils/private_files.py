"""Files and folders that only their owner can read, and whether they still are."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_CREATING = threading.Lock()
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private_folder(path: Path) -> Path:
    """Create a folder, and its missing parents, for its owner only; raises OSError."""
    for folder in reversed([path, *path.parents]):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    path.mkdir(exist_ok=True)  # a file in its place is an error
    return path


def create_private_file(path: Path) -> None:
    """Create an empty file for its owner only, unless it is there; raises OSError.

    One that is there is not even opened: closing it would release the locks that the whole process has on it
    (POSIX locks; sqlite.org/howtocorrupt.html, section 2.2). For the same reason one thread creates at a time.
    """
    with _CREATING, suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file for its owner only that appears whole or not at all, whatever stops in between."""
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=part_prefix(path))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def part_prefix(path: Path) -> str:
    """Return how the names begin of what a killed process has left of a file; to be removed under the file's lock."""
    return f".part-{path.name}-"


def write_private(path: Path, data: bytes) -> None:
    """Write a file for its owner only; raises OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)


def close_to_others(folder: Path, names: Sequence[str]) -> list[str]:
    """Close the named files and folders in a folder to other users of this machine; return what to tell of it.

    The folder itself stays as it is, because it may be somebody's on purpose.
    """
    if os.name == "nt":  # modes say nothing there; a user's own folders are closed to others by default
        return []
    others = stat.S_IMODE(folder.stat().st_mode) & _OTHERS
    told = []
    for path in (folder / name for name in names):
        before = _mode(path)
        if not before & _OTHERS:
            continue
        with suppress(OSError):  # not ours, or on a drive that knows no modes: told below
            path.chmod(0o700 if path.is_dir() else 0o600)
        closed = not _mode(path) & _OTHERS
        if others or not closed:
            words = "could be read by other users of this machine. It is closed now" if closed else "cannot be closed"
            told.append(f"{path} ({before:04o}) {words}; if they may have seen keys in it, have them renewed.")
    if others:
        told.append(f"{folder} is open to other users of this machine. Close it: chmod 700 '{folder}'")
    return told


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
