"""ComfyUI's own server as image host: links that are signed and end, and the real route that answers them."""

from __future__ import annotations

import http.client
import os
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pack
import pytest
import requests
from aiohttp import web
from cartoonize_pack.nodes import _comfy
from cartoonize_pack.nodes.uploads_route import serve_upload
from cartoonize_pack.utils.errors import ConfigurationError
from cartoonize_pack.utils.hosting import Upload, new_name
from cartoonize_pack.utils.hosting.comfyui import FOLDER, ComfyUIHost, answer
from cartoonize_pack.utils.hosting.settings import ComfyUISettings
from cartoonize_pack.utils.hosting.signing import KEY_FILE, Verdict, ensure_key, read_key, signature, verdict
from cartoonize_pack.utils.monitor import Monitor
from cartoonize_pack.utils.routes import UPLOADS_ROUTE
from cartoonize_pack.utils.service.pictures import PictureStore, is_name
from cartoonize_pack.utils.threads import map_bounded
from child_process import running
from fake_clock import Clock
from route_server import added, in_comfyui, serving
from scripted_service import png

DAY_S = 24 * 3600.0
KEY = b"k" * 32
NAME, OTHER = "a" * 43 + ".png", "b" * 43 + ".png"
PIXELS = png(300, 260)


@pytest.fixture
def home() -> Path:
    """The state folder, which nobody has used yet."""
    return Path(os.environ["CARTOONIZE_HOME"])


# Signatures


def signed(name: str = NAME, expires: str = "1000", key: bytes = KEY, **changed: str) -> dict[str, str]:
    """The query of a link."""
    return {"expires": expires, "signature": signature(key, name, expires), **changed}


def cut(query: dict[str, str], name: str) -> dict[str, str]:
    """The query without one part."""
    return {key: value for key, value in query.items() if key != name}


WORTH: dict[str, tuple[str, dict[str, str], float, Verdict]] = {
    "good": (NAME, signed(), 999.9, Verdict.GOOD),
    "good, with more beside": (NAME, signed(utm_source="mail"), 0, Verdict.GOOD),
    "ends in this second": (NAME, signed(), 1000, Verdict.EXPIRED),
    "ended": (NAME, signed(), 1e10, Verdict.EXPIRED),
    "ended before 1970": (NAME, signed(expires="-1"), 0, Verdict.EXPIRED),
    "another name": (OTHER, signed(), 0, Verdict.WRONG),
    "another end": (NAME, signed() | {"expires": "2000"}, 0, Verdict.WRONG),
    "the same end, written otherwise": (NAME, signed() | {"expires": "01000"}, 0, Verdict.WRONG),
    "another key": (NAME, signed(key=b"l" * 32), 0, Verdict.WRONG),
    "another signature": (NAME, signed(signature="A" * 43), 0, Verdict.WRONG),
    "a signature cut short": (NAME, signed(signature=signed()["signature"][:-1]), 0, Verdict.WRONG),
    "a signature that is too long": (NAME, signed(signature=signed()["signature"] + "="), 0, Verdict.WRONG),
    "an empty signature": (NAME, signed(signature=""), 0, Verdict.WRONG),
    "a signature that is no ASCII": (NAME, signed(signature="é" * 43), 0, Verdict.WRONG),
    "a signature that is no text": (NAME, signed(signature="\ud800"), 0, Verdict.WRONG),
    "an end that is no number": (NAME, signed() | {"expires": "tomorrow"}, 0, Verdict.WRONG),
    "an end that is no ASCII": (NAME, signed() | {"expires": "١٠٠٠"}, 0, Verdict.WRONG),
    "an end that is no text": (NAME, signed() | {"expires": "\ud800"}, 0, Verdict.WRONG),
    "an empty end": (NAME, signed() | {"expires": ""}, 0, Verdict.WRONG),
    "no signature": (NAME, cut(signed(), "signature"), 0, Verdict.WRONG),
    "no end": (NAME, cut(signed(), "expires"), 0, Verdict.WRONG),
    "nothing": (NAME, {}, 0, Verdict.WRONG),
}


