"""A real HTTP server that speaks the documented API and does what a test tells it; counts what it is asked.

A result's colour is the number in the name of its input link ("https://images.test/17.png" gives 17), so that tests
see which picture is whose.
"""

from __future__ import annotations

import base64
import io
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

APP_KEY, APP_SECRET = "key-for-tests", "secret-for-tests"


def png(width: int = 300, height: int = 260, value: int = 90) -> bytes:
    """A plain picture as PNG."""
    stream = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def profile_at(create_url: str, result_url: str) -> dict[str, str]:
    """The environment that makes a service on loopback the default profile."""
    return {
        "CARTOONIZE_CREATE_URL": create_url,
        "CARTOONIZE_RESULT_URL": result_url,
        "CARTOONIZE_APP_KEY": APP_KEY,
        "CARTOONIZE_APP_SECRET": APP_SECRET,
        "CARTOONIZE_ALLOW_HTTP": "1",
        "CARTOONIZE_ALLOW_HOSTS": "127.0.0.1",
        "CARTOONIZE_CHECK_LINKS": "0",  # the links of most tests lead nowhere
    }


class ScriptedService:
    """Finishes every task `task_s` seconds after it was created; `sizes` are those of the results.

    `failed` holds the reasons of pictures that have no result, by task id and index.
    """

    def __init__(self, task_s: float = 0.0, sizes: list[tuple[int, int]] | None = None) -> None:
        self.task_s = task_s
        self.sizes = sizes or [(300, 260)]
        self.file: bytes | None = None  # served for every result instead of a plain picture of its size
        self.failed: dict[tuple[str, int], str] = {}
        self.listed: int | None = None  # results in the list, if not one for each image
        self.submissions: list[dict[str, object]] = []
        self.polls = 0
        self.downloads = 0
        self._created: dict[str, float] = {}
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        """What makes this service the default profile."""
        hosts = {"CARTOONIZE_HOST": "local", "CARTOONIZE_PUBLIC_URL": "http://127.0.0.1:9"}
        return profile_at(f"{self.url}/batch", f"{self.url}/result/{{task_id}}") | hosts

    @contextmanager
    def running(self) -> Iterator[ScriptedService]:
        """Serve until the block ends."""
        self._thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()

    def create(self, body: dict[str, object]) -> dict[str, object]:
        """Accept a task."""
        with self._lock:
            self.submissions.append(body)
            task_id = f"task-{len(self.submissions)}"
        self._created[task_id] = time.monotonic()
        return {"task_id": task_id}

    def result(self, task_id: str) -> dict[str, object]:
        """Tell a task's state; numbers are strings, as documented."""
        self.polls += 1
        left_s = self._created[task_id] + self.task_s - time.monotonic()
        if left_s > 0:
            return {"status": "2", "wait_time": f"{left_s:.2f}", "list": None}
        results = [self._result(task_id, index) for index in range(len(self.links(task_id)))]
        if self.listed is not None:
            results = (results * 2)[: self.listed]
        return {"status": "3", "wait_time": "0", "list": results}

    def links(self, task_id: str) -> list[str]:
        """The links that a task was created with."""
        return self.submissions[int(task_id.rpartition("-")[2]) - 1]["images"]  # type: ignore[return-value]

    def _result(self, task_id: str, index: int) -> dict[str, str]:
        if (task_id, index) in self.failed:
            return {"image_result": "", "status": "4", "reason": self.failed[task_id, index]}
        url = f"{self.url}/file/{task_id}/{index}.png?signature=private"
        return {"image_result": url, "status": "3", "reason": ""}

    def _picture(self, task_id: str, index: int) -> bytes:
        self.downloads += 1
        number = re.search(r"/(\d{1,3})\.png", self.links(task_id)[index])
        width, height = self.sizes[index % len(self.sizes)]
        return self.file or png(width, height, int(number[1]) if number else 90)

    def _handler(service) -> type[BaseHTTPRequestHandler]:  # `self` is the handler's below
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self._authorized():
                    self._answer({"code": 0, "msg": "", "data": service.create(body)})

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path.startswith("/file/"):
                    _, _, task_id, name = path.split("/")
                    self._send(200, "image/png", service._picture(task_id, int(name.removesuffix(".png"))))
                elif self._authorized():
                    self._answer({"code": 0, "msg": "", "data": service.result(path.rpartition("/")[2])})

            def _authorized(self) -> bool:
                expected = "Basic " + base64.b64encode(f"{APP_KEY}:{APP_SECRET}".encode()).decode()
                if self.headers.get("Authorization") == expected:
                    return True
                self._send(401, "application/json", b'{"code": 401, "msg": "wrong key pair"}')
                return False

            def _answer(self, data: object) -> None:
                self._send(200, "application/json", json.dumps(data).encode())

            def _send(self, status: int, media_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return

        return Handler
