"""Which work a submission is: links, in order, cut into tasks, each with a key that the same work has again; pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .contract import Limits
from .images import Picture

LONGEST_TASK = Limits().max_images


@dataclass(frozen=True)
class Work:
    """The work of one task: its links, the numbers of its images (from 1, in the whole submission), and its key."""

    links: tuple[str, ...]
    places: tuple[int, ...]
    key: str

    @property
    def words(self) -> str:
        """Its images as a person says them."""
        return say_places(self.places)


@dataclass(frozen=True)
class Order:
    """What is asked for, besides the images: `after` names the tasks whose failed images are tried once more."""

    service: str = field(repr=False)
    account: str = field(repr=False)
    variation: int
    after: tuple[str, ...] = ()


def content_of(picture: Picture) -> str:
    """Return what stands for the pixels of a picture, whatever file they are sent as."""
    digest = hashlib.sha256(f"{picture.width}x{picture.height}".encode())
    digest.update(np.ascontiguousarray(picture.rgb).data)
    if picture.alpha is not None:
        digest.update(b"alpha")
        digest.update(np.ascontiguousarray(picture.alpha).data)
    return digest.hexdigest()


def work_key(contents: Sequence[str], order: Order) -> str:
    """Return the key of work: the service, the account, what the images are, in order, and the variation.

    A digest, so that neither the account nor a signed link can be read from it. Not the priority: the same images at
    another priority are the same work.
    """
    return list(_keys_of_beginnings(contents, order))[-1]


def _keys_of_beginnings(contents: Sequence[str], order: Order) -> Iterator[str]:
    """Yield the key of no image, of the first alone, of the first two, and so on."""
    parts = [order.service, order.account, order.variation, list(order.after)]
    digest = hashlib.sha256(json.dumps(parts).encode())
    yield digest.hexdigest()
    for content in contents:
        digest.update(f"\n{json.dumps(content)}".encode())
        yield digest.hexdigest()


def split_work(
    links: Sequence[str],
    places: Sequence[int],
    keys: Mapping[tuple[int, int], str],
    most: int,
    known: Container[str] = (),
) -> list[Work]:
    """Return the work as tasks of at most `most` images, in order; `keys` are those of `candidate_keys`.

    Images that are the work of a task with a known key stay together, so that a batch that grew, or another limit,
    does not make new work of what was paid for.
    """
    found = {
        start: length for (start, length), key in sorted(keys.items()) if key in known
    }  # the longest of each start
    works, start = [], 0
    while start < len(links):
        ends = (end for end in range(start + 1, min(start + most, len(links))) if end in found)
        end = start + found[start] if start in found else next(ends, min(start + most, len(links)))
        works.append(Work(tuple(links[start:end]), tuple(places[start:end]), keys[start, end - start]))
        start = end
    return works


def candidate_keys(contents: Sequence[str], order: Order, most: int) -> dict[tuple[int, int], str]:
    """Return the key of every run of images that may have been a task, by its start and length.

    `most` is the limit of today; it may have been the documented one before.
    """
    longest = max(LONGEST_TASK, most)
    return {
        (start, length): key
        for start in range(len(contents))
        for length, key in enumerate(_keys_of_beginnings(contents[start : start + longest], order))
        if length
    }


def say_places(places: Sequence[int]) -> str:
    """Return "image 3", "images 1 to 20" or "images 3, 7 and 9"."""
    if len(places) == 1:
        return f"image {places[0]}"
    if list(places) == list(range(places[0], places[-1] + 1)):
        return f"images {places[0]} to {places[-1]}"
    return f"images {', '.join(map(str, places[:-1]))} and {places[-1]}"
