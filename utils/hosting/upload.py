"""Many pictures -> many URLs: encoding and uploading beside each other, bounded, in order, each picture once."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ..contract import Limits
from ..errors import InputError, UnreachableError
from ..fitting import Encoded, check_limits, encode
from ..images import Picture
from ..monitor import Monitor, count
from ..threads import map_bounded
from ..work import content_of
from . import ImageHost, new_name
from .records import Place, Record
from .settings import HostSettings

if TYPE_CHECKING:
    from ..journal import Journal
    from .registry import Registry
    from .uploads import Uploads

PARALLEL = 4
_ENCODING = threading.Semaphore(min(PARALLEL, os.cpu_count() or 1))  # more would only need memory
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class OpenHost:
    """An image host, ready for use, and what the configuration says of it."""

    host: ImageHost
    settings: HostSettings

    @property
    def place(self) -> Place:
        """The host as the registry knows it."""
        return Place(self.settings.name, self.host.identity, bool(self.settings.delete_after))


@dataclass(frozen=True)
class Encoding:
    """How pictures are encoded: one of choices.FORMATS, inside the limits, and whether they may be changed for that."""

    fmt: str
    may_fit: bool
    limits: Limits


@dataclass(frozen=True)
class Hosted:
    """A picture that has a URL; `changes` says what was done to make it fit, `content` stands for its pixels."""

    url: str
    changes: str
    content: str
    was_there: bool = False


def upload(
    load: Sequence[Callable[[], Picture]],
    target: OpenHost,
    encoding: Encoding,
    *,
    uploads: Uploads,
    journal: Journal,
    monitor: Monitor,
) -> list[Hosted]:
    """Return a URL for every picture, in order; `load` makes them one by one, so that few are in memory.

    The sizes of all are checked before the first is uploaded; a picture that is at the host already is not uploaded
    again. What lies behind each link is noted in the journal, so that a new link to the same pixels is the same work.
    Raises InputError for none, or for one outside the limits, and as `ImageHost.put` does.
    """
    if not load:
        msg = "There are no images: the batch is empty. Nothing was sent."
        raise InputError(msg)
    uploads.sweep()
    hosted = _Batch(load, target, encoding, uploads.registry, monitor).hosted()
    journal.note_links({h.url: h.content for h in hosted})
    return hosted


class _Batch:
    """One batch on its way to one host."""

    def __init__(
        self,
        load: Sequence[Callable[[], Picture]],
        target: OpenHost,
        encoding: Encoding,
        registry: Registry,
        monitor: Monitor,
    ) -> None:
        self._load = load
        self._target = target
        self._encoding = encoding
        self._registry = registry
        self._monitor = monitor

    def hosted(self) -> list[Hosted]:
        """Return a URL for every picture."""
        total = len(self._load)
        self._monitor.report(0, 2 * total, f"looking at {count(total, 'image')}")
        recipes = self._mapped(self._recipe, range(total))
        first: dict[str, int] = {}
        for index, recipe in enumerate(recipes):
            first.setdefault(recipe, index)
        records = self._registry.find(self._target.place, list(first))
        self._monitor.report(total, total + len(first), f"uploading to {self._target.settings.name!r}")
        made = self._mapped(lambda recipe: self._made(recipe, first[recipe], records.get(recipe)), list(first))
        by_recipe = dict(zip(first, made, strict=True))
        return [by_recipe[recipe] for recipe in recipes]

    def _mapped(self, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        return map_bounded(work, items, workers=PARALLEL, monitor=self._monitor)

    def _recipe(self, index: int) -> str:
        """Return what stands for the file that an image becomes, without making it."""
        encoding, picture = self._encoding, self._load[index]()
        check_limits(picture, encoding.limits, may_fit=encoding.may_fit, name=_name(index))
        self._monitor.step(f"looked at image {index + 1} of {len(self._load)}")
        text = f"{content_of(picture)} {encoding}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _made(self, recipe: str, index: int, record: Record | None) -> Hosted:
        """Return an upload of earlier with a fresh link, or a new one."""
        hosted = (self._renewed(record) if record else None) or self._uploaded(recipe, index)
        self._monitor.step(f"uploaded image {index + 1} of {len(self._load)} to {self._target.settings.name!r}")
        return hosted

    def _renewed(self, record: Record) -> Hosted | None:
        """Return an upload of earlier; None if it is gone, or about to be."""
        upload = self._target.host.renewed(record.upload)
        if upload is None or not self._registry.finish(record.number, upload, record.changes):
            return None
        return Hosted(upload.link, record.changes, record.content, was_there=True)

    def _uploaded(self, recipe: str, index: int) -> Hosted:
        encoded = self._encoded(index)
        name, expires_s = new_name(encoded.media_type), time.time() + self._target.settings.lifetime_s
        number = self._registry.begin(self._target.place, recipe, encoded.content, name, expires_s)
        upload = self._target.host.put(name, encoded.data, encoded.media_type)
        if not self._registry.finish(number, upload, encoded.changes):
            self._target.host.delete(upload)
            msg = f"{_name(index)} was purged while it was uploaded. Run again. Nothing was submitted."
            raise UnreachableError(msg)
        return Hosted(upload.link, encoded.changes, encoded.content)

    def _encoded(self, index: int) -> Encoded:
        encoding = self._encoding
        with _ENCODING:
            picture = self._load[index]()
            return encode(picture, encoding.fmt, encoding.limits, may_fit=encoding.may_fit, name=_name(index))


def _name(index: int) -> str:
    return f"image {index + 1}"


def summary(hosted: Sequence[Hosted], settings: HostSettings) -> str:
    """Return what was done, in words: how many went where, who can see them, and what was changed of which."""
    there = sum(h.was_there for h in hosted)
    new = len(hosted) - there
    done = [f"{count(new, 'image')} uploaded to {settings.name!r}"] if new or not there else []
    done += [f"{count(there, 'image')} already at {settings.name!r}"] if there else []
    rows = [", ".join(done)]
    if settings.public:
        rows.append(f"{settings.name!r} is a public host: whoever has a link sees the picture")
    return "\n".join([*rows, *(f"image {n}: {h.changes}" for n, h in enumerate(hosted, 1) if h.changes)])
