"""What the image hosts on this machine have in common: pictures in a store, as files that expire."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import ConfigurationError
from ..service.pictures import PictureStore
from . import Upload
from .settings import HostSettings


class StoredHere(ABC):
    """Puts pictures into a store of this machine; how they are reached is the host's own."""

    def __init__(self, settings: HostSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock

    def put(self, name: str, data: bytes, media_type: str) -> Upload:
        """Keep the bytes; raises ConfigurationError when they cannot be written."""
        with writing():
            self._store().put(data, media_type, self._settings.lifetime_s, name)
        return self._upload(name)

    def renewed(self, upload: Upload) -> Upload | None:
        """Return the upload with a link of this moment, its file living as long as a new one."""
        with writing():
            is_there = self._store().renew(upload.name, self._settings.lifetime_s)
        return self._upload(upload.name) if is_there else None

    def delete(self, upload: Upload) -> None:
        """Remove the file."""
        with writing():
            self._store().delete(upload.name)

    @abstractmethod
    def _store(self) -> PictureStore: ...

    @abstractmethod
    def _upload(self, name: str) -> Upload: ...


@contextmanager
def writing() -> Iterator[None]:
    """Turn what a picture store raises when it cannot be written into ConfigurationError."""
    try:
        yield
    except OSError as error:
        msg = f"The picture store cannot be written: {error}. Nothing was submitted."
        raise ConfigurationError(msg) from error
