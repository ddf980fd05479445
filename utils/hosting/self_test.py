"""A host tried out with a picture that shows nobody: uploaded, fetched as a stranger would, and deleted again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from ..addresses import Policy, shown_name
from ..download import fetch, peek
from ..errors import CartoonizeError
from ..images import Picture, encode_png
from ..reachability import own_address_problem
from ..steps import Step
from . import ImageHost, Upload, new_name
from .upload import OpenHost

_SIDE = 320
_FETCH_S = 30.0
_GONE = (401, 403, 404, 410)


def steps(target: OpenHost, allow_hosts: Sequence[str]) -> Iterator[Step]:
    """Yield each step when it is done; after an upload that failed there are no others.

    `allow_hosts` are private addresses that the service can reach; a link to any other private one fails.
    """
    host = target.host
    pixels = np.random.default_rng().integers(0, 256, (_SIDE, _SIDE, 3), np.uint8)
    data = encode_png(Picture(pixels))
    try:
        upload = host.put(new_name("image/png"), data, "image/png")
    except CartoonizeError as error:
        yield Step("upload", False, str(error))
        return
    yield Step("upload", True, f"{len(data)} bytes to {shown_name(upload.link)}")
    policy = _policy(upload.link, allow_hosts)
    yield _fetched(upload, data, policy)
    if target.settings.can_delete:
        yield _deleted(host, upload, policy)
    else:
        yield Step(
            "delete", True, "left out: without delete_url the picture stays, as everything that is uploaded there"
        )


def _policy(link: str, allow_hosts: Sequence[str]) -> Policy:
    """Return the policy of a stranger; a link to this machine is tried from this machine."""
    own = re.match(r"[a-z]+://[^/]+", link) if own_address_problem(link, ()) else None
    return Policy(True, tuple(allow_hosts), own[0] if own else "")


def _fetched(upload: Upload, data: bytes, policy: Policy) -> Step:
    try:
        found = fetch(upload.link, policy, max_bytes=2 * len(data), total_s=_FETCH_S)
    except CartoonizeError as error:
        return Step("fetch without credentials", False, str(error))
    if found != data:
        return Step("fetch without credentials", False, f"another file came back: {len(found)} bytes, not the picture")
    where = " from this machine only" if own_address_problem(upload.link, ()) else ""
    return Step("fetch without credentials", True, f"the same {len(data)} bytes came back{where}")


def _deleted(host: ImageHost, upload: Upload, policy: Policy) -> Step:
    try:
        host.delete(upload)
        left = peek(upload.link, policy, first_bytes=16, total_s=_FETCH_S)
    except CartoonizeError as error:
        return Step("delete", False, str(error))
    if left.status in _GONE:
        return Step("delete", True, f"the link leads nowhere now (HTTP {left.status})")
    return Step("delete", False, f"the picture is still there (HTTP {left.status}); is delete_url set?")
