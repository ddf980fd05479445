"""Links on trial: what a stranger is answered decides, before anything is paid, whether the service could use them."""

from __future__ import annotations

import contextlib
import gzip
import io
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from cartoonize_pack.utils import reachability
from cartoonize_pack.utils.addresses import Policy
from cartoonize_pack.utils.contract import Limits
from cartoonize_pack.utils.download import Peek, fetch, peek
from cartoonize_pack.utils.errors import Cancelled, InputError, UnreachableError
from cartoonize_pack.utils.monitor import Monitor, Progress
from cartoonize_pack.utils.reachability import (
    FIRST_BYTES,
    PARALLEL,
    Trial,
    answer_problem,
    expiry_problem,
    own_address_problem,
    refusal,
    unreachable,
    unusable,
)
from cartoonize_pack.utils.threads import start
from PIL import Image

PATIENCE_S = 10.0  # for what happens at once; only a broken test waits that long
NOW = 1_700_000_000.0
LINK = "https://images.test/1.png?signature=hunter2"
LIMITS = Limits()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int = 300, height: int = 260, before: bytes = b"") -> bytes:
    """The beginning of a PNG that says that it has this size; `before` stands between that and the pixels."""
    size = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + size + before + chunk(b"IDAT", b"pixels")


def encoded(fmt: str, width: int = 300, height: int = 260) -> bytes:
    """A plain picture."""
    stream = io.BytesIO()
    Image.new("RGB", (width, height)).save(stream, fmt)
    return stream.getvalue()


def jpeg_behind(metadata_bytes: int, width: int, height: int) -> bytes:
    """What is seen of a JPEG whose size stands behind so many bytes of metadata."""
    jpeg, metadata = encoded("JPEG", width, height), b""
    while len(metadata) < metadata_bytes:
        length = min(60_000, metadata_bytes - len(metadata))
        metadata += b"\xff\xe1" + struct.pack(">H", length - 2) + b"x" * (length - 4)
    return (jpeg[:2] + metadata + jpeg[2:])[:FIRST_BYTES]


PNG = png()
GOOD = Peek(LINK, 200, "image/png", PNG, len(PNG))


# --- what an answer is worth ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "asks for a login (HTTP 401), which the service does not have"),
        (
            403,
            "is refused (HTTP 403): its signature is wrong or has expired (by the host's clock), or it is not public",
        ),
        (404, "is not there, or not any more (HTTP 404)"),
        (407, "asks for a login at a proxy (HTTP 407)"),
        (410, "is not there any more (HTTP 410)"),
        (416, "leads to an empty file (HTTP 416)"),
        (204, "answers HTTP 204"),
        (304, "answers HTTP 304"),
        (429, "answers HTTP 429"),
        (500, "answers HTTP 500"),
        (503, "answers HTTP 503"),
    ],
)
def test_a_status_other_than_ok_is_said_in_words(status: int, words: str) -> None:
    """Whatever came with it, a picture among it."""
    for head in (PNG, b"", b"<html>Sorry, please log in"):
        assert answer_problem(replace(GOOD, status=status, head=head), LINK, LIMITS) == words


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message>"
         b"<Expires>2023</Expires></Error>", "Request has expired"),
        (b'{"code": 403, "msg": "the signature is wrong"}', "the signature is wrong"),
        (b'{"msg":"gone"}', "gone"),
        ('{"msg": "Größe"}'.encode(), "Größe"),
        (b'{"msg": "broken \xff"}', "broken \ufffd"),
    ],
)  # fmt: skip
def test_what_the_host_says_is_handed_on(head: bytes, said: str) -> None:
    """S3's message, and the one of services like ours."""
    assert answer_problem(replace(GOOD, status=403, head=head), LINK, LIMITS).endswith(f"; the host says: {said}")


