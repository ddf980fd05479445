"""The image host on this machine: the picture store that the embedded service serves."""

from __future__ import annotations

from collections.abc import Callable

from ..service.pictures import PictureStore
from . import Upload
from .settings import LOCAL, HostSettings
from .stored_here import StoredHere


class LocalHost(StoredHere):
    """Puts pictures into the store; `address` returns the URL under which the service reaches it."""

    identity = LOCAL

    def __init__(self, settings: HostSettings, store: PictureStore, address: Callable[[], str]) -> None:
        super().__init__(settings)
        self._pictures = store
        self._address = address

    def _store(self) -> PictureStore:
        return self._pictures

    def _upload(self, name: str) -> Upload:
        link = f"{self._address().rstrip('/')}/files/{name}"
        return Upload(name, link, self._clock() + self._settings.lifetime_s)
