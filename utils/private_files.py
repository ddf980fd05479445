"""Files and folders that only their owner can read."""

from __future__ import annotations

import os
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

_CREATING = threading.Lock()


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
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
