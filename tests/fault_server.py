"""A server of which every byte is scripted: it refuses, resets, stalls, drips, floods and lies, at three places.

A place (create, result, picture) has a port and a script of its own: a step for each request, and when the script is
over it is fine. A step is a row of acts. Bytes are sent as they stand, functions do what they are called; then the
connection is closed, unless an act kept it. What stands still or drips goes on when the test ends, and only then.
"""

from __future__ import annotations

import json
import re
import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from sample_outcomes import png
from scripted_service import profile_at

PICTURES = "@pictures@"  # stands in replies for the address of the picture place
GIGABYTE = 10**9
_ENOUGH = GIGABYTE // 20  # whoever has taken so much of it takes all of it
_GUARD_S = 10.0  # no socket and no wait lasts longer, whatever goes wrong
_TLS = b"\x16"  # how somebody begins who does not speak HTTP but TLS

Act = bytes | Callable[["Wire"], None]
Step = tuple[Act, ...]


@dataclass
class Wire:
    """One connection, at one request."""

    connection: socket.socket
    place: Place
    request: bytes = b""
    is_kept: bool = True

    def send(self, data: bytes) -> None:
        """Send all of it; what the other side took is counted, also when it is not all."""
        view = memoryview(data)
        while view:
            count = self.connection.send(view)
            self.place.sent += count
            view = view[count:]


# --- acts -------------------------------------------------------------------------------------------------------------


def refuse(wire: Wire) -> None:
    """In REFUSE only."""
    raise AssertionError


REFUSE: Step = (refuse,)  # at the beginning of a script: nobody listens until the client has waited once


def reset(wire: Wire) -> None:
    """End the connection with RST instead of FIN."""
    wire.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def stall(wire: Wire) -> None:
    """Say nothing until the test ends; what follows in the step is said then."""
    wire.place.server.ended.wait(_GUARD_S)


def drip(part: bytes) -> Act:
    """Send this again and again, a hundred times a second, until the test ends."""

    def act(wire: Wire) -> None:
        while not wire.place.server.ended.wait(0.01):
            wire.send(part)

    return act