@pytest.mark.parametrize("head", [b'{"msg": "a\nb\x1b[31m"}', b"<Message>a\r\n\x00b</Message>"])
def test_what_the_host_says_cannot_paint_the_terminal(head: bytes) -> None:
    """Control characters do not come through."""
    assert answer_problem(replace(GOOD, status=403, head=head), LINK, LIMITS).isprintable()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"media_type": "text/html", "head": b"<p>Welcome"}, "leads to a web page, not to a picture"),
        ({"media_type": "text/html", "head": b""}, "leads to a web page, not to a picture"),
        ({"head": b"<!DOCTYPE html><title>x"}, "leads to a web page"),
        ({"head": b"<!doctype HTML>"}, "leads to a web page"),
        ({"head": b"<HTML>"}, "leads to a web page"),
        ({"head": b"\xef\xbb\xbf<html>"}, "leads to a web page"),
        ({"head": b"\r\n\t <html>"}, "leads to a web page"),
        ({"head": b"\xef\xbb\xbf \n<!DOCTYPE html>"}, "leads to a web page"),
        ({"head": b"<html><input type=password>"}, "leads to a login page, not to a picture"),
        ({"head": b'<html><input name="p" type="password">'}, "leads to a login page"),
        ({"head": b"<html>Please LOG IN first"}, "leads to a login page"),
        ({"head": b"<html><a href=/login>"}, "leads to a login page"),
        ({"head": b"<html>Sign-in"}, "leads to a login page"),
        ({"head": b"<html>", "url": "https://sso.test/a?next=hunter2"}, "leads to a web page at sso.test, not"),
        ({"head": b"<html>log in", "url": "https://sso.test:444/"}, "leads to a login page at sso.test, not"),
    ],
)
def test_a_page_is_no_picture_whatever_it_calls_itself(changes: dict[str, Any], words: str) -> None:
    """By its type or by its content; a page that asks for a login is called so, and where a redirect led is named."""
    problem = answer_problem(replace(GOOD, **changes), LINK, LIMITS)
    assert problem.startswith(words)
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "leads to an empty file"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "leads to a WebP file; the service takes PNG, JPEG, BMP"),
        (b"GIF89a", "leads to a GIF file;"),
        (b"GIF87a", "leads to a GIF file;"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "leads to a HEIC file;"),
        (b"\0\0\0\x18ftypheix\0\0\0\0", "leads to a HEIC file;"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "leads to a HEIC file;"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", " AVIF file;"),
        (b"II*\x00\x08\0\0\0", "leads to a TIFF file;"),
        (b"MM\x00*\0\0\0\x08", "leads to a TIFF file;"),
        (b"%PDF-1.7", "leads to a PDF file;"),
        (b"Hello there", "leads to no picture (it begins with b'Hello th'); the service takes PNG, JPEG, BMP"),
        (b"\x89PN", r"leads to no picture (it begins with b'\x89PN')"),
        (b'{"code": 0}', "leads to no picture"),
        (b"version https://git-lfs.github.com/spec/v1", "leads to no picture"),
    ],
)
def test_the_content_decides_what_a_file_is(head: bytes, words: str) -> None:
    """Not the type that it is sent as."""
    for media_type in ("image/png", "image/jpeg", "application/octet-stream", ""):
        assert words in answer_problem(replace(GOOD, head=head, media_type=media_type), LINK, LIMITS)


@pytest.mark.parametrize("status", [200, 206])
@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "BMP"])
def test_a_picture_of_an_accepted_kind_is_good(fmt: str, status: int) -> None:
    """Whatever it is sent as, whole or as the part that was asked for, and wherever a redirect led."""
    for media_type in (f"image/{fmt.lower()}", "application/octet-stream", ""):
        answer = Peek("https://cdn.test/2", status, media_type, encoded(fmt), None)
        assert answer_problem(answer, LINK, LIMITS) == ""


@pytest.mark.parametrize(
    ("width", "height", "words"),
    [
        (257, 257, ""),
        (256, 300, "is 256x300 pixels: each side must be at least 257"),
        (300, 256, "is 300x256 pixels: each side must be at least 257"),
        (4999, 4999, ""),
        (5000, 4000, "is 5000x4000 pixels: each side must be at most 4999"),
        (1028, 257, ""),
        (257, 1029, "is 257x1029 pixels: one side must be at most 4 times the other"),
    ],
)
def test_the_pixels_of_a_picture_are_those_the_service_takes(width: int, height: int, words: str) -> None:
    """Both limits are inside."""
    assert answer_problem(replace(GOOD, head=png(width, height)), LINK, LIMITS) == words


@pytest.mark.parametrize("side", [12_000, 20_000, 2**31 - 1])
def test_a_picture_of_enormous_size_is_too_large(side: int) -> None:
    """So large that Pillow does not open it: that is no reason to pay for it."""
    problem = answer_problem(replace(GOOD, head=png(side, side)), LINK, LIMITS)
    assert problem == f"is {side}x{side} pixels: each side must be at most 4999"


@pytest.mark.parametrize(
    ("metadata_bytes", "words"),
    [(0, "is 100x90 pixels"), (60_000, "is 100x90 pixels"), (FIRST_BYTES, ""), (150_000, "")],
)
def test_a_jpeg_whose_size_is_not_seen_is_not_refused(metadata_bytes: int, words: str) -> None:
    """Behind 60 KB of metadata it is seen; what stands further behind is the service's to look at."""
    problem = answer_problem(replace(GOOD, head=jpeg_behind(metadata_bytes, 100, 90)), LINK, LIMITS)
    assert problem.startswith(words) if words else not problem
    assert answer_problem(replace(GOOD, head=jpeg_behind(metadata_bytes, 300, 260)), LINK, LIMITS) == ""