@pytest.mark.parametrize(("name", "query", "now_s", "worth"), WORTH.values(), ids=WORTH)
def test_a_link_is_worth_what_was_signed(name: str, query: dict[str, str], now_s: float, worth: Verdict) -> None:
    """For this picture, until this second; whatever else is asked is wrong, and nothing of it is an error."""
    assert verdict(KEY, name, query, now_s) is worth


def test_a_key_is_made_once_and_only_its_owner_can_read_it(home: Path) -> None:
    """Whatever the umask says: who has it can sign links to every picture."""
    assert read_key(home) is None
    assert not home.exists()
    before = os.umask(0)
    try:
        key = ensure_key(home)
    finally:
        os.umask(before)
    assert len(key) == 32
    assert ensure_key(home) == read_key(home) == key == (home / KEY_FILE).read_bytes()
    assert stat.S_IMODE((home / KEY_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert ensure_key(home.with_name("another")) != key


@pytest.mark.parametrize("damaged", [b"", b"k" * 31, b"k" * 33, b"k" * 16])
def test_a_damaged_key_is_replaced(home: Path, damaged: bytes) -> None:
    """Nobody signs with a short one, which could be guessed; links of before are wrong then."""
    home.mkdir()
    (home / KEY_FILE).write_bytes(damaged)
    assert read_key(home) is None
    key = ensure_key(home)
    assert (len(key), key) == (32, read_key(home))


def test_a_key_that_cannot_be_written_is_told(home: Path) -> None:
    """A folder in its place; nothing half is left beside it."""
    (home / KEY_FILE).mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"links\.key cannot be written.*Nothing was sent"):
        ensure_key(home)
    assert {path.name for path in home.iterdir()} == {KEY_FILE, "locks"}


def test_threads_that_make_a_key_at_once_get_the_same(home: Path) -> None:
    """Four pictures are uploaded at once on a new machine."""
    together = threading.Barrier(4)

    def key(_: int) -> bytes:
        together.wait(10)
        return ensure_key(home)

    assert len(set(map_bounded(key, range(4), workers=4, monitor=Monitor()))) == 1


MAKE_KEY = """
from cartoonize_pack.utils.hosting.signing import ensure_key
print("ready", flush=True)
sys.stdin.readline()
print(ensure_key(Path(sys.argv[1])).hex())
"""


def test_processes_that_make_a_key_at_once_get_the_same(home: Path) -> None:
    """Two ComfyUI that share a state folder, or one and the command line."""
    with ExitStack() as stack:
        children = [stack.enter_context(running(MAKE_KEY, home)) for _ in range(3)]
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        outputs = [child.communicate() for child in children]
    assert [child.returncode for child in children] == [0] * 3, outputs
    assert {out.strip() for out, _ in outputs} == {(home / KEY_FILE).read_bytes().hex()}


# The host


@pytest.fixture
def host(home: Path, clock: Clock) -> ComfyUIHost:
    return opened(home, clock)


def opened(home: Path, clock: Clock, public_url: str = "https://me.example") -> ComfyUIHost:
    """The host of a ComfyUI that can be reached from outside."""
    return ComfyUIHost(ComfyUISettings("comfyui", public_url=public_url), home, clock)


@pytest.mark.parametrize("public_url", ["https://me.example", "https://me.example/", "https://me.example/comfy"])
def test_an_upload_is_a_file_and_a_signed_link(home: Path, clock: Clock, public_url: str) -> None:
    """Below the public address, for the lifetime; the file is there at least as long as its link."""
    clock.now += 0.75
    upload = opened(home, clock, public_url).put(NAME, b"pixels", "image/png")
    address, _, query = upload.link.partition("?")
    assert address == f"{public_url.rstrip('/')}{UPLOADS_ROUTE}/{NAME}"
    parts = {key: value for key, (value,) in parse_qs(query).items()}
    assert verdict(ensure_key(home), NAME, parts, clock.now + DAY_S - 1) is Verdict.GOOD
    assert upload == Upload(NAME, upload.link, float(parts["expires"]), is_signed=True)
    assert upload.expires_s == int(clock.now + DAY_S)
    file = home / FOLDER / NAME
    assert file.read_bytes() == b"pixels"
    assert file.stat().st_mtime >= upload.expires_s
    assert ensure_key(home).hex() not in upload.link


def test_only_its_owner_can_look_into_the_folders(home: Path, clock: Clock) -> None:
    """Also when the upload is what makes the state folder."""
    before = os.umask(0o022)
    try:
        opened(home, clock).put(NAME, b"pixels", "image/png")
    finally:
        os.umask(before)
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home, home / FOLDER)} == {
        "home": 0o700,
        FOLDER: 0o700,
    }


