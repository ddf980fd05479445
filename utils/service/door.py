"""Who gets in: the pace of an address, its key pair, and the name under which it asks."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from ..addresses import ip_of
from ..secret import Secret, key_pair
from .limits import Rate, ServiceLimits

_HOST = re.compile(
    r"(\[(?P<ip>[0-9A-Fa-f]*:[0-9A-Fa-f:.]{1,45})\]|(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,252}))(:(?P<port>[0-9]{1,5}))?"
)


@dataclass(frozen=True)
class Refusal:
    """Why somebody does not get in: the HTTP status, words, and how many seconds to wait."""

    status: int
    words: str
    wait_s: int = 0


class Door:
    """Knows the key pair as a digest only, and how often each address has asked."""

    def __init__(self, app_key: Secret, app_secret: Secret, limits: ServiceLimits, names: Iterable[str] = ()) -> None:
        self._digest = _digest(key_pair(app_key.reveal(), app_secret).encode())
        self._requests = Rate(limits.requests_per_s, limits.burst)
        own = socket.gethostname().lower().rstrip(".")
        self._names = {"localhost", own, f"{own.partition('.')[0]}.local", *(name.lower() for name in names)}

    def pace(self, address: str) -> Refusal | None:
        """Return why an address must wait, None if it need not; counts the request."""
        return _wait(self._requests.take(address), "too many requests from this address")

    def key_pair(self, authorization: str) -> Refusal | None:
        """Return what is wrong with an Authorization header, in a time that does not tell how much of it is right.

        Nobody is locked out for wrong ones: behind a proxy all have one address, and `pace` bounds the guesses.
        """
        scheme, _, pair = authorization.partition(" ")
        is_right = hmac.compare_digest(_digest(pair.strip().encode("utf-8", "surrogateescape")), self._digest)
        if is_right and scheme.lower() == "basic":
            return None
        return Refusal(401, "the key pair is missing or wrong")

    def host(self, header: str) -> Refusal | None:
        """Return what is wrong with a Host header: links are made with it, and a page of elsewhere may have sent it.

        An IP address cannot be anybody else's name (DNS rebinding); names must be those of this machine.
        """
        found = _HOST.fullmatch(header)
        if not found or int(found["port"] or 0) > 65535:
            return Refusal(400, "the Host header is not an address")
        name = (found["name"] or found["ip"]).rstrip(".").lower()
        if name in self._names or ip_of(name):
            return None
        return Refusal(
            421, f"this service does not go by the name {name[:100]!r}; if it does: serve --name {name[:100]}"
        )


def _wait(seconds: float, words: str) -> Refusal | None:
    whole_s = math.ceil(seconds)
    return Refusal(429, f"{words}; wait {whole_s} s", whole_s) if seconds else None


def _digest(pair: bytes) -> bytes:
    return hashlib.sha256(pair).digest()
