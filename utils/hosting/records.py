"""Uploads as this machine remembers them."""

from __future__ import annotations

from dataclasses import dataclass

from . import Upload


@dataclass(frozen=True)
class Place:
    """A host as the registry knows it, and whether its uploads are deleted when their results are stored."""

    host: str
    identity: str
    until_stored: bool


@dataclass(frozen=True)
class Record:
    """One upload, and where it is; `content` stands for its pixels, `changes` says what was done to make it fit.

    `is_done` is false if the upload broke off, or is going on.
    """

    number: int
    host: str
    identity: str
    content: str
    changes: str
    upload: Upload
    is_done: bool