def test_the_size_of_a_png_is_seen_before_its_metadata() -> None:
    """It stands in front; the workflow that ComfyUI writes behind it may be longer than what is read."""
    workflow = chunk(b"tEXt", b"workflow\0" + b"x" * 100_000)
    for width, words in ((100, "is 100x260 pixels"), (300, "")):
        problem = answer_problem(replace(GOOD, head=png(width, before=workflow)[:FIRST_BYTES]), LINK, LIMITS)
        assert problem.startswith(words) if words else not problem


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (LIMITS.max_bytes, ""),
        (LIMITS.max_bytes + 1, "has 50000001 bytes; at most 50000000 are accepted"),
        (None, ""),
        (0, ""),  # a server that says nonsense beside a good picture
    ],
)
def test_the_bytes_of_a_picture_are_those_the_service_takes(size: int | None, words: str) -> None:
    """A file whose size nobody says is not refused."""
    assert answer_problem(replace(GOOD, size=size), LINK, LIMITS) == words


def test_the_limits_are_those_of_the_profile() -> None:
    """Another service takes other pictures."""
    for limits in (Limits(max_bytes=len(PNG) - 1), Limits(min_side=261), Limits(max_side=299)):
        assert answer_problem(GOOD, LINK, limits)


@pytest.mark.parametrize("head", [b" " * 32_000, b"\xef\xbb\xbf" + b"\n" * 32_000, b"\x89PNG" + b" " * 32_000])
def test_a_hostile_answer_is_judged_at_once(head: bytes) -> None:
    """No answer may keep the interpreter busy: Cancel would not be heard meanwhile."""
    begun = time.monotonic()
    assert answer_problem(replace(GOOD, head=head), LINK, LIMITS).startswith("leads to no picture")
    assert time.monotonic() - begun < 0.3


# --- how long a link lasts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left_s", "words"),
    [
        (None, ""),
        (600, ""),
        (86_400, ""),
        (599, "expires in "),
        (300, "expires in 5 min; a task may take 10 min"),
        (119, "expires in 119 s; a task may take 10 min"),
        (1, "expires in 1 s; a task may take 10 min"),
        (0, "has expired 0 s ago"),
        (-30, "has expired 30 s ago"),
        (-119, "has expired 119 s ago"),
        (-3600, "has expired 60 min ago"),
        (-3 * 3600, "has expired 3 h ago"),
        (-47 * 3600, "has expired 47 h ago"),
        (-5 * 86_400, "has expired 5 days ago"),
    ],
)
def test_a_link_must_last_as_long_as_a_task_may_take(left_s: float | None, words: str) -> None:
    """Exactly so long is enough; one that says nothing is not refused."""
    problem = expiry_problem(None if left_s is None else NOW + left_s, NOW, 600)
    assert problem.startswith(words) if words else not problem


@pytest.mark.parametrize("left_s", [599.9, 599, 580, 571])
def test_what_is_left_is_never_shown_as_what_is_needed(left_s: float) -> None:
    """That a link expires in 10 min and a task may take 10 min explains nothing."""
    left, needed = expiry_problem(NOW + left_s, NOW, 600).removeprefix("expires in ").split("; a task may take ")
    assert left != needed


# --- addresses of this machine ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "allow_hosts", "is_refused"),
    [
        ("http://localhost/1.png", (), True),
        ("http://LocalHost:8188/1.png", (), True),
        ("http://127.0.0.1:8188/1.png", (), True),
        ("http://127.8.8.8/1.png", (), True),
        ("http://[::1]:8188/1.png", (), True),
        ("http://127.0.0.1/1.png", ("127.0.0.1",), False),
        ("http://127.0.0.2/1.png", ("127.0.0.1",), True),
        ("http://localhost/1.png", ("localhost",), False),
        ("http://[::1]/1.png", ("::1",), False),
        ("https://images.test/1.png", (), False),
        ("https://localhost.images.test/127.0.0.1", (), False),
        ("https://1127.images.test/1.png", (), False),
    ],
)
def test_a_link_to_this_machine_is_known_by_its_host(link: str, allow_hosts: tuple[str, ...], is_refused: bool) -> None:
    """Nothing is asked for it; the operator may allow it by name."""
    expected = "is on this machine, where the service cannot fetch it" if is_refused else ""
    assert own_address_problem(link, allow_hosts) == expected


