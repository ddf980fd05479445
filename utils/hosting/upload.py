"""Many pictures -> many URLs: encoding and uploading beside each other, bounded, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..contract import Limits
from ..errors import InputError
from ..fitting import Encoded, encode
from ..images import Picture
from ..monitor import Monitor, count
from ..threads import map_bounded
from . import ImageHost

if TYPE_CHECKING:
    from ..journal import Journal

PARALLEL = 4
FORMATS = ("auto", "png", "jpeg")


@dataclass(frozen=True)
class Hosted:
    """A picture that has a URL; `changes` says what was done to make it fit, `content` stands for its pixels."""

    url: str
    changes: str
    content: str


def upload(
    load: Sequence[Callable[[], Picture]],
    host: ImageHost,
    *,
    fmt: str,
    may_fit: bool,
    limits: Limits,
    journal: Journal,
    monitor: Monitor,
) -> list[Hosted]:
    """Return a URL for every picture, in order; `load` makes them one by one, so that few are in memory.

    All are encoded and checked before the first is uploaded, and what lies behind each link is noted in the journal,
    so that a new link to the same pixels is the same work. Raises InputError for none, or for one outside the limits.
    """
    if not load:
        msg = "There are no images: the batch is empty. Nothing was sent."
        raise InputError(msg)
    total = len(load)
    monitor.report(0, 2 * total, f"encoding {count(total, 'image')}")

    def encode_one(index: int) -> Encoded:
        encoded = encode(load[index](), fmt, limits, may_fit=may_fit, name=f"image {index + 1}")
        monitor.step(f"encoded image {index + 1} of {total}")
        return encoded

    def upload_one(encoded: Encoded) -> Hosted:
        hosted = Hosted(host.put(encoded.data, encoded.media_type), encoded.changes, encoded.content)
        monitor.step(f"uploading {count(total, 'image')}")
        return hosted

    encoded = map_bounded(encode_one, range(total), workers=PARALLEL, monitor=monitor)
    hosted = map_bounded(upload_one, encoded, workers=PARALLEL, monitor=monitor)
    journal.note_links({h.url: h.content for h in hosted})
    return hosted
