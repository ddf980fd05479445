"""The only place that fetches a URL from outside: result pictures, and the inputs of the embedded service."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError as TransportError

from .errors import InputError, UnreachableError
from .redaction import redact
from .threads import within

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
MAX_REDIRECTS = 5
_CHUNK_BYTES = 65536


@dataclass(frozen=True)
class Policy:
    """Which addresses may be fetched: public https ones, and what the operator or the pack itself allows."""

    allow_http: bool = False
    allow_hosts: tuple[str, ...] = ()
    own_address: str = ""  # of the embedded service, "http://127.0.0.1:8123": the only loopback exception


class PlainSession(requests.Session):
    """A session that leaves redirects to its caller: `allow_redirects=False` alone would still read their bodies."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def fetch(url: str, policy: Policy, *, max_bytes: int, total_s: float) -> bytes:
    """Return the bytes behind a URL.

    Redirects are followed by hand, each hop checked anew. Raises InputError for an address that is not allowed or a
    file over the limit, UnreachableError (naming the host, never the query) when it does not arrive whole in time.
    """
    try:
        return within(total_s, lambda: _fetch(url, policy, max_bytes), "fetch")
    except TimeoutError as error:
        msg = f"{_name(url)} is too slow: {error}."
        raise UnreachableError(msg) from None


def _fetch(url: str, policy: Policy, max_bytes: int) -> bytes:
    with PlainSession() as session:
        session.trust_env = not _is_own(url, policy)  # no proxy for loopback
        for _ in range(MAX_REDIRECTS + 1):
            check_address(url, policy)
            with _get(session, url) as response:
                if response.is_redirect:
                    url = _redirected(url, response.headers["location"])
                    session.cookies.clear()
                    continue
                if response.status_code != 200:
                    hint = " The link may have expired." if response.status_code in (403, 404, 410) else ""
                    msg = f"{_name(url)} answered HTTP {response.status_code} instead of a picture.{hint}"
                    raise UnreachableError(msg, http_status=response.status_code)
                return read_body(response, max_bytes)
    msg = f"{_name(url)}: more than {MAX_REDIRECTS} redirects, the last one is not followed."
    raise InputError(msg)


def check_address(url: str, policy: Policy) -> None:
    """Raise InputError unless the policy allows the URL; resolves the host and looks at every address it has."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        msg = f"{_name(url)} is not fetched: its host or port cannot be read."
        raise InputError(msg) from None
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
        msg = f"{_name(url)} is not fetched: only http(s) addresses without user name or password are."
        raise InputError(msg)
    if _is_own(url, policy) or host in policy.allow_hosts:
        return
    if parts.scheme == "http" and not policy.allow_http:
        msg = f"{_name(url)} is not fetched: it is not encrypted. Allow it with CARTOONIZE_ALLOW_HTTP=1."
        raise InputError(msg)
    for address in _resolve(host, port or (443 if parts.scheme == "https" else 80)):
        if not is_public(address):
            msg = f"{host} is not fetched: {address} is a private address. Allow it with CARTOONIZE_ALLOW_HOSTS={host}."
            raise InputError(msg)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet; mapped and NAT64 forms are judged by what they hold."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped or ip in ipaddress.ip_network("64:ff9b::/96"):
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip.sixtofour or ip.teredo or ip in ipaddress.ip_network("::/96"):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def read_body(response: requests.Response, max_bytes: int) -> bytes:
    """Return the decoded body of a streamed response; raises InputError past `max_bytes`, UnreachableError if cut."""
    declared = response.headers.get("Content-Length", "")
    is_plain = response.headers.get("Content-Encoding", "identity") == "identity"
    length = int(declared) if is_plain and declared.isascii() and declared.isdigit() else None
    too_large = f"{_name(response.url)} sends more than the {max_bytes} bytes that are accepted."
    if length is not None and length > max_bytes:
        raise InputError(too_large)
    body = bytearray()
    try:
        for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > max_bytes:
                raise InputError(too_large)
    except (requests.RequestException, TransportError, OSError) as error:
        msg = f"{_name(response.url)} stopped in the middle: {type(error).__name__} after {len(body)} bytes."
        raise UnreachableError(msg) from None
    if length is not None and len(body) != length:
        msg = f"{_name(response.url)} stopped in the middle: {len(body)} of {length} bytes arrived."
        raise UnreachableError(msg)
    return bytes(body)


def _redirected(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        msg = f"{_name(url)} redirects to an address that cannot be read."
        raise InputError(msg) from None


def _get(session: requests.Session, url: str) -> requests.Response:
    try:
        return session.get(
            url,
            stream=True,
            allow_redirects=False,
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            headers={"Accept-Encoding": "identity"},
        )
    except requests.RequestException as error:
        # Not chained: the library's message holds the whole URL, and its query may be a signature.
        msg = f"{_name(url)} cannot be reached: {type(error).__name__}."
        raise UnreachableError(msg) from None


def _resolve(host: str, port: int) -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        msg = f"{host} cannot be found: {error}."
        raise UnreachableError(msg) from error


def _is_own(url: str, policy: Policy) -> bool:
    return bool(policy.own_address) and url.startswith(policy.own_address + "/")


def _name(url: str) -> str:
    """Return the URL for people: without its query, cut where it gets long."""
    text = redact(url.encode("utf-8", "replace").decode()).removesuffix("?…")
    return text if len(text) <= 100 else text[:100] + "…"
