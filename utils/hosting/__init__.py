"""Where an image becomes a URL: one small module a kind of host, all behind `ImageHost`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Protocol

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg"}


@dataclass(frozen=True)
class Upload:
    """A picture at a host: the host's name for it, its link, what deletes it if the name does not, when it ends.

    `expires_s` is in seconds since 1970; `is_signed` says that the host signs another link whenever it is asked.
    """

    name: str
    link: str
    expires_s: float
    removal: str = ""
    is_signed: bool = False


class ImageHost(Protocol):
    """Keeps pictures where the service can fetch them, for a limited time.

    Every method raises ConfigurationError when the host must be set up differently, and UnreachableError when it does
    not answer as it should this time.
    """

    @property
    def identity(self) -> str:
        """What stands for the place, so that a host of the same name at another place is another one."""

    def put(self, name: str, data: bytes, media_type: str) -> Upload:
        """Keep the bytes under a name that nobody guesses, and return the upload."""

    def renewed(self, upload: Upload) -> Upload | None:
        """Return an upload of earlier with a link that works for the whole lifetime; None if it is not there."""

    def delete(self, upload: Upload) -> None:
        """Remove an upload; one that is gone is no error."""


def new_name(media_type: str) -> str:
    """Return a file name of 256 random bits."""
    return f"{secrets.token_urlsafe(32)}.{EXTENSIONS[media_type]}"
