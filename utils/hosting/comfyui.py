"""ComfyUI's own server as image host: signed links that end, and what its route answers to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..routes import UPLOADS_ROUTE
from ..service.pictures import PictureStore, is_name
from . import Upload
from .settings import COMFYUI, ComfyUISettings
from .signing import Verdict, ensure_key, read_key, signature, verdict
from .stored_here import StoredHere, writing

FOLDER = "uploads"


class ComfyUIHost(StoredHere):
    """Puts pictures where the route of this machine's ComfyUI finds them, whatever its public address is today."""

    identity = COMFYUI

    def __init__(self, settings: ComfyUISettings, home: Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__(settings, clock)
        self._public_url = settings.public_url.rstrip("/")
        self._home = home

    def put(self, name: str, data: bytes, media_type: str) -> Upload:
        """Keep the bytes, and remove what has expired; raises ConfigurationError when they cannot be written."""
        with writing():
            self._store().sweep()
        return super().put(name, data, media_type)

    def _store(self) -> PictureStore:
        return PictureStore(self._home / FOLDER, self._clock)

    def _upload(self, name: str) -> Upload:
        expires = str(int(self._clock() + self._settings.lifetime_s))
        query = f"expires={expires}&signature={signature(ensure_key(self._home), name, expires)}"
        link = f"{self._public_url}{UPLOADS_ROUTE}/{name}?{query}"
        return Upload(name, link, float(expires), is_signed=True)


@dataclass(frozen=True)
class Answer:
    """What the route answers: a file, or a status with a word."""

    status: int
    words: str = ""
    path: Path | None = None


def answer(home: Path, name: str, query: Mapping[str, str], now_s: float) -> Answer:
    """Return what a request for a picture gets: its signature is looked at before the disk is."""
    key = read_key(home)
    if key is None or not is_name(name):
        return Answer(404, "there is no such picture")
    worth = verdict(key, name, query, now_s)
    if worth is Verdict.WRONG:
        return Answer(403, "the signature is wrong")
    try:
        path = PictureStore(home / FOLDER, lambda: now_s).path(name) if worth is Verdict.GOOD else None
    except OSError:  # the folder cannot be one
        path = None
    if path is None:
        return Answer(410, "the link has expired, or the picture was deleted")
    return Answer(200, path=path)
