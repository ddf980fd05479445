"""Hosts that take uploads over HTTP: a real nginx, services of each style, and everything that they may do wrong."""

from __future__ import annotations

import base64
import io
import itertools
import json
import logging
import os
import re
import socket
import sqlite3
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

import nginx_dav
import numpy as np
import pytest
import requests
from cartoonize_pack.utils.cli import main
from cartoonize_pack.utils.config import load
from cartoonize_pack.utils.errors import CartoonizeError, ConfigurationError, UnreachableError
from cartoonize_pack.utils.hosting import Upload, exchange, new_name
from cartoonize_pack.utils.hosting.hosts import open_named
from cartoonize_pack.utils.hosting.http import HttpHost
from cartoonize_pack.utils.hosting.http_settings import HttpSettings
from cartoonize_pack.utils.images import encode_png, from_float
from nginx_dav import DavServer
from node_calls import IMAGE_TO_URL, POLL, SUBMIT, batch, execute
from PIL import Image
from scripted_service import ScriptedService
from stand_in_host import StandInHost

pytestmark = pytest.mark.usefixtures("host")
KEY = "a-key-for-tests"
RESET = 0  # a status: the connection breaks instead of an answer


@dataclass(frozen=True)
class Seen:
    """A request that arrived; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """Its fields, if it holds no file."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def parts(self) -> dict[str, tuple[bytes, str | None, str]]:
        """The parts of a multipart form: content, file name and type."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        return {
            str(part.get_param("name", header="content-disposition")): (
                bytes(part.get_payload(decode=True)),
                part.get_filename(),
                part.get_content_type(),
            )
            for part in message_from_bytes(head + self.body).walk()
            if not part.is_multipart()
        }


@dataclass(frozen=True)
class Answer:
    """What the server says."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(value: object, status: int = 200) -> Answer:
    """A JSON answer."""
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


class Api:
    """A server on loopback: takes note of what arrives, serves `files`, and answers as `respond` says."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.files: dict[str, bytes] = {}
        self.respond: Callable[[Seen], Answer] = lambda seen: Answer(404)
        self._numbers = itertools.count()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[Api]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()
            thread.join()

    def of(self, *methods: str) -> list[Seen]:
        """The requests of these methods."""
        return [seen for seen in self.seen if seen.method in methods]

    def keep(self, data: bytes) -> str:
        """Serve a file from now on, and return its path."""
        path = f"/i/{next(self._numbers)}.png"
        self.files[path] = data
        return path

    def says(self, *answers: Answer) -> None:
        """Give these answers one after the other, the last one again and again."""
        left = list(answers)
        self.respond = lambda seen: left.pop(0) if len(left) > 1 else left[0]

    def _handler(api) -> type[BaseHTTPRequestHandler]:  # `self` is the handler's below
        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen = Seen(self.command, self.path, headers, body)
                api.seen.append(seen)
                if seen.method == "GET":
                    file = api.files.get(self.path)
                    answer = Answer(404) if file is None else Answer(200, file, {"Content-Type": "image/png"})
                else:
                    answer = api.respond(seen)
                if answer.status == RESET:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    socket.close(self.connection.detach())
                    return
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):  # nobody reads to the end what is too much
                    self.wfile.write(answer.body)

            do_GET = do_PUT = do_POST = do_DELETE = handle_any

            def log_message(self, format: str, *args: object) -> None:
                return

        return Handler


@pytest.fixture
def api() -> Iterator[Api]:
    """A service that takes pictures."""
    with Api().running() as api:
        yield api


@pytest.fixture
def other() -> Iterator[Api]:
    """A server of somebody else."""
    with Api().running() as other:
        yield other


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between attempts; as many are made."""
    monkeypatch.setattr(exchange, "RETRY_WAITS_S", (0.0,) * len(exchange.RETRY_WAITS_S))


def toml(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(name)} = {toml(text)}" for name, text in value.items()) + " }"
    return json.dumps(value)


