"""The image host on this machine: the picture store that the embedded service serves."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..service.pictures import PictureStore

UPLOAD_LIFETIME_S = 24 * 3600.0


class LocalHost:
    """Puts pictures into the store; `base_url` is the address under which the service reaches it."""

    def __init__(self, store: PictureStore, base_url: str) -> None:
        self._store = store
        self._base_url = base_url.rstrip("/")

    def put(self, data: bytes, media_type: str) -> str:
        """Keep the bytes for a day and return their URL."""
        return f"{self._base_url}/files/{self._store.put(data, media_type, UPLOAD_LIFETIME_S)}"

    def delete(self, url: str) -> None:
        """Remove a picture."""
        self._store.delete(urlsplit(url).path.rpartition("/")[2])