def test_a_renewed_upload_lives_as_long_as_a_new_one(home: Path, host: ComfyUIHost, clock: Clock) -> None:
    """With another link, at the public address of today; the first link still ends when it was to."""
    upload = host.put(NAME, b"pixels", "image/png")
    clock.now += DAY_S - 1
    renewed = opened(home, clock, "https://moved.example").renewed(upload)
    assert renewed is not None
    assert renewed.link.startswith(f"https://moved.example{UPLOADS_ROUTE}/{NAME}?")
    assert renewed.expires_s == upload.expires_s + DAY_S - 1
    clock.now += DAY_S - 1
    for link, status in ((upload.link, 410), (renewed.link, 200)):
        query = {key: value for key, (value,) in parse_qs(urlsplit(link).query).items()}
        assert answer(home, NAME, query, clock.now).status == status


@pytest.mark.parametrize("end", ["deleted", "expired", "never there", "no name of a picture"])
def test_what_is_gone_is_not_renewed(home: Path, host: ComfyUIHost, clock: Clock, end: str) -> None:
    """It is uploaded again then; deleting it once more is no error."""
    upload = host.put(NAME, b"pixels", "image/png")
    if end == "deleted":
        host.delete(upload)
        assert list((home / FOLDER).iterdir()) == []
    elif end == "expired":
        clock.now += DAY_S
    else:
        upload = Upload(OTHER if end == "never there" else "../links.key", "", 0.0)
    assert host.renewed(upload) is None
    host.delete(upload)
    assert ensure_key(home)


def test_an_upload_sweeps_what_has_expired(home: Path, host: ComfyUIHost, clock: Clock) -> None:
    """Nobody else does at this host, when the list of uploads is lost."""
    host.put(NAME, b"pixels", "image/png")
    clock.now += DAY_S + 1
    host.put(OTHER, b"pixels", "image/png")
    assert [path.name for path in (home / FOLDER).iterdir()] == [OTHER]


def test_a_folder_that_cannot_be_written_is_told(home: Path, host: ComfyUIHost) -> None:
    """Every use of it, as a sentence."""
    home.mkdir()
    (home / FOLDER).write_text("in the way")
    upload = Upload(NAME, "", 0.0)
    for use in (lambda: host.put(NAME, b"", "image/png"), lambda: host.renewed(upload), lambda: host.delete(upload)):
        with pytest.raises(ConfigurationError, match="picture store cannot be written"):
            use()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NAME, True),
        ("A-_9" + "a" * 39 + ".jpg", True),
        (NAME + "\n", False),
        ("a" * 42 + ".png", False),
        ("a" * 44 + ".png", False),
        ("a" * 43 + ".PNG", False),
        ("a" * 43 + ".gif", False),
        ("a" * 43 + "xpng", False),
        ("a" * 42 + "é.png", False),
        ("a" * 42 + "/.png", False),
        ("a" * 42 + "..png", False),
        (NAME + ".part", False),
        ("x/" + NAME, False),
        ("", False),
    ],
)
def test_only_names_that_the_pack_makes_are_names(text: str, expected: bool) -> None:
    """43 letters of an alphabet that leads nowhere, and a type."""
    assert is_name(text) is expected
    assert is_name(new_name("image/png"))
    assert is_name(new_name("image/jpeg"))