# --- asking, against a real server ------------------------------------------------------------------------------------

Answer = Callable[[BaseHTTPRequestHandler], object]


class Site:
    """A server on this machine: `answers` are functions of a request by its path; all requests are remembered."""

    def __init__(self) -> None:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                path = self.path.partition("?")[0]
                site.asked.append((self.command, path, self.headers))
                answer = site.answers.get(path, sends(b"", 404)) if self.command == "GET" else sends(b"", 405)
                with contextlib.suppress(OSError, threading.BrokenBarrierError):
                    answer(self)

            do_GET = do_HEAD = do_POST = handle_any

            def log_message(self, format: str, *args: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = False  # joined when it closes
            request_queue_size = 64

        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str, Message]] = []
        self.closing = threading.Event()
        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def link(self, path: str, host: str = "127.0.0.1") -> str:
        """The address of a path."""
        return f"http://{host}:{self.port}{path}"

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [path for _, path, _ in self.asked]

    @contextlib.contextmanager
    def running(self) -> Iterator[Site]:
        """Serve until the block ends."""
        self._thread.start()
        try:
            yield self
        finally:
            self.closing.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


def sends(body: bytes = PNG, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer; a header without a value is left out."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | dict(headers or {})).items():
            if value:
                request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def leads_to(location: str, **headers: str) -> Answer:
    """A redirect."""
    return sends(b"", 302, {"Location": location} | headers)


@pytest.fixture
def site() -> Iterator[Site]:
    """A server that has one picture."""
    site = Site()
    site.answers["/1.png"] = sends()
    with site.running():
        yield site


def policy(*allow_hosts: str) -> Policy:
    """What a check may ask: the whole internet, and the named hosts."""
    return Policy(allow_http=True, allow_hosts=allow_hosts or ("127.0.0.1",))


def look(link: str, first_bytes: int = FIRST_BYTES, total_s: float = PATIENCE_S) -> Peek:
    """One look."""
    return peek(link, policy(), first_bytes=first_bytes, total_s=total_s)


def test_it_asks_as_the_service_would(site: Site) -> None:
    """A ranged GET and no HEAD, which links that are signed for GET refuse; nothing else goes along."""
    answer = look(site.link("/1.png?signature=hunter2"), first_bytes=1000)
    assert answer == Peek(site.link("/1.png?signature=hunter2"), 200, "", PNG, len(PNG))
    ((method, _, headers),) = site.asked
    assert method == "GET"
    assert headers["Range"] == "bytes=0-999"
    assert headers["Accept-Encoding"] == "identity"
    assert set(headers) <= {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection", "Range"}


def test_no_login_of_this_machine_goes_along(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A .netrc would make a link look public that is not, and hand its password to whoever a link names."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    site.answers["/moved"] = leads_to("/1.png")
    requests.get(site.link("/1.png"), timeout=PATIENCE_S)
    assert "Authorization" in site.asked.pop()[2]  # the file works, for those who ask it
    for path in ("/1.png", "/moved"):
        look(site.link(path))
        fetch(site.link(path), policy(), max_bytes=1000, total_s=PATIENCE_S)
    assert site.paths == ["/1.png", "/1.png", "/moved", "/1.png", "/moved", "/1.png"]
    assert not [headers for _, _, headers in site.asked if "Authorization" in headers]


def test_no_cookie_goes_along(site: Site) -> None:
    """Neither to the next address of a redirect nor to the next link."""
    cookie = {"Set-Cookie": "id=1; Path=/"}
    site.answers |= {"/moved": leads_to("/1.png", **cookie), "/1.png": sends(headers=cookie)}
    for _ in range(2):
        look(site.link("/moved"))
    assert len(site.asked) == 4
    assert not [headers for _, _, headers in site.asked if "Cookie" in headers]


@pytest.mark.parametrize("first_bytes", [1000, 100_000])
def test_it_reads_only_the_beginning_of_a_file(site: Site, first_bytes: int) -> None:
    """A server that does not know Range, and sends all of 5 MB, sees the connection end."""
    sent, ended = [0], threading.Event()

    def all_of_it(request: BaseHTTPRequestHandler) -> None:
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        sends(b"", headers={"Content-Length": "5000000"})(request)
        try:
            for _ in range(500):
                sent[0] += request.connection.send(b"x" * 10_000)
        finally:
            ended.set()

    site.answers["/1.png"] = all_of_it
    answer = look(site.link("/1.png"), first_bytes)
    assert (len(answer.head), answer.size) == (first_bytes, 5_000_000)
    assert ended.wait(PATIENCE_S)
    assert sent[0] < 5_000_000


def test_what_unpacks_to_a_large_file_is_not_unpacked(site: Site) -> None:
    """A server that packs although it was asked not to."""
    site.answers["/1.png"] = sends(gzip.compress(PNG + b"x" * 5_000_000), headers={"Content-Encoding": "gzip"})
    with pytest.raises(InputError, match=r"compressed \(gzip\)"):
        look(site.link("/1.png"), first_bytes=1000)


@pytest.mark.parametrize(
    ("status", "headers", "size"),
    [
        (200, {"Content-Length": str(len(PNG))}, len(PNG)),
        (206, {"Content-Range": "bytes 0-99/60000000"}, 60_000_000),
        (206, {"Content-Range": "bytes 0-99/60000000", "Content-Length": ""}, 60_000_000),
        (206, {"Content-Range": "bytes 0-99/*"}, None),
        (206, {"Content-Range": "nonsense"}, None),
        (206, {}, None),  # the length of a part says nothing
        (200, {"Content-Length": ""}, None),
    ],
)
def test_the_size_is_that_of_the_whole_file(site: Site, status: int, headers: dict[str, str], size: int | None) -> None:
    """As the server says it of the part that was asked for; None if it does not say so."""
    site.answers["/1.png"] = sends(PNG, status, headers)
    answer = look(site.link("/1.png"))
    assert (answer.status, answer.head, answer.size) == (status, PNG, size)


@pytest.mark.parametrize(
    ("header", "media_type"),
    [("image/PNG", "image/png"), ("text/html; charset=utf-8", "text/html"), (" Text/HTML ;x", "text/html"), ("", "")],
)
def test_the_type_is_read_without_its_parameters(site: Site, header: str, media_type: str) -> None:
    """In small letters."""
    site.answers["/1.png"] = sends(headers={"Content-Type": header})
    assert look(site.link("/1.png")).media_type == media_type


@pytest.mark.parametrize("status", [204, 401, 403, 404, 410, 416, 429, 500, 503])
def test_a_status_is_an_answer(site: Site, status: int) -> None:
    """With what the host says beside it."""
    body = b"" if status == 204 else b'{"msg": "no"}'
    site.answers["/1.png"] = sends(body, status)
    answer = look(site.link("/1.png"))
    assert (answer.status, answer.head) == (status, body)


def test_redirects_are_followed_to_the_fifth(site: Site) -> None:
    """Each hop is asked the same way, and the last address is the one that counts."""
    site.answers |= {f"/{n}": leads_to(f"/{n - 1}") for n in range(1, 7)} | {"/0": sends()}
    answer = look(site.link("/5"))
    assert (answer.url, answer.head) == (site.link("/0"), PNG)
    assert site.paths == ["/5", "/4", "/3", "/2", "/1", "/0"]
    assert {headers["Range"] for _, _, headers in site.asked} == {f"bytes=0-{FIRST_BYTES - 1}"}
    with pytest.raises(InputError, match="more than 5 redirects"):
        look(site.link("/6"))


def test_a_ring_of_redirects_ends(site: Site) -> None:
    """After as many requests as a chain may have."""
    site.answers |= {"/a": leads_to("/b"), "/b": leads_to("/a")}
    with pytest.raises(InputError, match="more than 5 redirects"):
        look(site.link("/a"))
    assert site.paths == ["/a", "/b"] * 3


def test_what_stands_in_a_redirect_is_not_waited_for(site: Site) -> None:
    """A server that announces a page there and does not send it."""

    def slow(request: BaseHTTPRequestHandler) -> None:
        leads_to("/1.png", **{"Content-Length": "9000"})(request)
        site.closing.wait(PATIENCE_S)

    site.answers["/moved"] = slow
    assert look(site.link("/moved"), total_s=2).head == PNG


def test_a_redirect_in_utf_8_leads_where_it_says(site: Site) -> None:
    """Servers write it unescaped; whoever follows it has to escape the same bytes."""

    def moved(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write("HTTP/1.0 302 Found\r\nLocation: /Größe.png\r\nContent-Length: 0\r\n\r\n".encode())

    site.answers |= {"/moved": moved, "/Gr%C3%B6%C3%9Fe.png": sends()}
    assert look(site.link("/moved")).status == 200


@pytest.mark.parametrize("location", ["http://169.254.169.254/latest", "http://10.0.0.8/1.png", "file:///etc/passwd"])
def test_a_redirect_leads_nowhere_that_is_not_allowed(site: Site, location: str) -> None:
    """Every hop is checked anew."""
    site.answers["/moved"] = leads_to(location)
    with pytest.raises(InputError, match="is not fetched"):
        look(site.link("/moved"))


@pytest.mark.parametrize("where", ["before the headers", "in the headers", "in the body"])
def test_a_look_ends_in_its_time(site: Site, where: str) -> None:
    """A server that drips starts the socket's own timeout anew with every byte; the total goes on."""

    def drip(request: BaseHTTPRequestHandler) -> None:
        head = b"HTTP/1.0 200 OK\r\nContent-Length: 9000\r\n"
        begun = {"before the headers": b"", "in the headers": head, "in the body": head + b"\r\n" + PNG}[where]
        request.wfile.write(begun)
        while not site.closing.wait(0.02):
            request.wfile.write(b"x" if begun else b"")

    site.answers["/1.png"] = drip
    begun = time.monotonic()
    with pytest.raises(UnreachableError, match="too slow") as caught:
        look(site.link("/1.png?signature=hunter2"), total_s=0.3)
    assert time.monotonic() - begun < 3
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 206])
def test_a_file_that_is_cut_short_is_noticed(site: Site, status: int) -> None:
    """Fewer bytes than declared are no picture."""
    site.answers["/1.png"] = sends(PNG, status, {"Content-Length": "9000"})
    with pytest.raises(UnreachableError, match="stopped in the middle") as caught:
        look(site.link("/1.png?signature=hunter2"))
    assert "hunter2" not in str(caught.value)


# --- many links -------------------------------------------------------------------------------------------------------


def trial(*allow_hosts: str, must_last_s: float = 600.0) -> Trial:
    """The service's documented limits; this machine is allowed unless others are named."""
    return Trial(LIMITS, policy(*allow_hosts), must_last_s)


def checked(links: list[str], trial: Trial, now_s: float, monitor: Monitor) -> dict[str, str]:
    """Both steps as Submit takes them: who can be judged unasked is not asked."""
    problems = unusable(links, trial, now_s)
    return problems | unreachable([link for link in links if link not in problems], trial, monitor)


def names(monkeypatch: pytest.MonkeyPatch, **addresses: str) -> None:
    """Let NAME.test lead to addresses, as in the answer of a name server."""
    real = socket.getaddrinfo

    def look_up(host: str, *args: object, **kwargs: object) -> list[object]:
        known = addresses.get(host.removesuffix(".test"), host)
        return [found for address in known.split() for found in real(address, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_good_links_have_no_problem(site: Site) -> None:
    """As PNG, as JPEG, behind a redirect, or with a signature that lasts."""
    site.answers |= {"/2.jpg": sends(encoded("JPEG")), "/moved": leads_to("/1.png")}
    links = ["/1.png", "/2.jpg", "/moved", f"/1.png?expires={NOW + 600:.0f}&signature=a"]
    assert checked([site.link(path) for path in links], trial(), NOW, Monitor()) == {}
    assert len(site.asked) == 5


def test_each_link_is_asked_once_and_problems_stand_in_the_order_of_the_links(site: Site) -> None:
    """Whichever answer comes first."""
    last_came = threading.Event()

    def late(request: BaseHTTPRequestHandler) -> None:
        last_came.wait(PATIENCE_S)
        sends(b"", 404)(request)

    def last(request: BaseHTTPRequestHandler) -> None:
        sends(b"", 410)(request)
        last_came.set()

    site.answers |= {"/first": late, "/last": last}
    first, good, last_one = (site.link(path) for path in ("/first", "/1.png", "/last"))
    problems = checked([first, good, first, last_one, good], trial(), NOW, Monitor())
    assert list(problems) == [first, last_one]
    assert "HTTP 404" in problems[first]
    assert "HTTP 410" in problems[last_one]
    assert sorted(site.paths) == ["/1.png", "/first", "/last"]


def test_links_that_differ_in_their_query_are_different_links(site: Site) -> None:
    """A signature may be good in one and wrong in the other."""
    checked([site.link("/1.png?signature=a"), site.link("/1.png?signature=b")], trial(), NOW, Monitor())
    assert len(site.asked) == 2


def test_links_are_asked_beside_each_other(site: Site) -> None:
    """Every request waits here until as many are open as may be."""
    assert PARALLEL > 1
    together = threading.Barrier(PARALLEL, timeout=5)

    def meet(request: BaseHTTPRequestHandler) -> None:
        together.wait()
        sends()(request)

    links = [f"/{n}.png" for n in range(2 * PARALLEL)]
    site.answers |= {path: meet for path in links}
    assert checked([site.link(path) for path in links], trial(), NOW, Monitor()) == {}


def test_cancel_ends_it_at_once_and_not_all_are_asked_at_once(site: Site) -> None:
    """Servers that do not answer do not keep the node; no more of them are asked than may be at a time."""
    arrived = threading.Semaphore(0)

    def hang(request: BaseHTTPRequestHandler) -> None:
        arrived.release()
        site.closing.wait(PATIENCE_S)

    links = [f"/{n}.png" for n in range(4 * PARALLEL)]
    site.answers |= {path: hang for path in links}
    monitor = Monitor()
    check = start(lambda: checked([site.link(path) for path in links], trial(), NOW, monitor), "test")
    for _ in range(PARALLEL):
        assert arrived.acquire(timeout=PATIENCE_S)
    assert not arrived.acquire(timeout=0.2)  # nobody else comes
    monitor.cancel()
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        check.result(timeout=PATIENCE_S)
    assert time.monotonic() - begun < 2
    assert len(site.asked) == PARALLEL


def test_progress_is_told_link_by_link(site: Site) -> None:
    """Good or bad; the same link twice is one."""
    told: list[Progress] = []
    monitor = Monitor(told.append)
    links = [site.link(path) for path in ("/1.png", "/gone", "/1.png", "/1.png?2")]
    checked(links, trial(), NOW, monitor)
    text = "checking that the service can fetch 3 links"
    assert told == [Progress(done, 3, text) for done in range(4)]
    checked(links[:1], trial(), NOW, monitor)
    assert monitor.progress == Progress(1, 1, "checking that the service can fetch 1 link")


def test_a_link_that_cannot_last_is_not_even_asked(site: Site) -> None:
    """Nor is one to this machine."""
    expired, short = (site.link(f"/1.png?expires={NOW + left:.0f}&signature=a") for left in (-60, 300))
    own = site.link("/1.png", "127.0.0.2")
    problems = checked([expired, short, own], trial(), NOW, Monitor())
    assert problems == {
        expired: "has expired 60 s ago",
        short: "expires in 5 min; a task may take 10 min",
        own: "is on this machine, where the service cannot fetch it",
    }
    assert not site.asked
    assert checked([short], trial(must_last_s=300), NOW, Monitor()) == {}
    assert len(site.asked) == 1


def test_a_server_that_refuses_head_is_fine(site: Site) -> None:
    """As S3 does for links that are signed for GET."""
    assert requests.head(site.link("/1.png"), timeout=PATIENCE_S).status_code == 405
    assert checked([site.link("/1.png")], trial(), NOW, Monitor()) == {}


def test_a_login_page_behind_a_redirect_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The person who pasted the link sees that it is open in their browser only."""
    names(monkeypatch, sso="127.0.0.1")
    site.answers |= {
        "/1.png": leads_to(site.link("/login?next=hunter2", "sso.test")),
        "/login": sends(b"<!DOCTYPE html><form><input type='password'>", headers={"Content-Type": "text/html"}),
    }
    link = site.link("/1.png")
    problems = checked([link], trial("127.0.0.1", "sso.test"), NOW, Monitor())
    assert problems == {link: "leads to a login page at sso.test, not to a picture"}


@pytest.mark.parametrize("size", [LIMITS.max_bytes, LIMITS.max_bytes + 1])
def test_a_file_over_the_limit_is_refused_without_being_fetched(site: Site, size: int) -> None:
    """By what the server says of the whole, be it asked for a part or not."""
    site.answers |= {
        "/part": sends(PNG, 206, {"Content-Range": f"bytes 0-{len(PNG) - 1}/{size}"}),
        "/whole": sends(PNG + b"x" * FIRST_BYTES, headers={"Content-Length": str(size)}),
    }
    links = [site.link("/part"), site.link("/whole")]
    problems = checked(links, trial(), NOW, Monitor())
    assert list(problems) == (links if size > LIMITS.max_bytes else [])
    assert all(f"{size} bytes" in words for words in problems.values())


def test_what_does_not_answer_is_a_problem_in_words(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody there, no such name, no end, no HTTP: never a traceback, never the query."""
    monkeypatch.setattr(reachability, "PEEK_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    site.answers |= {
        "/hangs": lambda request: site.closing.wait(PATIENCE_S),
        "/babble": lambda request: request.wfile.write(b"hello\r\n\r\n"),
        "/ring": leads_to("/ring"),
        "/cut": sends(PNG, headers={"Content-Length": "9000"}),
    }
    expected = {
        f"http://127.0.0.1:{closed}/1.png": "cannot be reached",
        "http://nowhere.invalid/1.png": "cannot be found",
        site.link("/hangs"): "is too slow: no end after 0.5 s",
        site.link("/babble"): "cannot be reached",
        site.link("/ring"): "more than 5 redirects",
        site.link("/cut"): "stopped in the middle",
    }
    links = [f"{link}?signature=hunter2" for link in expected]
    problems = checked(links, trial(), NOW, Monitor())
    assert list(problems) == links
    for words, part in zip(problems.values(), expected.values(), strict=True):
        assert words.startswith("cannot be fetched from outside: ")
        assert part in words
        assert not words.endswith(".")
        assert "hunter2" not in words


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.8", "172.16.0.1", "192.168.1.5", "169.254.169.254", "100.64.0.1", "127.0.0.1", "0.0.0.0", "::1",
        "fd00::8", "fe80::1", "::ffff:10.0.0.8", "93.184.215.14 10.0.0.8",
    ],
)  # fmt: skip
def test_a_name_that_leads_into_a_private_network_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """The service is elsewhere; one private address among public ones is enough. Nobody is asked."""
    names(monkeypatch, nas=address)
    link = site.link("/1.png", "nas.test")
    problems = checked([link], trial("127.0.0.1"), NOW, Monitor())
    assert problems[link].startswith("cannot be fetched from outside: nas.test is not fetched: ")
    assert problems[link].endswith("is a private address. Allow it with CARTOONIZE_ALLOW_HOSTS=nas.test")
    assert not site.asked


def test_a_private_name_that_the_operator_allows_is_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service may stand in the same network."""
    names(monkeypatch, nas="127.0.0.1")
    assert checked([site.link("/1.png", "nas.test")], trial("nas.test"), NOW, Monitor()) == {}
    assert site.paths == ["/1.png"]


def test_a_refusal_names_every_link_by_its_place() -> None:
    """The same link at two places is two images; no query is shown."""
    bad, good = "https://images.test/1.png?signature=hunter2", "https://images.test/2.png?signature=hunter2"
    error = refusal({bad: "is gone"}, [bad, good, bad, good], "Do that.")
    assert isinstance(error, InputError)
    text = str(error)
    assert text.startswith("image 1: https://images.test/1.png is gone.\nimage 3: https://images.test/1.png is gone.")
    assert text.endswith("Nothing was sent, nothing was charged. Do that.")
    assert "2.png" not in text
    assert "hunter2" not in text


@pytest.mark.parametrize("status", [400, 416, 501])
def test_a_server_that_takes_no_ranges_is_asked_without(site: Site, status: int) -> None:
    """Some refuse them for small files; the service does not send any."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        (sends(b"", status) if "Range" in request.headers else sends())(request)

    site.answers["/1.png"] = answer
    assert checked([site.link("/1.png")], trial(), NOW, Monitor()) == {}
    assert site.paths == ["/1.png"] * 2


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("failures", [1, 2, 3])
def test_a_passing_trouble_is_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch, status: int, failures: int
) -> None:
    """Twice; then it is the reason."""
    monkeypatch.setattr(reachability, "RETRY_WAITS_S", (0.0, 0.0))
    answers = [sends(b"", status)] * failures + [sends()]
    site.answers["/1.png"] = lambda request: answers.pop(0)(request)
    problems = checked([site.link("/1.png")], trial(), NOW, Monitor())
    assert problems == ({} if failures < 3 else {site.link("/1.png"): f"answers HTTP {status}"})
    assert len(site.asked) == min(failures + 1, 3)


def test_cancel_is_heard_between_two_attempts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the wait is."""
    monkeypatch.setattr(reachability, "RETRY_WAITS_S", (3600.0,))
    site.answers["/1.png"] = sends(b"", 503)
    monitor = Monitor()
    check = start(lambda: checked([site.link("/1.png")], trial(), NOW, monitor), "test")
    while not site.asked:
        check.exception(0) if check.done() else threading.Event().wait(0.01)
    monitor.cancel()
    assert isinstance(check.exception(PATIENCE_S), Cancelled)


def test_it_does_not_come_as_a_library(site: Site) -> None:
    """Many hosts refuse that name."""
    look(site.link("/1.png"))
    ((_, _, headers),) = site.asked
    assert headers["User-Agent"] == "portrait-cartoonize"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_a_picture_that_is_sent_as_a_page_is_a_picture(kind: str) -> None:
    """Its first bytes say so; scripts that forget the type send text/html."""
    answer = Peek("https://h.test/1", 200, "text/html", encoded(kind), None)
    assert answer_problem(answer, "https://h.test/1", LIMITS) == ""
