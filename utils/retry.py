"""Trying again: which images of a report are submitted once more; a report of other images is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .errors import InputError
from .monitor import count
from .redaction import without_query
from .report import Retry, read_report

if TYPE_CHECKING:
    from .journal import Journal


def checked_retry(journal: Journal, profile: str, text: str, links: Sequence[str]) -> Retry:
    """Return what the report says; raises InputError if it is not about these links and this profile."""
    retry = read_report(text)
    _check_retry(retry, profile, len(links))
    contents = journal.contents_of([*retry.links, *links])
    pairs = zip(contents, contents[len(links) :], retry.links, links, strict=False)
    for place, (before, now, link_before, link_now) in enumerate(pairs, 1):
        if link_before and before != now and link_before != without_query(link_now):
            msg = f"The report is about other images: image {place} was another one. Nothing was sent."
            raise InputError(msg)
    return retry


def _check_retry(retry: Retry, profile: str, links: int) -> None:
    if retry.images != links:
        msg = (
            f"The report is about {count(retry.images, 'image')}, but {count(links, 'link')} were given: connect the "
            "links that were submitted. Nothing was sent."
        )
        raise InputError(msg)
    if retry.profile != profile:
        msg = (
            f"The report is about tasks of profile {retry.profile!r}, not {profile!r}: choose the same profile. "
            "Nothing was sent."
        )
        raise InputError(msg)
