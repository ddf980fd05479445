"""Where an image becomes a URL: one small module a kind of host, all behind `ImageHost`."""

from __future__ import annotations

from typing import Protocol


class ImageHost(Protocol):
    """Keeps a picture where the service can fetch it, under a name that nobody guesses, for a limited time."""

    def put(self, data: bytes, media_type: str) -> str:
        """Keep the bytes and return their URL."""

    def delete(self, url: str) -> None:
        """Remove a picture that `put` returned; one that is gone is no error."""
