"""HTTP byte by byte: what no client library lets a test send, and exactly what comes back."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from serve_process import KEYS

HOST = b"Host: 127.0.0.1\r\n"
AUTHORIZATION = b"Authorization: Basic " + base64.b64encode(":".join(KEYS).encode()) + b"\r\n"
END = b"\r\n"


def get(target: bytes, *headers: bytes) -> bytes:
    """A GET with these header lines after Host."""
    return b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"".join(headers) + END


def post(target: bytes, body: bytes, *headers: bytes) -> bytes:
    """A POST with these header lines after Host and Content-Length."""
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST " + target + b" HTTP/1.1\r\n" + HOST + length + b"".join(headers) + END + body


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def data(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def check_refusal(status: int, headers: Any, answer: Any) -> str:
    """Assert that a refusal has the documented shape, and return its message."""
    assert answer == {"code": status, "msg": answer["msg"], "data": None}
    assert isinstance(answer["msg"], str)
    assert answer["msg"]
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    if status == 429 or (status == 503 and "Retry-After" in headers):
        assert headers["Retry-After"].isdecimal()
        assert int(headers["Retry-After"]) >= 1
    return answer["msg"]


class Wire:
    """One connection, from an address of this machine, with little room for what was not read if that is wanted."""

    def __init__(self, base_url: str, source: str = "127.0.0.1", timeout_s: float = 10.0, room: int = 0) -> None:
        parts = urlsplit(base_url)
        self._socket = socket.socket()
        try:
            self._socket.settimeout(timeout_s)
            if room:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
            self._socket.bind((source, 0))
            self._socket.connect((parts.hostname, parts.port))
        except BaseException:
            self._socket.close()
            raise
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):  # half of a reply may be left in the file
            self._file.close()
        self._socket.close()

    def send(self, data: bytes) -> Wire:
        """Send as it is."""
        self._socket.sendall(data)
        return self

    def reply(self) -> Reply | None:
        """The next answer, None if the connection has ended instead."""
        try:
            line = self._file.readline()
            if not line:
                return None
            version, _, rest = line.partition(b" ")
            assert version.startswith(b"HTTP/"), line
            headers = http.client.parse_headers(self._file)
            status = int(rest[:3])
            return Reply(status, headers, b"" if status < 200 or status in (204, 304) else self._body(headers))
        except ConnectionError:
            return None

    def replies(self) -> list[Reply]:
        """All answers until the service closes the connection; raises TimeoutError if it does not."""
        return list(iter(self.reply, None))

    def read(self, count: int = -1) -> bytes:
        """So many bytes, or all until the connection ends, one way or the other."""
        data = b""
        with suppress(ConnectionError):
            while count < 0 or len(data) < count:
                part = self._file.read1(65536 if count < 0 else count - len(data))
                if not part:
                    break
                data += part
        return data

    def seconds_until_closed(self, drip: bytes = b"", every_s: float = 0.05, longest_s: float = 10.0) -> float:
        """How long the service keeps a connection on which nothing comes but, perhaps, drops."""
        start = time.monotonic()
        self._socket.settimeout(every_s)
        while time.monotonic() - start < longest_s:
            try:
                if drip:
                    self._socket.sendall(drip)
                if not self._socket.recv(65536):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            raise AssertionError(f"the connection is still open after {longest_s} s")
        return time.monotonic() - start

    def _body(self, headers: http.client.HTTPMessage) -> bytes:
        if headers["Transfer-Encoding"] == "chunked":
            data = b""
            while size := int(self._file.readline(), 16):
                data += self._file.read(size)
                self._file.readline()
            self._file.readline()
            return data
        length = headers["Content-Length"]
        return self._file.read() if length is None else self._file.read(int(length))
