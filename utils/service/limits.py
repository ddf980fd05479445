"""How much of the service one address, one request and all together may take."""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..addresses import ip_of


@dataclass(frozen=True)
class ServiceLimits:
    """What is refused: more pictures in the queue, requests from one address, connections, or time than this."""

    max_queued_images: int = 1000
    requests_per_s: float = 20.0  # from one address, after a burst
    burst: int = 100
    max_connections: int = 256
    max_connections_each: int = 64  # from one address
    max_body_bytes: int = 400_000  # 20 links of the greatest length are 164,000
    head_s: float = 10.0  # from the connection to the end of the first request's headers
    body_s: float = 15.0
    idle_s: float = 30.0  # between two requests, their headers included
    request_s: float = 300.0  # the transfer of a picture included


# For the one process that has started it: its own key and nobody else's, so that only the memory is to be protected.
OWN_USE = ServiceLimits(
    max_queued_images=10_000, requests_per_s=math.inf, max_connections=1000, max_connections_each=1000
)


class Rate:
    """A token bucket for each source; of those that were not seen for long, nothing is kept."""

    def __init__(
        self,
        per_s: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
        most_addresses: int = 10_000,
    ) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._most = most_addresses
        self._left: dict[str, tuple[float, float]] = {}  # tokens and when they were counted; the longest unseen first

    def take(self, address: str) -> float:
        """Take one token and return 0, or how many seconds there is none."""
        if math.isinf(self._per_s):
            return 0.0
        origin, now = source(address), self._clock()
        tokens = self._tokens(origin, now)
        if tokens < 1:
            return (1 - tokens) / self._per_s
        self._left.pop(origin, None)
        self._left[origin] = (tokens - 1, now)
        while len(self._left) > self._most:
            del self._left[next(iter(self._left))]
        return 0.0

    def _tokens(self, origin: str, now: float) -> float:
        tokens, counted = self._left.get(origin, (float(self._burst), now))
        return min(float(self._burst), tokens + (now - counted) * self._per_s)


def source(address: str) -> str:
    """Return what counts as one with an address: itself, or its IPv6 network of 64 bits, given to one customer."""
    ip = ip_of(address)
    if ip is None:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network(f"{ip}/64", strict=False))
    return str(ip)
