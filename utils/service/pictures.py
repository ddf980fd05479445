"""The picture store: uploads and results under random names that expire."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from ..hosting import EXTENSIONS, new_name
from ..private_files import make_private_folder, write_private

MEDIA_TYPES = {extension: media_type for media_type, extension in EXTENSIONS.items()}
_NAME = re.compile(r"[A-Za-z0-9_-]{43}\.(png|jpg)")


def is_name(text: str) -> bool:
    """Whether this can be the name of a picture: no path leads anywhere else then."""
    return _NAME.fullmatch(text) is not None


class PictureStore:
    """Files in one folder: a name holds 256 random bits, and a file's modification time is the moment it expires."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = make_private_folder(folder)
        self._clock = clock

    def put(self, data: bytes, media_type: str, lifetime_s: float, name: str = "") -> str:
        """Keep the bytes for so many seconds and return their name; they appear whole or not at all."""
        name = name or new_name(media_type)
        partial = self._folder / f"{name}.part"
        expires = self._clock() + lifetime_s
        try:
            write_private(partial, data)
            os.utime(partial, (expires, expires))
            partial.replace(self._folder / name)
        except OSError:  # a full disk must not keep half a picture
            partial.unlink(missing_ok=True)
            raise
        return name

    def path(self, name: str) -> Path | None:
        """Return the file behind a name, or None if there is none or it has expired."""
        if not is_name(name):
            return None
        path = self._folder / name
        try:
            return path if path.stat().st_mtime > self._clock() else None
        except OSError:
            return None

    def renew(self, name: str, lifetime_s: float) -> bool:
        """Let a picture live for so many seconds from now on; returns whether it is there."""
        path = self.path(name)
        if path is None:
            return False
        expires = self._clock() + lifetime_s
        try:
            os.utime(path, (expires, expires))
        except FileNotFoundError:  # removed in this moment
            return False
        return True

    def delete(self, name: str) -> None:
        """Forget a picture; deleting one that is gone is no error."""
        if is_name(name):
            (self._folder / name).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Delete what has expired and return how many files that were."""
        gone = 0
        for path in self._folder.iterdir():
            try:
                # a crash leaves .part files with the time of their writing: an hour is longer than any write
                lifetime_left_s = path.stat().st_mtime - self._clock() + (3600 if path.suffix == ".part" else 0)
                if lifetime_left_s < 0:
                    path.unlink()
                    gone += 1
            except FileNotFoundError:  # another process of the same store was faster
                continue
        return gone
