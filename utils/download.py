"""The only door to URLs from outside: results, the inputs of the embedded service, and links on trial."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies

import requests

from .addresses import Policy, check_url, is_own, shown_name
from .bodies import declared_length, read_body, read_head
from .connections import CONNECT_TIMEOUT_S, Guard, PlainSession
from .errors import InputError, UnreachableError
from .formats import kind_of
from .threads import within

READ_TIMEOUT_S = 30.0
MAX_REDIRECTS = 5
_PROXY_HINT = " The environment names a proxy, which downloads use only with CARTOONIZE_PROXY=environment."
_NO_RANGES = (400, 416, 501)  # what servers answer to a range that they do not take
_CONTENT_RANGE = re.compile(r"bytes [0-9]+-[0-9]+/([0-9]{1,18})")
R = TypeVar("R")


@dataclass(frozen=True)
class Peek:
    """What a server answers to someone without credentials: status, the first bytes, and what it says of the file."""

    url: str  # after redirects
    status: int
    media_type: str
    head: bytes
    size: int | None


def fetch(url: str, policy: Policy, *, max_bytes: int, total_s: float, kinds: Sequence[str] = ()) -> bytes:
    """Return the bytes behind a URL, which must begin as a file of one of the kinds, if there are any.

    Redirects are followed by hand, each hop checked anew. Raises InputError for an address that is not allowed, a file
    over the limit, of another kind or compressed, UnreachableError (naming the host, never the query) when it does not
    arrive whole in time.
    """

    def read(response: requests.Response) -> bytes:
        if response.status_code != 200:
            hint = " The link may have expired." if response.status_code in (403, 404, 410) else ""
            msg = f"{shown_name(response.url)} answered HTTP {response.status_code} instead of a picture.{hint}"
            raise UnreachableError(msg, http_status=response.status_code)
        return read_body(response, max_bytes, lambda head: _check_kind(response.url, head, kinds))

    return _followed(url, policy, total_s, {}, read)


def peek(url: str, policy: Policy, *, first_bytes: int, total_s: float) -> Peek:
    """Return what lies behind a URL without fetching it whole; raises as `fetch` does, but not for a status.

    A ranged GET, because links that are signed for GET refuse HEAD.
    """

    def read(response: requests.Response) -> Peek:
        declared = declared_length(response)
        whole = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        return Peek(
            response.url,
            response.status_code,
            response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
            read_head(response, first_bytes),
            int(whole[1]) if whole else declared if response.status_code == 200 else None,
        )

    found = _followed(url, policy, total_s, {"Range": f"bytes=0-{first_bytes - 1}"}, read)
    if found.status in _NO_RANGES:
        found = _followed(url, policy, total_s, {}, read)
    return found


def _check_kind(url: str, head: bytes, kinds: Sequence[str]) -> None:
    if kinds and kind_of(head) not in kinds:
        accepted = f"a picture of the accepted kinds ({', '.join(kinds)})"
        msg = f"{shown_name(url)} is not {accepted}; it starts with {head[:8]!r}."
        raise InputError(msg)


def _followed(
    url: str, policy: Policy, total_s: float, headers: dict[str, str], read: Callable[[requests.Response], R]
) -> R:
    """Return what `read` makes of the answer at the end of the redirects, all of it within so many seconds."""
    if not is_own(url, policy):  # the exception of the pack's own address is for who begins there
        policy = replace(policy, own_address="")
    guard = Guard(policy)

    def follow(url: str) -> R:
        with PlainSession(guard) as session:
            for _ in range(MAX_REDIRECTS + 1):
                check_url(url, policy)
                hint = "" if session.route(url, policy) or not getproxies() else _PROXY_HINT
                with _get(session, url, headers, hint) as response:
                    if not response.is_redirect:
                        return read(response)
                    url = _redirected(url, response.headers["location"])
        msg = f"{shown_name(url)}: more than {MAX_REDIRECTS} redirects, the last one is not followed."
        raise InputError(msg)

    try:
        return within(total_s, lambda: follow(url), "fetch")
    except TimeoutError as error:
        guard.cut()
        msg = f"{shown_name(url)} is too slow: {error}."
        raise UnreachableError(msg) from None


def _redirected(url: str, location: str) -> str:
    with suppress(UnicodeError):  # http.client reads headers as Latin-1; an address that is not ASCII is UTF-8 today
        location = location.encode("latin-1").decode()
    try:
        target = urljoin(url, location)
        is_downgrade = urlsplit(url).scheme == "https" and urlsplit(target).scheme == "http"
    except ValueError:
        msg = f"{shown_name(url)} redirects to an address that cannot be read."
        raise InputError(msg) from None
    if is_downgrade:
        msg = f"{shown_name(url)} redirects to {shown_name(target)}, which is not encrypted: it is not followed."
        raise InputError(msg)
    return target


def _get(session: requests.Session, url: str, headers: dict[str, str], hint: str) -> requests.Response:
    try:
        return session.get(
            url,
            stream=True,
            allow_redirects=False,
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            headers={"Accept-Encoding": "identity", **headers},
        )
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
        msg = f"{shown_name(url)} is not fetched: its host cannot be one."
        raise InputError(msg) from None
    except requests.RequestException as error:
        # Not chained: the library's message holds the whole URL, and its query may be a signature.
        msg = f"{shown_name(url)} cannot be reached: {type(error).__name__}.{hint}"
        raise UnreachableError(msg) from None