def describe(**hosts: dict[str, Any]) -> None:
    """Write the configuration of these hosts, with what all of them have here."""
    home = Path(os.environ["CARTOONIZE_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, table in hosts.items():
        whole = {"kind": "http", "allow_http": True, "public": False, **table}
        rows += [f"[hosts.{name}]", *(f"{key} = {toml(value)}" for key, value in whole.items() if value is not None)]
    (home / "config.toml").write_text("\n".join(rows))


def put_table(api: Api, **more: Any) -> dict[str, Any]:
    """A host that takes PUT, and says in JSON where the picture is."""
    return {"url": f"{api.url}/put/{{name}}", "link": "{json:/data/url}", "user": "studio", "password": KEY, **more}


def post_table(api: Api, **more: Any) -> dict[str, Any]:
    """A host in the style of ImgBB."""
    return {
        "url": f"{api.url}/1/upload",
        "method": "POST",
        "link": "{json:/data/url}",
        "file_field": "image",
        "fields": {"key": KEY, "expiration": "86400"},
        "delete_url": "{json:/data/delete_url}",
        **more,
    }


def table_of(method: str, api: Api, **more: Any) -> dict[str, Any]:
    """One of the two."""
    return (put_table if method == "PUT" else post_table)(api, **more)


def imgbb(api: Api) -> Callable[[Seen], Answer]:
    """What a service in the style of ImgBB answers."""

    def respond(seen: Seen) -> Answer:
        if seen.path.startswith("/delete/"):
            found = api.files.pop(seen.path.replace("/delete/", "/i/"), None)
            return Answer(404 if found is None else 200)
        data = seen.parts["image"][0] if seen.method == "POST" else seen.body
        path = api.keep(data)
        return as_json({"data": {"url": api.url + path, "delete_url": api.url + path.replace("/i/", "/delete/")}})

    return respond


def links_of(images: Any, host: str = "api", **inputs: Any) -> list[str]:
    """The links that Image to URL makes."""
    return execute(IMAGE_TO_URL, images=images, host=host, **inputs)[0].splitlines()


def noise(seed: int, count: int = 1) -> np.ndarray:
    """Pictures that no other seed has."""
    return np.random.default_rng(seed).random((count, 260, 300, 3), np.float32)


def file_of(picture: np.ndarray) -> bytes:
    """The file that a picture becomes."""
    return encode_png(from_float(picture[0]))


def fetched(link: str) -> bytes:
    """What a stranger gets."""
    answer = requests.get(link, timeout=60)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/png"
    return answer.content


def uploads(capsys: pytest.CaptureFixture[str]) -> int:
    """How many uploads this machine knows of."""
    capsys.readouterr()
    assert main(["hosts", "--json"]) == 0
    return sum(row["uploads"] for row in json.loads(capsys.readouterr().out))


def age(share: float) -> None:
    """Let the uploads have so much of a day left."""
    with sqlite3.connect(Path(os.environ["CARTOONIZE_HOME"], "uploads.sqlite3")) as db:
        db.execute("UPDATE uploads SET expires = ?", (time.time() + share * 86400,))
    db.close()


# --- nginx ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    """One for all tests."""
    if not nginx_dav.is_installed():
        pytest.skip("needs nginx")
    with nginx_dav.running(tmp_path_factory.mktemp("nginx")) as server:
        yield server


@pytest.fixture
def dav(nginx: DavServer) -> DavServer:
    """The server, empty, described as the host "dav"."""
    for path in nginx.folder.iterdir():
        path.unlink()
    describe(dav=dav_table(nginx))
    return nginx


def dav_table(server: DavServer, **more: Any) -> dict[str, Any]:
    """What describes it in the configuration."""
    return {
        "url": f"{server.url}/put/{{name}}",
        "link": f"{server.url}/pictures/{{name}}",
        "user": server.user,
        "password": server.password,
        "delete_url": "{upload_url}",
        **more,
    }


def names(server: DavServer) -> list[str]:
    """The files that lie there."""
    return sorted(path.name for path in server.folder.iterdir())


def test_a_web_server_takes_pictures_behind_a_password_and_shows_them_to_the_service(
    dav: DavServer, host: StandInHost
) -> None:
    """PUT under a name that nobody guesses; whoever has the link gets the very file; the second time it is there."""
    links = links_of(noise(1, 2), "dav")
    assert [fetched(link) for link in links] == [file_of(picture[None]) for picture in noise(1, 2)]
    assert sorted(link.removeprefix(f"{dav.url}/pictures/") for link in links) == names(dav)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}\.png", name) for name in names(dav))
    assert host.texts[-1] == "2 images uploaded to 'dav'"
    assert links_of(noise(1, 2), "dav") == links
    assert len(names(dav)) == 2
    assert host.texts[-1] == "2 images already at 'dav'"


def test_a_jpeg_is_served_as_one(dav: DavServer) -> None:
    """The name says what the file is."""
    (link,) = links_of(noise(1), "dav", format="jpeg")
    answer = requests.get(link, timeout=60)
    assert answer.headers["Content-Type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert (image.format, image.size) == ("JPEG", (300, 260))


def test_a_wrong_password_is_said(dav: DavServer) -> None:
    """Without the password; nothing is there."""
    describe(dav=dav_table(dav, password="wrong-password"))
    with pytest.raises(ConfigurationError, match=r"'dav' does not accept the credentials \(HTTP 401, PUT ") as caught:
        links_of(noise(1), "dav")
    assert "wrong-password" not in str(caught.value)
    assert names(dav) == []


def test_a_file_that_is_too_large_for_the_server_is_said(dav: DavServer) -> None:
    """Its answer comes before the file is through."""
    with pytest.raises(ConfigurationError, match=r"'dav' does not take files of this size \(HTTP 413, PUT "):
        open_named(load(), "dav").put(new_name("image/png"), bytes(61 * 1024 * 1024), "image/png")
    assert names(dav) == []


def test_a_web_server_is_tried_out_and_nothing_is_left(dav: DavServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Upload, fetch without the password, delete."""
    assert main(["hosts", "test", "dav"]) == 0
    assert [line[:6] for line in capsys.readouterr().out.splitlines()] == ["ok    "] * 3
    assert names(dav) == []
    describe(dav=dav_table(dav, link=f"{dav.url}/elsewhere/{{name}}"))
    assert main(["hosts", "test", "dav"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[:2]] == ["ok      upload", "FAILED  fetch without credentials"]
    assert "answered HTTP 404" in lines[1]


def test_a_trial_says_that_nothing_can_be_deleted(dav: DavServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Without delete_url the picture stays, which is how the host is described and no failure."""
    describe(dav=dav_table(dav, delete_url=None))
    assert main(["hosts", "test", "dav"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("ok      delete: left out: without delete_url the picture stays")
    assert len(names(dav)) == 1


def test_what_cannot_be_deleted_is_told_and_not_called_deleted(
    dav: DavServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Purge says so; with --forget it is not told again."""
    describe(dav=dav_table(dav, delete_url=None))
    links_of(noise(1), "dav")
    assert main(["hosts", "purge", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["deleted"], answer["left"]) == (0, 1)
    assert "has no delete_url" in answer["problems"]["dav"]
    assert main(["hosts", "purge", "--forget"]) == 0
    assert main(["hosts", "purge"]) == 0
    assert capsys.readouterr().err.endswith("0 uploads deleted, 0 left\n")
    assert len(names(dav)) == 1


def test_purge_deletes_what_lies_on_a_web_server(dav: DavServer, capsys: pytest.CaptureFixture[str]) -> None:
    """What is gone already is no problem; a wrong password is one, and then nothing is forgotten."""
    links = links_of(noise(1, 3), "dav")
    (dav.folder / links[0].rpartition("/")[2]).unlink()
    describe(dav=dav_table(dav, password="wrong-password"))
    assert main(["hosts", "purge", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["deleted"], answer["left"]) == (0, 3)
    assert "does not accept the credentials (HTTP 401, DELETE" in answer["problems"]["dav"]
    describe(dav=dav_table(dav))
    assert main(["hosts", "purge", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": 3, "left": 0, "problems": {}}
    assert names(dav) == []


def test_an_upload_whose_answer_never_came_is_deleted_too(
    dav: DavServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The address of a PUT is known before it begins."""
    put = HttpHost.put

    def put_and_break(self: HttpHost, name: str, data: bytes, media_type: str) -> Upload:
        put(self, name, data, media_type)
        raise UnreachableError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(HttpHost, "put", put_and_break)
        with pytest.raises(UnreachableError):
            links_of(noise(1), "dav")
    assert len(names(dav)) == uploads(capsys) == 1
    assert main(["hosts", "purge"]) == 0
    assert names(dav) == []
    assert uploads(capsys) == 0


def test_a_web_server_is_cleaned_up_when_results_are_stored(
    dav: DavServer, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As object storage is."""
    describe(dav=dav_table(dav, delete_after="result stored"))
    monkeypatch.setenv("CARTOONIZE_HOST", "dav")
    task = execute(SUBMIT, image_urls="\n".join(links_of(noise(1, 2), "auto")))["result"][0]
    assert len(names(dav)) == 2
    execute(POLL, task_id=task)
    assert names(dav) == []


def test_a_picture_that_is_gone_is_uploaded_again(dav: DavServer, host: StandInHost) -> None:
    """The link is tried before it is handed on once more."""
    (first,) = links_of(noise(1), "dav")
    (dav.folder / names(dav)[0]).unlink()
    (second,) = links_of(noise(1), "dav")
    assert second != first
    assert fetched(second) == file_of(noise(1))
    assert host.texts[-1] == "1 image uploaded to 'dav'"


@pytest.mark.parametrize(("left", "is_used"), [(0.51, True), (0.49, False)])
def test_a_link_is_handed_on_again_in_the_first_half_of_its_life(dav: DavServer, left: float, is_used: bool) -> None:
    """It cannot be signed anew, and must last for a task."""
    (first,) = links_of(noise(1), "dav")
    age(left)
    (second,) = links_of(noise(1), "dav")
    assert (second == first) is is_used
    assert len(names(dav)) == 2 - is_used


# --- a JSON API in the style of ImgBB ---------------------------------------------------------------------------------


def test_a_form_is_posted_and_the_link_found_in_the_json(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """The file under its random name and with its type, the other fields beside it; deleted where the reply said."""
    api.respond = imgbb(api)
    describe(api=post_table(api))
    (link,) = links_of(noise(1))
    (seen,) = api.of("POST")
    (name,) = [name for _, name, _ in seen.parts.values() if name]
    assert seen.path == "/1/upload"
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}\.png", name)
    assert seen.parts == {
        "key": (KEY.encode(), None, "text/plain"),
        "expiration": (b"86400", None, "text/plain"),
        "image": (file_of(noise(1)), name, "image/png"),
    }
    assert link == f"{api.url}/i/0.png"
    assert fetched(link) == file_of(noise(1))
    assert main(["hosts", "purge"]) == 0
    assert [seen.path for seen in api.of("DELETE")] == ["/delete/0.png"]
    assert api.files == {}
    assert main(["hosts", "test", "api"]) == 0
    assert api.files == {}


def test_a_public_host_is_said_to_be_one(api: Api, host: StandInHost, capsys: pytest.CaptureFixture[str]) -> None:
    """By the node at every run, and in the list of hosts."""
    api.respond = imgbb(api)
    describe(api=post_table(api, public=True), own=post_table(api))
    for _ in range(2):
        links_of(noise(1))
        assert "'api' is a public host: whoever has a link sees the picture" in host.texts[-1]
    links_of(noise(1), "own")
    assert "public" not in host.texts[-1]
    main(["hosts", "--json"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["api"]["public"], rows["own"]["public"]) == (True, False)
    main(["hosts"])
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines() if "http" in line] == ["public", "ready"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"public": None}, "does not say whether the host is public. Set public = true"),
        ({"public": None, "url": "https://api.imgbb.com/1/upload"}, "api.imgbb.com is a public host"),
        ({"url": "https://api.imgbb.com/1/upload"}, "api.imgbb.com is a public host. Set public = true"),
        ({"method": "PUT"}, "url must contain {name} for PUT"),
        ({"method": "PATCH"}, "method is 'PATCH'"),
        ({"link": "{json}"}, "link has the unknown part {json}"),
        ({"fields": {"id": "{size}"}}, "fields.id has the unknown part {size}"),
        ({"url": "http://studio:pw@127.0.0.1/"}, "without user name or password"),
        ({"allow_http": False}, "url must start with https://"),
        ({"link": None}, "link not set"),
        ({"delete_url": None, "delete_after": "result stored"}, "delete_after needs delete_url"),
    ],
)
def test_an_unfinished_description_sends_nothing(
    api: Api, capsys: pytest.CaptureFixture[str], change: dict[str, Any], problem: str
) -> None:
    """The node and the list of hosts say what to set; others know who sees the pictures, the pack does not."""
    describe(api=post_table(api, **change))
    with pytest.raises(ConfigurationError, match=re.escape(problem)) as caught:
        links_of(batch())
    assert "Nothing was sent" in str(caught.value)
    main(["hosts"])
    assert problem in capsys.readouterr().out
    assert api.seen == []


ECHO = as_json({"error": f"no such key: {KEY}"}, 400)


@pytest.mark.parametrize(
    ("place", "answer"),
    [
        ("fields", Answer(403, b"go away")),
        ("fields", ECHO),
        ("fields", as_json({"data": {"echo": KEY}})),
        ("fields", as_json({"data": {"url": f"ftp://images.test/{KEY}"}})),
        ("header", ECHO),
        ("query", Answer(403, b"go away")),
        ("query", ECHO),
        ("query", Answer(RESET)),
        ("query", None),
        ("password", ECHO),
        ("password", Answer(RESET)),
    ],
    ids=[
        "field, refused",
        "field, told back",
        "field, told back without a link",
        "field, told back as a link",
        "header, told back",
        "query, refused",
        "query, told back",
        "query, broken off",
        "query, nobody there",
        "password, told back",
        "password, broken off",
    ],
)
def test_a_key_is_never_shown(
    api: Api,
    host: StandInHost,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    place: str,
    answer: Answer | None,
) -> None:
    """Not in errors and tracebacks, the log, progress, lists and `repr`, whatever the host says and wherever it is."""
    caplog.set_level(logging.INFO)
    url = f"{api.url if answer else 'http://127.0.0.1:9'}/1/upload"
    describe(
        api={
            "fields": post_table(api, url=url),
            "header": post_table(api, url=url, fields={}, headers={"X-Key": KEY}),
            "query": put_table(api, url=f"{url}/{{name}}?key={KEY}", password="", user=""),
            "password": put_table(api, url=f"{url}/{{name}}"),
        }[place]
    )
    api.says(answer or Answer())
    with pytest.raises(CartoonizeError) as caught:
        links_of(batch())
    for arguments in (["--json"], [], ["test", "api"], ["purge"]):
        main(["hosts", *arguments])
    texts = [*traceback.format_exception(caught.value), *host.texts, caplog.text, *capsys.readouterr(), repr(load())]
    assert "'api'" in str(caught.value)
    assert not [text for text in texts if KEY in text or base64.b64encode(f"studio:{KEY}".encode()).decode() in text]


# --- other styles of answer -------------------------------------------------------------------------------------------


PATHS = ("/i/0.png", "/i/1.png")


def test_a_paste_host_answers_with_the_link_alone_and_a_token(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """Plain text with a line's end; what deletes is a POST to the link, with the token of the reply's header."""

    def respond(seen: Seen) -> Answer:
        if seen.path == "/":
            path = api.keep(seen.parts["file"][0])
            return Answer(200, f"{api.url}{path} \r\n".encode(), {"X-Token": f"token of {path}"})
        return Answer(200 if api.files.pop(seen.path, None) else 404)

    api.respond = respond
    describe(
        api={
            "url": f"{api.url}/",
            "method": "POST",
            "link": "{text}",
            "delete_url": "{link}",
            "delete_method": "POST",
            "delete_fields": {"token": "{header:X-Token}", "delete": "", "account": KEY},
        }
    )
    links = links_of(noise(1, 2))
    assert sorted(links) == [api.url + path for path in PATHS]
    assert [fetched(link) for link in links] == [file_of(picture[None]) for picture in noise(1, 2)]
    assert KEY.encode() not in Path(os.environ["CARTOONIZE_HOME"], "uploads.sqlite3").read_bytes()
    assert main(["hosts", "purge"]) == 0
    deleted = {seen.path: seen.form for seen in api.of("POST")[2:]}
    assert deleted == {path: {"token": f"token of {path}", "delete": "", "account": KEY} for path in PATHS}
    assert (api.files, uploads(capsys)) == ({}, 0)


@pytest.mark.parametrize("status", [201, 303, 302])
@pytest.mark.parametrize("is_relative", [True, False])
def test_a_host_may_say_in_a_header_where_the_picture_is(api: Api, status: int, is_relative: bool) -> None:
    """Relative to the address of the upload, or whole; nobody goes there for it."""

    def respond(seen: Seen) -> Answer:
        path = api.keep(seen.body)
        return Answer(status, b"", {"Location": f"..{path}?id=1&x=2" if is_relative else f"{api.url}{path}?id=1&x=2"})

    api.respond = respond
    describe(api=put_table(api, link="{header:location}"))
    assert links_of(noise(1)) == [f"{api.url}/i/0.png?id=1&x=2"]
    assert [seen.method for seen in api.seen] == ["PUT"]


@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_host_that_has_moved_has_taken_nothing(api: Api, other: Api, status: int) -> None:
    """It says where to try again, as http does of https: what lies there is no picture of ours."""
    api.says(Answer(status, b"", {"Location": f"{other.url}/put"}))
    describe(api=put_table(api, link="{header:Location}"))
    with pytest.raises(ConfigurationError, match=f"'api'.*HTTP {status}"):
        links_of(batch())
    assert other.seen == []


def test_what_a_host_is_sent_is_what_its_description_says(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its headers, its password, and for PUT the type; nothing of this machine, as a .netrc."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    api.respond = imgbb(api)
    describe(
        api=put_table(api, headers={"X-Key": KEY}), bare=put_table(api, user=None, password=None), form=post_table(api)
    )
    for name in ("api", "bare", "form"):
        links_of(noise(1), name)
    with_password, bare, form = api.of("PUT", "POST")
    assert with_password.headers["authorization"] == f"Basic {base64.b64encode(f'studio:{KEY}'.encode()).decode()}"
    assert (with_password.headers["x-key"], with_password.headers["content-type"]) == (KEY, "image/png")
    assert with_password.body == bare.body == form.parts["image"][0] == file_of(noise(1))
    for seen in (bare, form):
        assert not {"authorization", "x-key", "cookie"} & set(seen.headers)


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(
    ("status", "error", "words", "attempts"),
    [
        (400, ConfigurationError, "refuses this", 1),
        (401, ConfigurationError, "does not accept the credentials", 1),
        (403, ConfigurationError, "does not let these credentials do this", 1),
        (404, ConfigurationError, "has nothing at this address", 1),
        (405, ConfigurationError, "does not take this method here", 1),
        (413, ConfigurationError, "does not take files of this size", 1),
        (429, UnreachableError, "is in trouble", 4),
        (500, UnreachableError, "is in trouble", 4),
        (503, UnreachableError, "is in trouble", 4),
        (302, ConfigurationError, "has moved", 1),
    ],
)
def test_a_refusal_says_whose_move_it_is(
    api: Api,
    other: Api,
    capsys: pytest.CaptureFixture[str],
    method: str,
    status: int,
    error: type[CartoonizeError],
    words: str,
    attempts: int,
) -> None:
    """With the host's own words; a PUT is tried again where that may help, a POST never: it may have made a copy."""
    api.says(Answer(status, b"these are\nits words", {"Location": f"{other.url}/there"}))
    describe(api=table_of(method, api, headers={"X-Key": KEY}))
    with pytest.raises(error) as caught:
        links_of(batch())
    said = f"The image host 'api' {words} (HTTP {status}, {method} {api.url}/"
    assert str(caught.value).startswith(said)
    assert "It says: 'these are its words'" in str(caught.value)
    assert len(api.seen) == (attempts if method == "PUT" else 1)
    assert other.seen == []  # least of all with a key


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("status", [503, 429, RESET])
def test_trouble_that_passes_is_not_noticed_where_trying_again_is_safe(api: Api, method: str, status: int) -> None:
    """PUT writes to the same place; of a POST that broke nobody knows what it did."""
    good = imgbb(api)
    api.respond = lambda seen: Answer(status) if len(api.seen) == 1 else good(seen)
    describe(api=table_of(method, api))
    if method == "PUT":
        assert fetched(links_of(noise(1))[0]) == file_of(noise(1))
    else:
        with pytest.raises(UnreachableError, match="'api'"):
            links_of(noise(1))
    assert len(api.of("PUT", "POST")) == (2 if method == "PUT" else 1)
    assert len({seen.path for seen in api.of("PUT", "POST")}) == 1


def test_a_host_that_breaks_off_again_and_again_cannot_be_reached(api: Api) -> None:
    """In words, without the inner life of a library."""
    api.says(Answer(RESET))
    describe(api=put_table(api))
    with pytest.raises(UnreachableError, match="The image host 'api' cannot be reached: ") as caught:
        links_of(batch())
    assert not [word for word in ("HTTPConnectionPool", "0x", "Max retries") if word in str(caught.value)]
    assert len(api.seen) == 4


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (as_json({"data": {}}), ConfigurationError, "link {json:/data/url} is not in the host's reply. It said: '{"),
        (as_json({"data": {"url": None}}), ConfigurationError, "link {json:/data/url} is not in the host's reply"),
        (as_json({"data": {"url": ["https://x"]}}), ConfigurationError, "{json:/data/url} is not in the host's reply"),
        (as_json(["data"]), ConfigurationError, "link {json:/data/url} is not in the host's reply"),
        (Answer(200, b"<html>\nhello"), ConfigurationError, "is not in the host's reply. It said: '<html> hello'"),
        (Answer(200, b"\xff" * 300), ConfigurationError, "is not in the host's reply"),
        (Answer(200, b"[" * 100_000), ConfigurationError, "is not in the host's reply"),
        (Answer(204), ConfigurationError, "is not in the host's reply"),
        (Answer(200, b"x" * 2_000_000), ConfigurationError, "did not reply with a link"),
        (Answer(200, b"{", {"Content-Length": "99"}), UnreachableError, "'api'"),
        (as_json({"data": {"url": "ftp://images.test/1.png"}}), ConfigurationError, "did not reply with a link"),
        (as_json({"data": {"url": "javascript:alert(1)"}}), ConfigurationError, "did not reply with a link"),
        (as_json({"data": {"url": "https://images.test/a b.png"}}), ConfigurationError, "did not reply with a link"),
        (as_json({"data": {"url": "https://[images.test/1.png"}}), ConfigurationError, "did not reply with a link"),
        (as_json({"data": {"url": "https:///1.png"}}), ConfigurationError, "did not reply with a link"),
        (as_json({"data": {"url": ""}}), ConfigurationError, "did not reply with a link"),
    ],
    ids=[
        "no value",
        "null",
        "a list",
        "another shape",
        "HTML",
        "bytes",
        "deep",
        "nothing",
        "2 MB",
        "cut short",
        "ftp",
        "javascript",
        "a space",
        "a bracket",
        "no host",
        "empty",
    ],
)
def test_a_reply_that_holds_no_link_is_told(
    api: Api, capsys: pytest.CaptureFixture[str], answer: Answer, error: Any, words: str
) -> None:
    """And what it said instead; nothing is handed on, and nothing counts as uploaded."""
    api.says(answer)
    describe(api=post_table(api, delete_url=None))
    with pytest.raises(error, match=re.escape(words)) as caught:
        links_of(noise(1))
    assert "'api'" in str(caught.value)
    assert len(str(caught.value)) < 500
    api.seen.clear()
    api.respond = imgbb(api)
    assert fetched(links_of(noise(1))[0]) == file_of(noise(1))
    assert len(api.of("POST")) == 1


@pytest.mark.parametrize("address", ["http://[oops", "file:///etc/passwd", ""])
def test_an_address_for_deleting_that_is_none_is_told(api: Api, address: str) -> None:
    """Before anybody relies on it."""
    api.says(as_json({"data": {"url": api.url + api.keep(b"x"), "delete_url": address}}))
    describe(api=post_table(api))
    with pytest.raises(ConfigurationError, match="'api'.*delete_url"):
        links_of(batch())


@pytest.mark.parametrize(("where", "has_keys"), [("the same", True), ("another port", False)])
def test_only_the_host_itself_gets_its_keys_when_an_upload_is_deleted(
    api: Api, other: Api, where: str, has_keys: bool
) -> None:
    """A reply may name any address."""
    deleting = api if where == "the same" else other
    deleting.respond = lambda seen: Answer(204)
    upload = as_json({"data": {"url": api.url + api.keep(b"x"), "delete_url": f"{deleting.url}/delete"}})
    api.respond = lambda seen: upload if seen.method == "PUT" else Answer(204)
    describe(api=put_table(api, headers={"X-Key": KEY}, delete_url="{json:/data/delete_url}"))
    links_of(batch())
    assert main(["hosts", "purge"]) == 0
    (seen,) = deleting.of("DELETE")
    assert {"authorization", "x-key"} & set(seen.headers) == ({"authorization", "x-key"} if has_keys else set())


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://localhost:9/delete", "private address"),
        ("http://169.254.169.254/latest", "private address"),
    ],
)
def test_a_reply_does_not_send_us_to_addresses_of_our_own_network(
    api: Api, capsys: pytest.CaptureFixture[str], address: str, words: str
) -> None:
    """Deleting is refused, and the upload is not forgotten."""
    upload = as_json({"data": {"url": api.url + api.keep(b"x"), "delete_url": address}})
    api.respond = lambda seen: upload
    describe(api=post_table(api))
    links_of(batch())
    assert main(["hosts", "purge"]) == 1
    assert words in capsys.readouterr().err
    assert uploads(capsys) == 1
    assert len(api.of("POST")) == 1
    assert api.of("DELETE") == []


@pytest.mark.parametrize(("status", "is_problem"), [(404, False), (410, False), (403, True), (500, True)])
def test_deleting_what_is_gone_is_no_problem(
    api: Api, capsys: pytest.CaptureFixture[str], status: int, is_problem: bool
) -> None:
    """Anything else is one: the upload stays in the list for the next time."""
    good = imgbb(api)
    api.respond = lambda seen: Answer(status) if seen.method == "DELETE" else good(seen)
    describe(api=post_table(api))
    links_of(batch())
    assert main(["hosts", "purge"]) == int(is_problem)
    assert (f"HTTP {status}, DELETE" in capsys.readouterr().err) is is_problem
    assert uploads(capsys) == int(is_problem)


@pytest.mark.parametrize("change", ["server", "name"])
def test_another_place_has_its_own_uploads(api: Api, other: Api, change: str) -> None:
    """Another server under the same name, and another name for the same one, though the old link works."""
    api.respond, other.respond = imgbb(api), imgbb(other)
    describe(api=post_table(api))
    (first,) = links_of(noise(1))
    name = "api" if change == "server" else "mine"
    describe(**{name: post_table(other if change == "server" else api)})
    (second,) = links_of(noise(1), name)
    assert second == (f"{other.url}/i/0.png" if change == "server" else f"{api.url}/i/1.png")
    assert fetched(first) == fetched(second)


@pytest.mark.parametrize("gone", ["link", "server"])
def test_a_posted_picture_that_is_gone_is_uploaded_again(api: Api, gone: str) -> None:
    """404, or nobody there any more."""
    api.respond = imgbb(api)
    describe(api=post_table(api))
    links_of(noise(1))
    if gone == "link":
        api.files.clear()
        (second,) = links_of(noise(1))
        assert fetched(second) == file_of(noise(1))
    else:
        api.respond = lambda seen: as_json({"data": {"url": "http://127.0.0.1:9/1.png", "delete_url": api.url}})
        for _ in range(2):
            links_of(noise(2))
        assert len(api.of("POST")) == 3


@pytest.mark.parametrize("words", ["quota-exceeded", "sorry", "pictures/1.png"])
def test_a_word_is_no_link(api: Api, words: str) -> None:
    """With the reply itself as link, an error message would become an address of the host."""
    api.says(Answer(200, words.encode()))
    describe(api=post_table(api, link="{text}", delete_url=None))
    with pytest.raises(ConfigurationError, match="did not reply with a link"):
        links_of(batch())


KEY_WITH_SIGNS = "ab/cd+ef gh=€"


@pytest.mark.parametrize(
    "echo",
    [
        KEY_WITH_SIGNS,
        quote(KEY_WITH_SIGNS),
        quote_plus(KEY_WITH_SIGNS),
        json.dumps(KEY_WITH_SIGNS)[1:-1],
        json.dumps(KEY_WITH_SIGNS)[1:-1].replace("/", "\\/"),
    ],
    ids=["as it is", "in an address", "in a form", "in JSON", "in PHP's JSON"],
)
def test_a_key_that_a_host_repeats_is_not_shown_in_any_spelling(api: Api, echo: str) -> None:
    """Hosts repeat what they refuse."""
    api.says(Answer(400, f"bad key {echo} !".encode()))
    describe(api=post_table(api, fields={"key": KEY_WITH_SIGNS}))
    with pytest.raises(ConfigurationError, match="bad key … !") as caught:
        links_of(batch())
    assert "ab/cd" not in str(caught.value)


def test_the_path_of_an_address_is_not_shown(api: Api) -> None:
    """Some hosts have the key there."""
    api.says(Answer(400, b"no"))
    describe(api=post_table(api, url=f"{api.url}/bot-{KEY}/upload"))
    with pytest.raises(ConfigurationError, match=f"POST {api.url}/…") as caught:
        links_of(batch())
    assert KEY not in str(caught.value)


def test_any_password_can_be_sent(api: Api) -> None:
    """As UTF-8 (RFC 7617)."""
    api.respond = imgbb(api)
    describe(api=post_table(api, user="studio", password="pässword-€"))
    links_of(batch())
    (seen,) = api.of("POST")
    assert base64.b64decode(seen.headers["authorization"].removeprefix("Basic ")).decode() == "studio:pässword-€"


def test_an_address_for_deleting_that_the_operator_wrote_down_gets_the_keys(api: Api, other: Api) -> None:
    """Upload and deletion may be two servers of one host."""
    api.respond = lambda seen: as_json({"data": {"url": api.url + api.keep(b"x")}})
    other.respond = lambda seen: Answer(204)
    describe(api=put_table(api, headers={"X-Key": KEY}, delete_url=f"{other.url}/delete/{{name}}"))
    links_of(batch())
    assert main(["hosts", "purge"]) == 0
    (seen,) = other.of("DELETE")
    assert {"authorization", "x-key"} <= set(seen.headers)


def test_another_key_in_the_query_is_the_same_host(api: Api) -> None:
    """What was uploaded with the old one can still be deleted."""
    hosts = [HttpHost(HttpSettings("h", url=f"{api.url}/up?key={key}", link="{text}", method="POST")) for key in "ab"]
    assert hosts[0].identity == hosts[1].identity
