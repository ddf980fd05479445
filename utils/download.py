"""The only place that fetches a URL from outside: results, the inputs of the embedded service, and links on trial."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError as TransportError

from .addresses import Policy, check_address, is_own, shown_name
from .errors import InputError, UnreachableError
from .threads import within

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
MAX_REDIRECTS = 5
_CHUNK_BYTES = 65536
_NO_RANGES = (400, 416, 501)  # what servers answer to a range that they do not take
_CONTENT_RANGE = re.compile(r"bytes [0-9]+-[0-9]+/([0-9]+)")
R = TypeVar("R")


@dataclass(frozen=True)
class Peek:
    """What a server answers to someone without credentials: status, the first bytes, and what it says of the file."""

    url: str  # after redirects
    status: int
    media_type: str
    head: bytes
    size: int | None


class PlainSession(requests.Session):
    """A session without credentials of this machine, which leaves redirects to its caller.

    `allow_redirects=False` alone would still read their bodies, and a .netrc would log in.
    """

    def __init__(self) -> None:
        super().__init__()
        self.auth = lambda request: request  # somebody, so that .netrc is not asked
        self.headers["User-Agent"] = "portrait-cartoonize"  # many hosts refuse a library's own name

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def fetch(url: str, policy: Policy, *, max_bytes: int, total_s: float) -> bytes:
    """Return the bytes behind a URL.

    Redirects are followed by hand, each hop checked anew. Raises InputError for an address that is not allowed or a
    file over the limit, UnreachableError (naming the host, never the query) when it does not arrive whole in time.
    """

    def read(response: requests.Response) -> bytes:
        if response.status_code != 200:
            hint = " The link may have expired." if response.status_code in (403, 404, 410) else ""
            msg = f"{shown_name(response.url)} answered HTTP {response.status_code} instead of a picture.{hint}"
            raise UnreachableError(msg, http_status=response.status_code)
        return read_body(response, max_bytes)

    return _followed(url, policy, total_s, {}, read)


def peek(url: str, policy: Policy, *, first_bytes: int, total_s: float) -> Peek:
    """Return what lies behind a URL without fetching it whole; raises as `fetch` does, but not for a status.

    A ranged GET, because links that are signed for GET refuse HEAD.
    """

    def read(response: requests.Response) -> Peek:
        declared = _declared_length(response)
        whole = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        head = _first(response, first_bytes)
        if declared is not None and len(head) < min(declared, first_bytes):
            raise _cut_short(response, len(head), declared)
        return Peek(
            response.url,
            response.status_code,
            response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
            head,
            int(whole[1]) if whole else declared if response.status_code == 200 else None,
        )

    found = _followed(url, policy, total_s, {"Range": f"bytes=0-{first_bytes - 1}"}, read)
    if found.status in _NO_RANGES:
        found = _followed(url, policy, total_s, {}, read)
    return found


def _followed(
    url: str, policy: Policy, total_s: float, headers: dict[str, str], read: Callable[[requests.Response], R]
) -> R:
    """Return what `read` makes of the answer at the end of the redirects, all of it within so many seconds."""

    def follow(url: str) -> R:
        with PlainSession() as session:
            session.trust_env = not is_own(url, policy)  # no proxy for loopback
            for _ in range(MAX_REDIRECTS + 1):
                check_address(url, policy)
                with _get(session, url, headers) as response:
                    if not response.is_redirect:
                        return read(response)
                    url = _redirected(url, response.headers["location"])
                    session.cookies.clear()
        msg = f"{shown_name(url)}: more than {MAX_REDIRECTS} redirects, the last one is not followed."
        raise InputError(msg)

    try:
        return within(total_s, lambda: follow(url), "fetch")
    except TimeoutError as error:
        msg = f"{shown_name(url)} is too slow: {error}."
        raise UnreachableError(msg) from None


def read_body(response: requests.Response, max_bytes: int) -> bytes:
    """Return the decoded body of a streamed response; raises InputError past `max_bytes`, UnreachableError if cut."""
    length = _declared_length(response)
    too_large = f"{shown_name(response.url)} sends more than the {max_bytes} bytes that are accepted."
    if length is not None and length > max_bytes:
        raise InputError(too_large)
    body = _first(response, max_bytes + 1)
    if len(body) > max_bytes:
        raise InputError(too_large)
    if length is not None and len(body) != length:
        raise _cut_short(response, len(body), length)
    return body


def _declared_length(response: requests.Response) -> int | None:
    """Return the length that a response declares, None if it is that of an encoded body, or no number."""
    declared = response.headers.get("Content-Length", "")
    is_plain = response.headers.get("Content-Encoding", "identity") == "identity"
    return int(declared) if is_plain and declared.isascii() and declared.isdigit() else None


def _cut_short(response: requests.Response, arrived: int, declared: int) -> UnreachableError:
    return UnreachableError(f"{shown_name(response.url)} stopped in the middle: {arrived} of {declared} bytes arrived.")


def _first(response: requests.Response, most_bytes: int) -> bytes:
    """Return the decoded body of a streamed response, at most so many bytes of it."""
    body = bytearray()
    try:
        for chunk in response.raw.stream(min(_CHUNK_BYTES, most_bytes), decode_content=True):
            body += chunk
            if len(body) >= most_bytes:
                break
    except (requests.RequestException, TransportError, OSError) as error:
        msg = f"{shown_name(response.url)} stopped in the middle: {type(error).__name__} after {len(body)} bytes."
        raise UnreachableError(msg) from None
    del body[most_bytes:]
    return bytes(body)


def _redirected(url: str, location: str) -> str:
    with suppress(UnicodeError):  # http.client reads headers as Latin-1; an address that is not ASCII is UTF-8 today
        location = location.encode("latin-1").decode()
    try:
        return urljoin(url, location)
    except ValueError:
        msg = f"{shown_name(url)} redirects to an address that cannot be read."
        raise InputError(msg) from None


def _get(session: requests.Session, url: str, headers: dict[str, str]) -> requests.Response:
    try:
        return session.get(
            url,
            stream=True,
            allow_redirects=False,
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            headers={"Accept-Encoding": "identity", **headers},
        )
    except requests.RequestException as error:
        # Not chained: the library's message holds the whole URL, and its query may be a signature.
        msg = f"{shown_name(url)} cannot be reached: {type(error).__name__}."
        raise UnreachableError(msg) from None
