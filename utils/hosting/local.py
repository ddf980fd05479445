"""The image host on this machine: the picture store that the embedded service serves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import ConfigurationError
from ..service.pictures import PictureStore
from . import Upload
from .settings import LOCAL, HostSettings


class LocalHost:
    """Puts pictures into the store; `address` returns the URL under which the service reaches it."""

    identity = LOCAL

    def __init__(
        self,
        settings: HostSettings,
        store: PictureStore,
        address: Callable[[], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._store = store
        self._address = address
        self._clock = clock

    def put(self, name: str, data: bytes, media_type: str) -> Upload:
        """Keep the bytes; raises ConfigurationError when they cannot be written."""
        with writing():
            self._store.put(data, media_type, self._settings.lifetime_s, name)
        return self._upload(name)

    def renewed(self, upload: Upload) -> Upload | None:
        """Return the upload at the service's present address, its file living as long as a new one."""
        with writing():
            is_there = self._store.renew(upload.name, self._settings.lifetime_s)
        return self._upload(upload.name) if is_there else None

    def delete(self, upload: Upload) -> None:
        """Remove the file."""
        with writing():
            self._store.delete(upload.name)

    def _upload(self, name: str) -> Upload:
        link = f"{self._address().rstrip('/')}/files/{name}"
        return Upload(name, link, self._clock() + self._settings.lifetime_s)


@contextmanager
def writing() -> Iterator[None]:
    """Turn what a picture store raises when it cannot be written into ConfigurationError."""
    try:
        yield
    except OSError as error:
        msg = f"The picture store cannot be written: {error}. Nothing was submitted."
        raise ConfigurationError(msg) from error
