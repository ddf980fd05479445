"""The results store: finished pictures as the bytes that were downloaded, kept by task and index.

A file's name holds the digest of its content, so a damaged one is noticed when it is read.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .images import Header
from .private_files import make_private_folder, write_whole

FOLDER = "results"
IN_USE_S = 600.0  # what was kept or read so recently is never removed to make room
_EXTENSIONS = {"PNG": "png", "JPEG": "jpg", "BMP": "bmp", "WEBP": "webp"}
_NAME = re.compile(r"(?P<number>[0-9]{4,})-(?P<digest>[0-9a-f]{32})\.(?:png|jpg|bmp|webp)")


@dataclass(frozen=True)
class Kept:
    """A picture of the store: its bytes, and its file's name relative to the state folder."""

    data: bytes
    file: str


class ResultStore:
    """Pictures below one folder, at most `max_bytes` of them; the longest unused go first.

    Safe between threads and processes: files appear whole, and are removed whole.
    """

    def __init__(self, home: Path, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self._home = home
        self._max_bytes = max_bytes
        self._clock = clock

    def put(self, service: str, task_id: str, index: int, data: bytes, header: Header) -> Kept:
        """Keep a picture of a task before anything is made of it; raises OSError when that is not possible."""
        folder = make_private_folder(self._folder(service, task_id))
        path = folder / f"{index + 1:04}-{_digest(data)}.{_EXTENSIONS[header.format]}"
        write_whole(path, data)
        self._touch(path)
        return self._kept(path, data)

    def get(self, service: str, task_id: str, index: int) -> Kept | None:
        """Return a picture, None if it is not there; one that is damaged is removed and counts as not there."""
        for path in self._files(service, task_id, f"{index + 1:04}-*"):
            name = _NAME.fullmatch(path.name)
            try:
                data = path.read_bytes() if name else b""
            except OSError:  # removed in this moment, or unreadable
                continue
            if name and name["digest"] == _digest(data):
                self._touch(path)
                return self._kept(path, data)
            _remove(path)
        return None

    def drop(self, kept: Kept) -> None:
        """Remove one picture: it turned out to be unusable."""
        if kept.file:
            _remove(self._home / kept.file)

    def use(self, service: str, task_id: str) -> None:
        """Tell that the pictures of a task are in use, so that they are not removed in the next minutes."""
        for path in self._files(service, task_id, "*"):
            self._touch(path)

    def forget(self, service: str, task_id: str) -> int:
        """Remove the pictures of a task and return how many they were."""
        files = self._files(service, task_id, "*")
        for path in files:
            _remove(path)
        _remove_empty(self._folder(service, task_id))
        return len(files)

    def make_room(self) -> None:
        """Remove the longest unused pictures, and what killed processes left half written, down to the limit."""
        now = self._clock()
        files = []
        for path in (self._home / FOLDER).glob("*/*"):
            try:
                stat = path.stat()
            except OSError:  # another process was faster
                continue
            files.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in files)
        for used, size, path in sorted(files):
            if now - used <= IN_USE_S:
                return
            if total > self._max_bytes or not _NAME.fullmatch(path.name):
                _remove(path)
                _remove_empty(path.parent)
                total -= size

    def _folder(self, service: str, task_id: str) -> Path:
        readable = re.sub(r"[^A-Za-z0-9-]", "_", task_id)[:60]
        return self._home / FOLDER / f"{readable}-{_digest(f'{service} {task_id}'.encode())[:12]}"

    def _files(self, service: str, task_id: str, pattern: str) -> list[Path]:
        return sorted(self._folder(service, task_id).glob(pattern))

    def _kept(self, path: Path, data: bytes) -> Kept:
        return Kept(data, path.relative_to(self._home).as_posix())

    def _touch(self, path: Path) -> None:
        now = self._clock()
        with suppress(OSError):  # removed in this moment, or not ours to touch: it merely looks unused
            os.utime(path, (now, now))


def _remove(path: Path) -> None:
    with suppress(OSError):  # gone already, open elsewhere, or not ours: the next one who looks tries again
        path.unlink()


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it holds other pictures, or is gone
        folder.rmdir()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
