"""Which addresses may be fetched: their spelling, and every IP address that their names lead to."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .errors import InputError, UnreachableError
from .redaction import redact

SocketAddress = tuple[int, Any]  # family, and what `socket.connect` takes
ENVIRONMENT = "environment"  # as a proxy: whatever HTTPS_PROXY and the like say
# urllib.parse drops some of these in silence: what is read is not what is sent
_HIDDEN = re.compile(r"[\x00-\x1f\x7f]")
# What the internet does not route to somebody's server: IANA's special-purpose registries (RFC 6890), and a public
# address that leads to the host of a virtual machine (Azure). Written out, because `is_global` differs between Pythons.
_PRIVATE_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
            "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
        ),
    )
)  # fmt: skip
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_PRIVATE_6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Policy:
    """Which addresses may be fetched: public https ones, and what the operator or the pack itself allows.

    `proxy` is empty for none, ENVIRONMENT, or an address: a proxy resolves names by itself.
    """

    allow_http: bool = False
    allow_hosts: tuple[str, ...] = ()
    own_address: str = ""  # of the embedded service, "http://127.0.0.1:8123": the only loopback exception
    proxy: str = field(default="", repr=False)

    def allows_host(self, host: str) -> bool:
        """Whether the operator has allowed a host by its name, whatever addresses it has."""
        return _canonical(host) in map(_canonical, self.allow_hosts)

    def is_own(self, host: str, port: int) -> bool:
        """Whether a host and port are those of the embedded service."""
        own = urlsplit(self.own_address)
        return bool(self.own_address) and (own.hostname, own.port) == (host, port)


def check_url(url: str, policy: Policy) -> None:
    """Raise InputError unless the policy allows a URL as it is spelled; nothing is resolved."""
    try:
        parts = urlsplit(url)
        host, port, userinfo = parts.hostname or "", parts.port, parts.username or parts.password
    except ValueError:
        msg = f"{shown_name(url)} is not fetched: its host or port cannot be read."
        raise InputError(msg) from None
    problem = ""
    if parts.scheme not in ("http", "https") or not host or userinfo or "@" in parts.netloc:
        problem = "only http(s) addresses without user name or password are"
    elif _HIDDEN.search(url) or re.search(r"[\\\s%]", parts.netloc) or port == 0:
        problem = "its host or port cannot be read"
    elif parts.scheme == "http" and not policy.allow_http and not is_own(url, policy):
        problem = "it is not encrypted. Allow it with CARTOONIZE_ALLOW_HTTP=1"
    if problem:
        msg = f"{shown_name(url)} is not fetched: {problem}."
        raise InputError(msg)


def addresses_of(host: str, port: int, policy: Policy) -> list[SocketAddress]:
    """Return what a name leads to, resolved once; raises InputError if any of it is private, unless allowed.

    Raises UnreachableError for a name that leads nowhere.
    """
    found = _resolved(host, port)
    if not policy.is_own(host, port) and not policy.allows_host(host):
        for _, (address, *_rest) in found:
            if not is_public(str(address)):
                allow = f"Allow it with CARTOONIZE_ALLOW_HOSTS={host}."
                msg = f"{host} is not fetched: {address} is a private address. {allow}"
                raise InputError(msg)
    return found


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet; mapped and NAT64 forms are judged by what they hold."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not any(ip in network for network in _PRIVATE_4)
    if ip.ipv4_mapped or ip in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and ip in _GLOBAL_6 and not any(ip in network for network in _PRIVATE_6)


def ip_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that a text is, its zone left out, None if it is another name."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def is_own(url: str, policy: Policy) -> bool:
    """Whether the URL is one of the embedded service."""
    return bool(policy.own_address) and url.startswith(policy.own_address + "/")


def shown_name(url: str) -> str:
    """Return the URL for people: without its query, cut where it gets long."""
    text = redact(url.encode("utf-8", "replace").decode()).removesuffix("?…")
    return text if len(text) <= 100 else text[:100] + "…"


def _resolved(host: str, port: int) -> list[SocketAddress]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        msg = f"{host} cannot be found: {error}."
        raise UnreachableError(msg, is_refusal=True) from None
    return [(family, address) for family, _, _, _, address in found]


def _canonical(host: str) -> str:
    """Return the one spelling of a host name: as requests sends it, in lower case and ASCII."""
    host = host.strip().strip("[]").rstrip(".").lower()
    if host.isascii():
        return host
    import idna  # a package of requests

    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        return host