# The route


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where a server like ComfyUI's answers, with the route that the pack adds."""
    with serving(added(lambda: _comfy.add_route(f"{UPLOADS_ROUTE}/{{name}}", serve_upload))) as url:
        yield url


def put(address: str, home: Path, data: bytes = PIXELS, media_type: str = "image/png") -> Upload:
    """A picture at this server."""
    host = ComfyUIHost(ComfyUISettings("comfyui", public_url=address), home)
    return host.put(new_name(media_type), data, media_type)


def get(url: str, **headers: str) -> requests.Response:
    """One request, without any credentials."""
    return requests.get(url, headers=headers, timeout=10)


def raw(address: str, path: str, method: str = "GET") -> tuple[int, bytes]:
    """Status and body of a request whose path nobody puts in order."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def sign(home: Path, name: str, expires_s: float) -> str:
    """The query of a link that ends then."""
    expires = str(int(expires_s))
    return f"expires={expires}&signature={signature(ensure_key(home), name, expires)}"


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg"])
def test_a_link_brings_the_picture(address: str, home: Path, media_type: str) -> None:
    """Its bytes and its type, and no cache on the way may keep it, nor a browser guess what it is."""
    upload = put(address, home, PIXELS, media_type)
    for reply in (get(upload.link), requests.head(upload.link, timeout=10)):
        assert reply.status_code == 200
        assert reply.headers["Content-Type"] == media_type
        assert reply.headers["Content-Length"] == str(len(PIXELS))
        assert "no-store" in reply.headers["Cache-Control"]
        assert "private" in reply.headers["Cache-Control"]
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert get(upload.link).content == PIXELS
    assert requests.head(upload.link, timeout=10).content == b""


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-9", 206, PIXELS[:10]),
        ("bytes=5-", 206, PIXELS[5:]),
        ("bytes=-7", 206, PIXELS[-7:]),
        (f"bytes=0-{10**9}", 206, PIXELS),
        (f"bytes={len(PIXELS)}-", 416, None),
    ],
)
def test_a_part_of_a_picture_can_be_asked_for(
    address: str, home: Path, wanted: str, status: int, part: bytes | None
) -> None:
    """As links are tried, and as services resume."""
    reply = get(put(address, home).link, Range=wanted)
    assert reply.status_code == status
    assert f"/{len(PIXELS)}" in reply.headers["Content-Range"]
    if part is not None:
        assert reply.content == part


TAMPERED = {
    "another end": lambda link: link.replace("expires=1", "expires=2"),
    "another signature": lambda link: link[:-3] + ("AAA" if link[-3:] != "AAA" else "BBB"),
    "no signature": lambda link: link.partition("&")[0],
    "no query": lambda link: link.partition("?")[0],
    "an empty signature": lambda link: link.partition("&")[0] + "&signature=",
    "no ASCII": lambda link: link.partition("&")[0] + "&signature=%C3%A9",
    "no text": lambda link: link.partition("?")[0] + "?expires=%ED%A0%80&signature=%FF",
    "a zero": lambda link: link.partition("?")[0] + "?expires=%00&signature=%00",
    "a very long end": lambda link: link.replace("expires=1", "expires=" + "1" * 5000),
    "a signature in front of the right one": lambda link: link.replace("?", "?signature=x&"),
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
def test_a_link_that_was_tampered_with_is_refused(address: str, home: Path, tamper: object) -> None:
    """In the same words, whether or not there is such a picture; they say nothing of this machine."""
    assert callable(tamper)
    link = put(address, home).link
    unknown = link.replace(urlsplit(link).path, f"{UPLOADS_ROUTE}/{OTHER}")
    replies = [get(tamper(link)), get(tamper(unknown)), get(unknown)]
    assert [reply.status_code for reply in replies] == [403] * 3
    assert {reply.content for reply in replies} == {b"the signature is wrong"}
    assert {reply.headers["Cache-Control"] for reply in replies} == {"private, no-store"}


@pytest.mark.parametrize("query", [b"expires=\xff&signature=x", b"expires=1&signature=\xed\xa0\x80", b"\xff"])
def test_bytes_that_are_no_text_are_refused(address: str, home: Path, query: bytes) -> None:
    """As scanners send them: never an error of this server."""
    put(address, home)
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        request = f"GET {UPLOADS_ROUTE}/{NAME}?".encode() + query
        connection.sendall(request + b" HTTP/1.1\r\nHost: me\r\nConnection: close\r\n\r\n")
        status = int(connection.makefile("rb").readline().split()[1])
    assert status in (400, 403)  # 400 is aiohttp's own


GONE = ["the link has ended", "deleted", "the file has ended", "never there", "of the embedded service"]


@pytest.mark.parametrize("why", GONE)
def test_a_good_link_to_nothing_says_that_it_is_over(address: str, home: Path, why: str) -> None:
    """The link, the file, or both; pictures of the embedded service are not this route's."""
    upload, now_s = put(address, home), time.time()
    link, name = upload.link, upload.name
    if why == "the link has ended":
        link = f"{link.partition('?')[0]}?{sign(home, name, now_s - 1)}"
    elif why == "deleted":
        ComfyUIHost(ComfyUISettings("comfyui", public_url=address), home).delete(upload)
    elif why == "the file has ended":
        os.utime(home / FOLDER / name, (now_s - 1, now_s - 1))
    else:
        if why == "of the embedded service":
            name = PictureStore(home / "service" / "pictures").put(PIXELS, "image/png", DAY_S)
        else:
            name = OTHER
        link = f"{address}{UPLOADS_ROUTE}/{name}?{sign(home, name, now_s + DAY_S)}"
    reply = get(link)
    assert (reply.status_code, reply.text) == (410, "the link has expired, or the picture was deleted")
    assert reply.headers["Cache-Control"] == "private, no-store"


