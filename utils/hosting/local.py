"""The image host on this machine: the picture store that the embedded service serves."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..errors import ConfigurationError
from ..service.pictures import PictureStore

UPLOAD_LIFETIME_S = 24 * 3600.0


class LocalHost:
    """Puts pictures into the store; `base_url` is the address under which the service reaches it."""

    def __init__(self, store: PictureStore, base_url: str) -> None:
        self._store = store
        self._base_url = base_url.rstrip("/")

    def put(self, data: bytes, media_type: str) -> str:
        """Keep the bytes for a day and return their URL; raises ConfigurationError when they cannot be written."""
        try:
            name = self._store.put(data, media_type, UPLOAD_LIFETIME_S)
        except OSError as error:
            msg = f"The picture store cannot be written: {error}. Nothing was sent."
            raise ConfigurationError(msg) from error
        return f"{self._base_url}/files/{name}"

    def delete(self, url: str) -> None:
        """Remove a picture."""
        self._store.delete(urlsplit(url).path.rpartition("/")[2])
