"""The connections of the service: counted, and ended when they take too long, whatever they (do not) send.

aiohttp waits for the headers of a request for ever; so a handful of slow clients could take every connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from .limits import ServiceLimits, source

_BODY = b'{"code": 503, "msg": "nothing was accepted: too many connections", "data": null}'
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)
_PATIENCE_S = 5.0  # for a connection that was ended in good order


class Sockets:
    """Makes the protocols of a listening socket, each with a deadline that the handlers move."""

    def __init__(self, inner: Callable[[], asyncio.Protocol], limits: ServiceLimits) -> None:
        self._inner = inner
        self._limits = limits
        self._deadlines: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}
        self._addresses: Counter[str] = Counter()

    def protocol(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return _Watched(self._inner(), self)

    def opened(self, transport: asyncio.Transport) -> None:
        """Count a connection, or end it if there are too many."""
        address = _address(transport)
        self._addresses[address] += 1
        is_full = len(self._deadlines) >= self._limits.max_connections
        if is_full or self._addresses[address] > self._limits.max_connections_each:
            transport.write(_FULL)
            transport.close()
        else:
            self.allow(transport, self._limits.head_s)

    def allow(self, transport: asyncio.BaseTransport | None, seconds: float) -> None:
        """Let a connection live for so many seconds from now on, unless it is allowed more by then."""
        if isinstance(transport, asyncio.Transport) and not transport.is_closing():
            self._forget(transport)
            self._deadlines[transport] = asyncio.get_running_loop().call_later(seconds, self._end, transport)

    def _end(self, transport: asyncio.Transport) -> None:
        """End a connection. Under `sendfile` asyncio must not be told to abort: it would keep the socket's number."""
        connection = transport.get_extra_info("socket")
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        loop = asyncio.get_running_loop()
        self._deadlines[transport] = loop.call_later(_PATIENCE_S, transport.abort)

    def abort_all(self) -> None:
        """End all connections at once: the service stops."""
        for transport in list(self._deadlines):
            if isinstance(transport, asyncio.Transport):
                transport.abort()

    def closed(self, transport: asyncio.Transport) -> None:
        """Forget a connection."""
        self._forget(transport)
        address = _address(transport)
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    def _forget(self, transport: asyncio.BaseTransport) -> None:
        if deadline := self._deadlines.pop(transport, None):
            deadline.cancel()


class _Watched(asyncio.Protocol):
    """aiohttp's protocol for one connection, and what becomes of the connection."""

    def __init__(self, inner: asyncio.Protocol, sockets: Sockets) -> None:
        self._inner = inner
        self._sockets = sockets
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._inner.connection_made(transport)
        if isinstance(transport, asyncio.Transport):
            self._sockets.opened(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if isinstance(self._transport, asyncio.Transport):
            self._sockets.closed(self._transport)
        self._inner.connection_lost(error)


def _address(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    return source(str(peer[0])) if peer else ""