def test_a_link_ends_in_its_second(address: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock of the server that serves it."""
    upload = put(address, home)
    os.utime(home / FOLDER / upload.name, (2e10, 2e10))
    statuses = []
    for now_s in (upload.expires_s - 0.01, upload.expires_s):
        monkeypatch.setattr("cartoonize_pack.nodes.uploads_route.time", SimpleNamespace(time=lambda now_s=now_s: now_s))
        statuses.append(get(upload.link).status_code)
    assert statuses == [200, 410]


TRICKS = [
    "..%2f..%2fjournal.sqlite3",
    "..%2fjournal.sqlite3",
    "..%2fconfig.toml",
    "%2e%2e%2fconfig.toml",
    "%2e%2e/config.toml",
    "../config.toml",
    "../../../../etc/passwd",
    "%252e%252e%252fconfig.toml",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "..%5cconfig.toml",
    "..%5c..%5clinks.key",
    "..%2flinks.key",
    "links.key",
    "uploads.sqlite3",
    "..%2fservice%2fpictures%2f{name}",
    "..%2fuploads%2f{name}",
    ".%2f{name}",
    "{name}%2f",
    "{name}/",
    "{name}/..",
    "{name}%00",
    "{name}%0a",
    "{name}.part",
    "{name}%20",
    "%00{name}",
    "%00",
    "%ff",
    "%c0%ae%c0%ae%2flinks.key",
    ".",
    "..",
    "%2e",
    "*",
    "a.png",
    "",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_no_path_leads_to_another_file(address: str, home: Path, trick: str) -> None:
    """Not even with a signature: what is no name of a picture is not there."""
    upload = put(address, home)
    for file in ("journal.sqlite3", "uploads.sqlite3", f"{FOLDER}/{upload.name}.part", f"{FOLDER}/a.png"):
        (home / file).write_bytes(b"precious")
    (home / "config.toml").write_text("# precious\n")
    stored = PictureStore(home / "service" / "pictures").put(PIXELS, "image/png", DAY_S)
    path = trick.format(name=stored if "service" in trick else upload.name)
    for name in (unquote(path), path):
        query = sign(home, name.encode("utf-8", "replace").decode(), time.time() + DAY_S)
        status, body = raw(address, f"{UPLOADS_ROUTE}/{path}?{query}")
        assert status == 404
        assert b"precious" not in body
        assert str(home).encode() not in body


@pytest.mark.parametrize("path", [UPLOADS_ROUTE, f"{UPLOADS_ROUTE}/", "/portrait_cartoonize", "/portrait_cartoonize/"])
def test_nothing_lists_what_there_is(address: str, home: Path, path: str) -> None:
    """The address of the folder is nothing."""
    put(address, home)
    assert raw(address, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed_through_the_route(address: str, home: Path, method: str) -> None:
    """It hands out, and takes nothing."""
    upload = put(address, home)
    assert requests.request(method, upload.link, data=b"other", timeout=10).status_code == 405
    assert get(upload.link).content == PIXELS


def test_where_nobody_uploaded_there_is_nothing(address: str, home: Path) -> None:
    """No request makes a state folder, or a key."""
    expires = str(int(time.time() + DAY_S))
    link = f"{address}{UPLOADS_ROUTE}/{NAME}?expires={expires}&signature={quote(signature(b'', NAME, expires))}"
    assert get(link).status_code == 404
    assert not home.exists()


def test_a_broken_configuration_stops_no_link(address: str, home: Path) -> None:
    """Somebody is editing the file while the service fetches what was paid for."""
    link = put(address, home).link
    (home / "config.toml").write_text("[hosts")
    assert get(link).status_code == 200


# How the route gets there


@pytest.mark.parametrize(
    "server",
    [
        None,
        ModuleType("server"),
        SimpleNamespace(PromptServer=SimpleNamespace()),
        SimpleNamespace(PromptServer=SimpleNamespace(instance=None)),
    ],
    ids=["no module", "another module", "not started", "not yet started"],
)
def test_without_comfyui_no_route_is_added(monkeypatch: pytest.MonkeyPatch, server: object) -> None:
    """The command line and the tests load the same pack."""
    if server is None:
        monkeypatch.delitem(sys.modules, "server", raising=False)
    else:
        monkeypatch.setitem(sys.modules, "server", server)
    _comfy.add_route(f"{UPLOADS_ROUTE}/{{name}}", serve_upload)


def test_loading_the_pack_adds_the_route(monkeypatch: pytest.MonkeyPatch) -> None:
    """ComfyUI takes routes only while it starts: one for GET, with which HEAD goes."""
    routes, name = web.RouteTableDef(), "cartoonize_pack_with_a_route"
    monkeypatch.setitem(sys.modules, "server", in_comfyui(routes))
    pack.load(name)
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    (route,) = [route for route in routes if isinstance(route, web.RouteDef) and "/pictures/" in route.path]
    assert (route.method, route.path) == ("GET", f"{UPLOADS_ROUTE}/{{name}}")
    assert UPLOADS_ROUTE == "/portrait_cartoonize/pictures"
    assert route.kwargs.get("allow_head", True)


def test_a_second_copy_of_the_pack_adds_no_second_route(monkeypatch: pytest.MonkeyPatch) -> None:
    """ComfyUI does not start with the same route twice: a clone beside a Manager install is soon made."""
    routes = web.RouteTableDef()
    monkeypatch.setitem(sys.modules, "server", in_comfyui(routes))
    for _ in range(2):
        _comfy.add_route(f"{UPLOADS_ROUTE}/{{name}}", serve_upload)
    web.Application().add_routes(routes)
    assert len(routes) == 1
