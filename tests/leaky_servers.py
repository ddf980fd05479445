"""Servers on loopback that repeat the keys they know in all that they say, and keep all that arrives.

One speaks the documented API, the others take uploads, serve pictures, are a bucket, a proxy, or a stranger, to whom
nothing but pictures and links may come.
"""

from __future__ import annotations

import itertools
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import canary
from scripted_service import png

PATIENCE_S = 10.0  # for what happens at once; only a broken test waits that long


@dataclass(frozen=True)
class Asked:
    """A request that arrived, header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def without(self, *own: str) -> bytes:
        """All of it, but for these headers, the key in its "address", and the field "key" of its "form"."""
        headers = [f"{name}: {value}" for name, value in self.headers.items() if name not in own]
        path = self.path.replace(canary.ADDRESS_KEY, "") if "address" in own else self.path
        body = re.sub(rb'(name="key"\r\n\r\n)[^\r]*', rb"\1", self.body) if "form" in own else self.body
        return "\n".join([f"{self.method} {path}", *headers, ""]).encode("latin-1", "replace") + body


@dataclass(frozen=True)
class Answer:
    """What a server says."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


RESET = Answer(-1)  # the connection breaks
HALF = -2  # a status: half of the body, then the connection ends
Respond = Callable[[Asked], Answer]


