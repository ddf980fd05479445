"""Which addresses may be fetched: their spelling, and every IP address that their names lead to."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from .errors import InputError, UnreachableError
from .redaction import redact


@dataclass(frozen=True)
class Policy:
    """Which addresses may be fetched: public https ones, and what the operator or the pack itself allows."""

    allow_http: bool = False
    allow_hosts: tuple[str, ...] = ()
    own_address: str = ""  # of the embedded service, "http://127.0.0.1:8123": the only loopback exception


def check_address(url: str, policy: Policy) -> None:
    """Raise InputError unless the policy allows the URL; resolves the host and looks at every address it has."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        msg = f"{shown_name(url)} is not fetched: its host or port cannot be read."
        raise InputError(msg) from None
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
        msg = f"{shown_name(url)} is not fetched: only http(s) addresses without user name or password are."
        raise InputError(msg)
    if is_own(url, policy) or host in policy.allow_hosts:
        return
    if parts.scheme == "http" and not policy.allow_http:
        msg = f"{shown_name(url)} is not fetched: it is not encrypted. Allow it with CARTOONIZE_ALLOW_HTTP=1."
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


def _resolve(host: str, port: int) -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        msg = f"{host} cannot be found: {error}."
        raise UnreachableError(msg) from error


def is_own(url: str, policy: Policy) -> bool:
    """Whether the URL is one of the embedded service."""
    return bool(policy.own_address) and url.startswith(policy.own_address + "/")


def shown_name(url: str) -> str:
    """Return the URL for people: without its query, cut where it gets long."""
    text = redact(url.encode("utf-8", "replace").decode()).removesuffix("?…")
    return text if len(text) <= 100 else text[:100] + "…"