def flood(part: bytes) -> Act:
    """Send this again and again as fast as it is taken, towards a gigabyte; never held in memory."""

    def act(wire: Wire) -> None:
        for _ in range(_ENOUGH // len(part)):
            wire.send(part)

    return act


def keep(wire: Wire) -> None:
    """Leave the connection open for the next request."""
    wire.is_kept = True


def reply(body: bytes | str, status: str = "200 OK", *headers: str, media_type: str = "application/json") -> Step:
    """An answer as it should be, after which the connection is kept."""

    def act(wire: Wire) -> None:
        pictures = wire.place.server.url("picture")
        data = body if isinstance(body, bytes) else body.replace(PICTURES, pictures).encode()
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {media_type}", f"Content-Length: {len(data)}", *headers, "", ""]
        wire.send("\r\n".join(lines).replace(PICTURES, pictures).encode("latin-1") + data)

    return (act, keep)


# --- what the places answer when all is well --------------------------------------------------------------------------


def state(status: object, *images: object, **more: object) -> str:
    """The text of an answer about a task."""
    return json.dumps({"code": 0, "msg": "", "data": {"status": status, "wait_time": "0", "list": images, **more}})


def image(number: int) -> dict[str, str]:
    """A finished picture in such an answer; its colour is its number."""
    return {"image_result": f"{PICTURES}/{number}.png?signature=private", "status": "3", "reason": ""}


def _fine(wire: Wire) -> Step:
    """A new task; the same one complete; a picture of the colour in its name."""
    server, name = wire.place.server, wire.place.name
    if name == "create":
        return reply(json.dumps({"code": 0, "msg": "", "data": {"task_id": f"task-{wire.place.asked}"}}))
    if name == "result":
        return reply(state("3", *map(image, range(1, server.images + 1))))
    (number,) = re.findall(rb"/(\d+)\.png", wire.request)
    return reply(png(int(number)), media_type="image/png")


# --- the server -------------------------------------------------------------------------------------------------------


@dataclass
class Place:
    """One port: its script, and what it was asked."""

    server: FaultServer
    name: str
    script: list[Step]
    listener: socket.socket = field(default_factory=socket.socket)
    is_open: bool = False
    asked: int = 0
    sent: int = 0  # bytes
    news: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)  # what a flood fills before it is read
        self.listener.bind(("127.0.0.1", 0))  # nobody listens yet: connections are refused
        self.open_unless_refusing()

    def open_unless_refusing(self) -> None:
        """Listen from now on, if the script does not begin with a refusal."""
        if self.script[:1] != [REFUSE]:
            self.listener.listen()
            self.is_open = True

    def step_for(self, wire: Wire) -> Step:
        """The acts for a request, which is counted; somebody who speaks TLS is told what nginx says."""
        if wire.request.startswith(_TLS):
            return (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",)
        with self.news:
            self.asked += 1
            self.news.notify_all()
            return self.script.pop(0) if self.script else _fine(wire)

    def wait_until_asked(self, times: int) -> int:
        """How often it was asked, once that is so often: a caller may have given up on a request under way."""
        with self.news:
            self.news.wait_for(lambda: self.asked >= times, _GUARD_S)
            return self.asked


class FaultServer:
    """The three places of one service; `tls` names one that is addressed as https, which none of them speaks."""

    def __init__(self, scripts: Mapping[str, Sequence[Step]], *, images: int = 1, tls: str = "") -> None:
        self.images = images
        self.ended = threading.Event()
        self.places = {name: Place(self, name, list(scripts.get(name, ()))) for name in ("create", "result", "picture")}
        self._tls = tls
        self._waker, self._woken = socket.socketpair()
        self._connections: list[tuple[socket.socket, threading.Thread]] = []
        self._thread = threading.Thread(target=self._accept)

    def url(self, name: str) -> str:
        """Where a place is."""
        scheme = "https" if name == self._tls else "http"
        return f"{scheme}://127.0.0.1:{self.places[name].listener.getsockname()[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """What makes this service the default profile."""
        return profile_at(f"{self.url('create')}/batch", f"{self.url('result')}/result/{{task_id}}")

    def wait_is_over(self) -> None:
        """Let time pass: each place that refuses does so once less."""
        for place in self.places.values():
            if not place.is_open:
                place.script.pop(0)
                place.open_unless_refusing()
        self._waker.send(b".")

    @contextmanager
    def running(self) -> Iterator[FaultServer]:
        """Serve until the block ends; then what stands still goes on, and every thread and socket ends."""
        self._thread.start()
        try:
            yield self
        finally:
            self.ended.set()
            self._waker.send(b".")
            self._thread.join()
            for connection, _ in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)  # no further request is waited for
            for _, thread in self._connections:
                thread.join()
            for open_socket in (self._waker, self._woken, *(place.listener for place in self.places.values())):
                open_socket.close()

    def _accept(self) -> None:
        while not self.ended.is_set():
            listeners = {place.listener: place for place in self.places.values() if place.is_open}
            for ready in select.select([*listeners, self._woken], [], [])[0]:
                if ready is self._woken:
                    self._woken.recv(64)
                    continue
                connection, _ = ready.accept()
                connection.settimeout(_GUARD_S)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                thread = threading.Thread(target=_serve, args=(Wire(connection, listeners[ready]),))
                self._connections.append((connection, thread))
                thread.start()


def _serve(wire: Wire) -> None:
    with wire.connection, suppress(OSError):
        while wire.is_kept and (request := _request(wire.connection)):
            wire.request, wire.is_kept = request, False
            for act in wire.place.step_for(wire):
                wire.send(act) if isinstance(act, bytes) else act(wire)


def _request(connection: socket.socket) -> bytes:
    """A request to the end of its body, the beginning of one in TLS, or nothing."""
    data = b""
    while part := connection.recv(65536):
        data += part
        head, end, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
        if data.startswith(_TLS) or (end and len(body) >= (int(length[1]) if length else 0)):
            return data
    return b""