def as_json(value: object, status: int = 200, **headers: str) -> Answer:
    """A JSON answer; header names have underscores for hyphens."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})


class LeakyServer:
    """Answers as `respond` says; `own` is where its own keys may come: headers, its "address", its "form"."""

    def __init__(self, name: str, *own: str, keys: tuple[str, ...] = ()) -> None:
        self.name = name
        self.asked: list[Asked] = []
        self.files: dict[str, bytes] = {}  # what was uploaded, by path
        self._keys = canary.repeated(*keys)
        self.repeats = self._keys
        self.released = threading.Event()  # what stands still goes on
        self._own = own
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.asked, self.files, self.repeats = [], {}, self._keys
        self.respond: Respond = self.fine
        self.released.clear()

    def knows(self, text: str) -> None:
        """Repeat this, too, always."""
        self._keys += f" {text}"

    def fine(self, asked: Asked) -> Answer:
        """What it says when all is well."""
        return Answer(404, self.repeats.encode())

    def received(self) -> list[bytes]:
        """All that arrived, without what is meant for it."""
        return [asked.without(*self._own) for asked in self.asked]

    def stall(self, asked: Asked) -> Answer:
        """Say nothing until the run is over."""
        self.released.wait(PATIENCE_S)
        return RESET

    @contextmanager
    def running(self) -> Iterator[LeakyServer]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self._http.shutdown()
            self._http.server_close()
            thread.join()

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # `self` is the handler's below
        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked = Asked(self.command, self.path, {n.lower(): v for n, v in self.headers.items()}, body)
                server.asked.append(asked)
                with suppress(ConnectionError):  # nobody waits for it any more
                    self._say(server.respond(asked))

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

            def _say(self, answer: Answer) -> None:
                if answer is RESET:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    socket.close(self.connection.detach())
                    return
                is_half = answer.status == HALF
                self.send_response(200 if is_half else answer.status, "It is " + re.sub(r"[^ -~]", "?", server.repeats))
                repeats = {"X-You-Sent": quote(server.repeats), "Set-Cookie": f"sent={quote(server.repeats)}"}
                for name, value in {**repeats, "Content-Length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body[: len(answer.body) // 2] if is_half else answer.body)

            def log_message(self, format: str, *args: object) -> None:
                return

        return Handler


class LeakyService(LeakyServer):
    """The documented API: `on_create` and `on_result` answer the two calls; its results lie at `pictures`."""

    def __init__(self, pictures: LeakyServer) -> None:
        self._pictures = pictures
        self._numbers = itertools.count(1)
        authorization = canary.basic(canary.APP_KEY, canary.APP_SECRET)
        super().__init__("service", "authorization", "address", keys=(canary.APP_KEY, canary.APP_SECRET))
        self.knows(f"Authorization: {authorization}, that is {authorization[6:]}")

    def forget(self) -> None:
        """Begin anew."""
        super().forget()
        self.forget_answers()

    def forget_answers(self) -> None:
        """Accept submissions, and finish tasks of one picture."""
        self.on_create: Respond = lambda asked: self.created(f"task-{next(self._numbers)}")
        self.on_result: Respond = lambda asked: self.told("3", self.picture())

    def fine(self, asked: Asked) -> Answer:
        """Which call it is."""
        return self.on_create(asked) if asked.method == "POST" else self.on_result(asked)

    def created(self, task_id: str) -> Answer:
        """It accepts a submission."""
        return as_json({"code": 0, "msg": self.repeats, "data": {"task_id": task_id, "for": self.repeats}})

    def told(self, status: str, *images: dict[str, str], wait_time: str = "0") -> Answer:
        """It tells about a task."""
        data = {"status": status, "wait_time": wait_time, "list": list(images), "for": self.repeats}
        return as_json({"code": 0, "msg": self.repeats, "data": data})

    def picture(self, name: str = "fine.png", url: str = "") -> dict[str, str]:
        """A finished picture, with the keys in the path and in the query of its link."""
        keys = quote(f"{canary.APP_KEY}:{canary.APP_SECRET}", safe="")
        base = f"{url or self._pictures.url}/{canary.APP_KEY}/{keys}"
        return {"image_result": f"{base}/{name}?key={keys}#{keys}", "status": "3", "reason": self.repeats}

    def failure(self) -> dict[str, str]:
        """A picture without a result, with the keys in the reason; some of it beyond what is kept of a reason."""
        return {"image_result": "", "status": "4", "reason": f"no face; {self.repeats} {'.' * 480} {self.repeats}"}

    def finished(self, status: str, *pictures: str) -> Answer:
        """It tells of a task with pictures, of which those that are called "failed" are."""
        return self.told(status, *(self.failure() if name == "failed" else self.picture() for name in pictures))

    def refuses(self, status: int, **headers: str) -> Answer:
        """An error in the documented shape."""
        return as_json({"code": 40000 + status, "msg": f"No: {self.repeats}", "data": None}, status, **headers)


class PictureServer(LeakyServer):
    """Serves a picture under every name, but for some that say what goes wrong."""

    def __init__(self) -> None:
        super().__init__("pictures")

    def fine(self, asked: Asked) -> Answer:
        """The picture, or what its name says."""
        name = asked.path.partition("?")[0].rpartition("/")[2]
        keys = canary.repeated(canary.APP_KEY, canary.APP_SECRET)
        answers = {
            "gone.png": Answer(410, keys.encode()),
            "page.png": Answer(200, f"<html>{keys}".encode(), {"Content-Type": "text/html"}),
            "key.png": Answer(200, canary.APP_SECRET.encode()),
            "packed.png": Answer(200, png(), {"Content-Encoding": f"br, {canary.APP_KEY}"}),
            "half.png": Answer(HALF, png()),
            "damaged.png": Answer(200, canary.png_with(b"tEXt", b"key\0" + keys.encode())[:-40]),
            "reset.png": RESET,
        }
        return answers.get(name, Answer(200, png(), {"Content-Type": "image/png"}))


class UploadServer(LeakyServer):
    """Takes PUT and POST of a form, serves what it got under a link, and forgets it when it is told to."""

    def fine(self, asked: Asked) -> Answer:
        """As its method says."""
        if asked.method in ("GET", "HEAD"):
            file = self.files.get(_link_of(asked))
            if file is None:
                return Answer(404, self.repeats.encode())
            return Answer(200, file, {"Content-Type": "image/png"})
        if asked.method == "DELETE":
            self.files.pop(_link_of(asked), None)
            return Answer(200, self.repeats.encode())
        path = self.keep(asked)
        answer = {"url": self.url + path, "delete_url": self.url + path, "you sent": self.repeats}
        return as_json(answer, ETag='"1"')

    def keep(self, asked: Asked) -> str:
        """Keep what was uploaded, and return the path of its link."""
        path = f"/pictures/{len(self.files)}.png" if asked.method == "POST" else _link_of(asked)
        start = asked.body.find(b"\x89PNG")
        end = asked.body.rfind(b"\r\n--") if asked.method == "POST" else len(asked.body)
        self.files[path] = asked.body[start:end]
        return path


def _link_of(asked: Asked) -> str:
    """The path under which a picture is seen: not the one where it was put, which may have a key in it."""
    return f"/pictures/{asked.path.partition('?')[0].rpartition('/')[2]}"


class Servers:
    """All of them; `everywhere` are those that must not see a key of somebody else."""

    def __init__(self) -> None:
        self.pictures = PictureServer()
        self.service = LeakyService(self.pictures)
        self.dav = UploadServer("dav", "authorization", "address", keys=(canary.PASSWORD,))
        pair = canary.basic("studio", canary.PASSWORD)
        self.dav.knows(f"Authorization: {pair}, that is {pair[6:]}")
        self.album = UploadServer("album", "x-api-key", "form", keys=(canary.HEADER_KEY, canary.FORM_KEY))
        self.bucket = UploadServer("bucket", keys=(canary.BUCKET_SECRET,))
        self.proxy = PictureServer()
        self.proxy.name, self.proxy._own = "proxy", ("proxy-authorization",)
        self.stranger = LeakyServer("stranger")
        self.everywhere = (
            self.service, self.pictures, self.dav, self.album, self.bucket, self.proxy, self.stranger,
        )  # fmt: skip
        self._configurations: set[bytes] = set()

    def forget(self) -> None:
        """Begin anew."""
        for server in self.everywhere:
            server.forget()

    def named(self, name: str) -> LeakyServer:
        """One of them."""
        return next(server for server in self.everywhere if server.name == name)

    def is_new(self, configuration: bytes) -> bool:
        """Whether no run has ended with such a file before."""
        before = len(self._configurations)
        self._configurations.add(configuration)
        return len(self._configurations) > before

    @contextmanager
    def running(self) -> Iterator[Servers]:
        """Serve until the block ends."""
        with ExitStack() as stack:
            for server in self.everywhere:
                stack.enter_context(server.running())
            yield self

    def configuration(self, *more: str, profile: str = "", address: str = "v3") -> str:
        """A config.toml with every kind of key: `more` are further lines, `profile` is for the profile "studio".

        `address` is the beginning of the paths of the service and of the host "dav".
        """
        text = json.dumps  # TOML writes strings as JSON does
        service, dav = f"{self.service.url}/{address}", f"{self.dav.url}/{address}"
        return "\n".join([
            'default_profile = "studio"',
            "[profiles.studio]",
            f"create_url = {text(f'{service}/batch')}",
            f"result_url = {text(f'{service}/result/{{task_id}}')}",
            f"app_key = {text(canary.APP_KEY)}",
            f"app_secret = {text(canary.APP_SECRET)}",
            'host = "dav"\nallow_http = true\nallow_hosts = ["127.0.0.1"]\n',
            profile or "check_links = false",
            "[profiles.unready]",
            f"app_key = {text(canary.APP_KEY)}",
            "[hosts.dav]",
            'kind = "http"\nuser = "studio"\nallow_http = true\npublic = false\ndelete_url = "{upload_url}"',
            f"password = {text(canary.PASSWORD, ensure_ascii=False)}",
            f"url = {text(f'{dav}/{{name}}')}",
            'link = "{json:/url}"',
            "[hosts.album]",
            'kind = "http"\nmethod = "POST"\nallow_http = true\npublic = false\ndelete_url = "{json:/delete_url}"',
            f"url = {text(f'{self.album.url}/1/upload')}",
            f"headers = {{ X-Api-Key = {text(canary.HEADER_KEY)} }}",
            f"fields = {{ key = {text(canary.FORM_KEY)} }}",
            'link = "{json:/url}"',
            "[hosts.bucket]",
            'kind = "s3"\nbucket = "faces"\nregion = "auto"\naccess_key = "AKIDforTests0"\nallow_http = true',
            f"endpoint = {text(self.bucket.url)}",
            f"secret_key = {text(canary.BUCKET_SECRET)}",
            f'[hosts.comfyui]\nallow_http = true\npublic_url = "{self.pictures.url}"',
            *more,
        ])  # fmt: skip
