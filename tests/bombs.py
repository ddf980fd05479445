"""Answers and files that are built to exhaust memory, and a process of its own for each, which measures itself.

`main` runs in a child (see child_process.py) and forks for every case: the peak of a process only ever grows, and a
forked one starts with a peak of its own. A bomb is made in small pieces, so that making it leaves no room in memory in
which it could burst unseen. Servers say nearly half a gigabyte at most: an open door shows, and the machine survives.
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import signal
import socket
import struct
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from cartoonize_pack.utils.addresses import Policy
from cartoonize_pack.utils.client import Client
from cartoonize_pack.utils.config import Profile, Secret
from cartoonize_pack.utils.download import fetch, peek
from cartoonize_pack.utils.hosting import exchange
from cartoonize_pack.utils.hosting.http import HttpHost
from cartoonize_pack.utils.hosting.http_settings import HttpSettings
from cartoonize_pack.utils.images import MAX_PIXELS, READABLE_FORMATS, decode
from PIL import Image, ImageFile, PngImagePlugin

MEGABYTE = 10**6
MOST_SENT = 400 * MEGABYTE  # by a server, to one client
MOST_MEMORY = 4 * 2**30  # of a process, whatever goes wrong
PICTURE_BYTES = 50 * MEGABYTE  # what the embedded service accepts
TOO_SLOW_S = 0.1  # for what has no end and takes no memory: only time ends it
ENOUGH_S = 10.0  # for everything else
PATIENCE_S = 2.0  # for a thread to end


@dataclass(frozen=True)
class Case:
    """What is done with a bomb, and how it ends: with an error of this class and these words, or "" and a result."""

    name: str
    run: Callable[[], object]
    kind: str
    words: str
    cpu_s: float = 2.0  # what takes longer is killed
    may_go_on: bool = False  # whether a thread may read on behind the error


# --- measuring --------------------------------------------------------------------------------------------------------


def main(group: str) -> None:
    """Run the cases of a group and print what became of each, one JSON object a line."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, resource.RLIM_INFINITY))
    warnings.simplefilter("ignore")  # Pillow's, of damaged metadata
    for name, cases in GROUPS[group].items():
        for case in cases:
            sys.stdout.write(f"{json.dumps({'name': f'{name}: {case.name}', **_measured(case)})}\n")
            sys.stdout.flush()


def _measured(case: Case) -> dict[str, object]:
    """What a process of its own says of a case; one that was killed says nothing."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.write(writer, json.dumps(_run(case)).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as said:
        text = said.read()
    _, status = os.waitpid(child, 0)
    return json.loads(text) if text else {"kind": "killed", "words": f"by {status}", "mb": 0.0, "is_reading": False}


def _run(case: Case) -> dict[str, object]:
    signal.setitimer(signal.ITIMER_PROF, case.cpu_s)
    before, cpu_s, kind = _peak_mb(), time.process_time(), ""
    try:
        words = str(case.run())
    except BaseException as error:  # noqa: BLE001  # told to the test, whatever it is
        kind, words = type(error).__name__, str(error)
    end = time.monotonic() + (0 if case.may_go_on else PATIENCE_S)
    while (is_reading := _is_reading()) and time.monotonic() < end:
        time.sleep(0.005)
    return {
        "kind": kind,
        "words": words[:400],
        "mb": _peak_mb() - before,
        "is_reading": is_reading,
        "cpu_s": time.process_time() - cpu_s,
    }


def _is_reading() -> bool:
    """Whether a thread of the pack is still at work."""
    return any(thread.name.startswith("cartoonize-") for thread in threading.enumerate())


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE


class Server:
    """Says the same to every request: a beginning, then one block again and again until its client hangs up."""

    def __init__(self, start: bytes, block: bytes = b"") -> None:
        self._start, self._block = start, block
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            request = connection.recv(65536)
            length = re.search(rb"(?i)content-length: *([0-9]+)", request)
            while length and len(request.partition(b"\r\n\r\n")[2]) < int(length[1]):
                request += connection.recv(65536)
            connection.sendall(self._start)
            for _ in range(MOST_SENT // len(self._block) if self._block else 0):
                connection.sendall(self._block)


# --- answers ----------------------------------------------------------------------------------------------------------


OK = b"HTTP/1.1 200 OK\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
ZEROS = bytes(65536)
CHUNK = b"10000\r\n" + ZEROS + b"\r\n"
_REST = b"\3\0"  # an empty last block of deflate


def packed_zeros(size: int, *, as_gzip: bool = False) -> bytes:
    """About 1/1000 of so many zeros, as zlib or as gzip (which ends without a checksum: nobody gets that far)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(ZEROS * 16) + packer.flush(zlib.Z_FULL_FLUSH)  # may be repeated
    last = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = block * (size >> 20) + last.compress(bytes(size & 0xFFFFF)) + last.flush()
    if as_gzip:
        return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + body
    return b"\x78\x9c" + body + struct.pack(">I", size % 65521 << 16 | 1)  # Adler-32 of zeros


def with_length(head: bytes, body: bytes) -> bytes:
    """An answer with its length."""
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def as_gzip(times: int) -> bytes:
    """A gigabyte of zeros, packed so often, and said so."""
    body = packed_zeros(10**9, as_gzip=True)
    for _ in range(times - 1):
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        body = packer.compress(body) + packer.flush()
    return with_length(OK + b"Content-Encoding: " + b", ".join([b"gzip"] * times) + b"\r\n", body)


SIZE, TIME, MIDDLE, HEAD = "size", "time", "middle", "head"  # what ends an answer that has no end
ENDLESS: dict[str, tuple[str, bytes, bytes]] = {  # that, its beginning, and what follows for ever
    "10 GB declared": (SIZE, OK + b"Content-Length: 10000000000\r\n\r\n", ZEROS),
    "no length": (SIZE, OK + b"\r\n", ZEROS),
    "chunks": (SIZE, OK + CHUNKED, CHUNK),
    "one chunk": (SIZE, OK + CHUNKED + b"fffffffffffffff\r\n", ZEROS),
    "a chunk of length -1": (MIDDLE, OK + CHUNKED + b"-1\r\n", ZEROS),
    "a chunk of length -1 behind a blank": (MIDDLE, OK + CHUNKED + b" -1\r\n", ZEROS),
    "a chunk's length": (MIDDLE, OK + CHUNKED, b"0" * 65536),
    "a chunk's extension": (MIDDLE, OK + CHUNKED + b"1;", b"a" * 65536),
    "a trailer": (MIDDLE, OK + CHUNKED + b"0\r\na: ", b"a" * 65536),
    "tiny chunks": (TIME, OK + CHUNKED, b"1\r\n\0\r\n" * 10_000),
    "trailers": (TIME, OK + CHUNKED + b"0\r\n", b"a: b\r\n" * 10_000),
    "100 Continue": (TIME, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 3000),
    "100 Continue with headers": (TIME, b"", b"HTTP/1.1 100 Continue\r\nX: " + b"a" * 60_000 + b"\r\n\r\n"),
    "a status": (HEAD, b"HTTP/1.1 200 ", b"a" * 65536),
    "a header": (HEAD, OK + b"X-Long: ", b"a" * 65536),
    "a folded header": (HEAD, OK + b"X-Long: a\r\n", b" a\r\n" * 10_000),
    "headers": (HEAD, OK, b"a: b\r\n" * 10_000),
}


def many_headers() -> bytes:
    """An answer with 100,000 of them."""
    return OK + b"".join(b"X-%d: a\r\n" % n for n in range(100_000)) + b"Content-Length: 0\r\n\r\n"


Use = Callable[[str, float], object]  # of an address, within so many seconds
End = tuple[str, str]  # the class of an error and its words


def answered(use: Use, start: bytes | Callable[[], bytes], block: bytes = b"", total_s: float = ENOUGH_S) -> object:
    """What becomes of a request to a server that answers so."""
    return use(Server(start() if callable(start) else start, block).url, total_s)


def endless(use: Use, ends: dict[str, End], *, may_go_on: bool = False) -> list[Case]:
    """A case of each of the endless answers whose end is known; those without one may go on, or not."""
    times = {TIME: TOO_SLOW_S, MIDDLE: 0.5}
    return [
        Case(
            f"endless: {name}",
            partial(answered, use, start, block, times.get(by, ENOUGH_S)),
            *ends[by],
            may_go_on=may_go_on and by == TIME,
        )
        for name, (by, start, block) in ENDLESS.items()
        if by in ends
    ]


def download(url: str, total_s: float, path: str = "/a") -> str:
    """Fetch a picture."""
    size = len(fetch(url + path, Policy(own_address=url), max_bytes=PICTURE_BYTES, total_s=total_s))
    return f"{size} bytes"


def look(url: str, total_s: float) -> object:
    """Look at the beginning of a picture."""
    return peek(url + "/a", Policy(own_address=url), first_bytes=64, total_s=total_s)


def client(url: str, total_s: float) -> Client:
    """A client of a service at this address."""
    key = {"app_key": Secret("a key for tests"), "app_secret": Secret("a secret for tests")}
    urls = {"create_url": f"{url}/batch", "result_url": f"{url}/result/{{task_id}}"}
    return Client(Profile("test", **urls, **key, allow_http=True), total_s)  # type: ignore[arg-type]


def ask(url: str, total_s: float) -> str:
    """Ask for a task."""
    with client(url, total_s) as asking:
        return f"{len(asking.get_task('t-1').images)} images"


def submit(url: str, total_s: float) -> str:
    """Submit an image."""
    with client(url, total_s) as asking:
        return asking.create_task(["https://images.test/a.png"], 1)


def upload(url: str, total_s: float, link: str = "{json:/data/url}") -> str:
    """Upload a picture."""
    exchange.REQUEST_S, exchange.RETRY_WAITS_S = total_s, ()
    settings = HttpSettings("attic", url=f"{url}/{{name}}", link=link, public=False, allow_http=True)
    return f"a link of {len(HttpHost(settings).put('a.png', b'pixels', 'image/png').link)} characters"


def state(head: bytes = OK, **data: str) -> bytes:
    """An answer about a finished task, with these parts of JSON in it."""
    parts = ",".join(f'"{key}":{value}' for key, value in {"status": '"3"', **data}.items())
    return with_length(head, f'{{"code":0,"data":{{{parts}}}}}'.encode())


def many(item: str, size: int) -> str:
    """A JSON list of one thing, as long as so many bytes."""
    return "[" + ",".join([item] * (size // (len(item) + 1))) + "]"


def said(text: str, size: int) -> bytes:
    """An answer that is this text, again and again."""
    return with_length(OK, text.encode() * (size // len(text.encode())))


def with_header(name: bytes, value: bytes, head: bytes = OK) -> bytes:
    """A short answer with a header."""
    return with_length(head + name + b": " + value + b"\r\n", b"{}")


DIGITS = b"9" * 5000  # more than Python reads as a number
DOTS, KEYS = "a." * 30_000, "key=" * 15_000  # each letter might begin the scheme of a URL, each word name a secret
TOO_MANY, NOT_WHOLE = "sends more than the [0-9]+ bytes", "stopped in the middle: [A-Z]"
PACKED, PACKED_THRICE = r"sends it compressed \(gzip\)", r"sends it compressed \(gzip, gzip, gzip\)"
DOWNLOADS = [
    *endless(
        download,
        {
            SIZE: ("InputError", TOO_MANY),
            TIME: ("UnreachableError", "too slow: no end after"),
            MIDDLE: ("UnreachableError", NOT_WHOLE),
            HEAD: ("UnreachableError", "cannot be reached: ConnectionError"),
        },
    ),
    Case("gzip 1000:1", partial(answered, download, partial(as_gzip, 1)), "InputError", PACKED),
    Case("gzip, gzip, gzip", partial(answered, download, partial(as_gzip, 3)), "InputError", PACKED_THRICE),
    Case("100,000 headers", partial(answered, download, many_headers), "UnreachableError", "cannot be reached"),
    Case(
        "a length of 5000 digits",
        partial(answered, download, OK + b"Content-Length: " + DIGITS + b"\r\n\r\n", ZEROS),
        "InputError",
        TOO_MANY,
    ),
    Case(
        "a redirect with an endless body",
        partial(answered, download, b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n", ZEROS),
        "InputError",
        "more than 5 redirects",
    ),
    Case(
        "an error with an endless body",
        partial(answered, download, b"HTTP/1.1 404 Gone\r\n\r\n", ZEROS),
        "UnreachableError",
        "HTTP 404",
    ),
    Case("a glance at an endless body", partial(answered, look, OK + b"\r\n", ZEROS), "", "status=200"),
    Case("a glance at gzip", partial(answered, look, partial(as_gzip, 1)), "InputError", PACKED),
    Case(
        "a range of 5000 digits",
        partial(answered, look, with_header(b"Content-Range", b"bytes 0-1/" + DIGITS, b"HTTP/1.1 206 Part\r\n")),
        "",
        "status=206",
    ),
    Case(
        "a redirect to 60 KB of dots",
        partial(answered, download, with_header(b"Location", f"{DOTS}:a".encode(), b"HTTP/1.1 302 Found\r\n")),
        "InputError",
        r"only http\(s\)",
        cpu_s=0.5,
    ),
]
MUCH = 900_000  # bytes: of an answer, 1 MB is read
LINK = '{"image_result":"https://a.b/1.png"}'
NO_JSON = ("ContractError", "is not JSON")
API = [
    *endless(
        ask,
        {
            SIZE: ("UnreachableError", TOO_MANY),
            TIME: ("UnreachableError", "did not answer: no end after"),
            MIDDLE: ("UnreachableError", NOT_WHOLE),
            HEAD: ("UnreachableError", "cannot be reached.*got more than"),
        },
        may_go_on=True,  # a client has nothing to cut its requests with
    ),
    *(
        Case(f"submission, {case.name}", case.run, case.kind, case.words)
        for case in endless(submit, {SIZE: ("OutcomeUnknownError", TOO_MANY)})
    ),
    Case("gzip 1000:1", partial(answered, ask, partial(as_gzip, 1)), "UnreachableError", TOO_MANY),
    Case("gzip, gzip, gzip", partial(answered, ask, partial(as_gzip, 3)), "UnreachableError", PACKED_THRICE),
    Case("submission, gzip 1000:1", partial(answered, submit, partial(as_gzip, 1)), "OutcomeUnknownError", TOO_MANY),
    Case("100,000 headers", partial(answered, ask, many_headers), "UnreachableError", "got more than 100 headers"),
    Case(
        "an endless 503",  # which is asked for again
        partial(answered, ask, b"HTTP/1.1 503 Busy\r\n" + CHUNKED, CHUNK, TOO_SLOW_S),
        "UnreachableError",
        "did not answer: no end after",
        may_go_on=True,
    ),
    Case(
        "an endless 503 that asks to wait",
        partial(answered, ask, b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\n" + CHUNKED, CHUNK),
        "UnreachableError",
        TOO_MANY,
    ),
    Case(
        "a length of 5000 digits",
        partial(answered, ask, OK + b"Content-Length: " + DIGITS + b"\r\n\r\n", ZEROS),
        "UnreachableError",
        TOO_MANY,
    ),
    *(
        Case(f"Retry-After: {name}", partial(answered, ask, with_header(b"Retry-After", value, BUSY)), *end)
        for name, value, end in (
            ("60,000 digits", b"9" * 60_000, ("UnreachableError", r"asks to wait 1e\+09 s")),
            ("a letter that is a digit", "²".encode("latin-1"), ("UnreachableError", "HTTP 503")),
            ("a year too late", b"Mon, 01 Jan 99999999999999999999 00:00:00 GMT", ("UnreachableError", "HTTP 503")),
            ("a zone too far", b"Mon, 01 Jan 2024 00:00:00 +99999999999999999999", ("UnreachableError", "HTTP 503")),
        )
    ),
    *(
        Case(f"JSON: {name}", partial(answered, ask, answer), *end)
        for name, answer, end in (
            ("arrays 100,000 deep", lambda: said("[", 100_000), NO_JSON),
            ("objects 100,000 deep", lambda: said('{"a":', 500_000), NO_JSON),
            ("a reason 900 deep", lambda: state(list=f'[{{"reason":{"[" * 900}{"]" * 900}}}]'), ("", "1 images")),
            ("1 MB of one number", lambda: state(wait_time="9" * MUCH), NO_JSON),
            ("1 MB behind the point", lambda: state(wait_time="1." + "9" * MUCH), ("", "0 images")),
            ("1 MB of digits", lambda: state(wait_time=f'"{"9" * MUCH}"'), ("ContractError", "should be seconds")),
            ("1 MB of numbers", lambda: state(status=many("1", MUCH)), ("ContractError", "a whole number, not")),
            ("1 MB of fractions", lambda: state(status=many("1.5", MUCH)), ("ContractError", "a whole number, not")),
            ("1 MB of lists", lambda: state(status=many("[]", MUCH)), ("ContractError", "a whole number, not")),
            ("4 MB of numbers", lambda: state(list=many("1", 4 * MEGABYTE)), ("UnreachableError", TOO_MANY)),
            ("100,000 results", lambda: state(list=many("{}", 3 * 100_000)), ("ContractError", "length of data.list")),
            ("1 MB of results", lambda: state(list=many("{}", MUCH)), ("ContractError", "length of data.list")),
            ("100,000 links", lambda: state(list=many(LINK, 100_000 * len(LINK))), ("UnreachableError", TOO_MANY)),
            ("1 MB of reasons", lambda: state(list=f'[{{"reason":{many("1", MUCH)}}}]'), ("", "1 images")),
            ("1 MB of smiles", lambda: said("\U0001f600", MUCH), NO_JSON),
            ("60 KB of dots", lambda: state(status=f'"{DOTS}"'), ("ContractError", "a whole number, not")),
            ("60 KB of keys", lambda: state(status=f'"{KEYS}"'), ("ContractError", "a whole number, not")),
        )
    ),
]
HOST = [
    *endless(
        upload,
        {
            SIZE: ("ConfigurationError", "did not reply with a link"),
            TIME: ("UnreachableError", "too slow: no end after"),
            MIDDLE: ("UnreachableError", NOT_WHOLE),
            HEAD: ("UnreachableError", "cannot be reached: .*got more than"),
        },
    ),
    Case(
        "gzip 1000:1", partial(answered, upload, partial(as_gzip, 1)), "ConfigurationError", "did not reply with a link"
    ),
    Case("gzip, gzip, gzip", partial(answered, upload, partial(as_gzip, 3)), "ConfigurationError", "did not reply"),
    Case("100,000 headers", partial(answered, upload, many_headers), "UnreachableError", "got more than 100 headers"),
    *(
        Case(f"JSON: {name}", partial(answered, upload, answer), "ConfigurationError", "is not in the host's reply")
        for name, answer in (
            ("arrays 100,000 deep", lambda: said("[", 100_000)),
            ("objects 100,000 deep", lambda: said('{"data":', 800_000)),
            ("1 MB of one number", lambda: with_length(OK, b'{"data":{"url":' + b"9" * 900_000 + b"}}")),
            ("1 MB of lists", lambda: with_length(OK, many("[]", 900_000).encode())),
        )
    ),
]

# --- pictures ---------------------------------------------------------------------------------------------------------


SMALL = Image.linear_gradient("L").resize((16, 16)).convert("RGB")


def png(width: int, height: int, packed: bytes, *chunks: tuple[bytes, bytes], depth: int = 8, parts: int = 1) -> bytes:
    """A grey PNG with these chunks before its pixels; `parts` is how many of them the pixels are."""
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    pixels = [(b"IDAT", packed), *[(b"IDAT", b"")] * (parts - 1)]
    stream = b"\x89PNG\r\n\x1a\n"
    return stream + b"".join(_chunk(*chunk) for chunk in ((b"IHDR", header), *chunks, *pixels, (b"IEND", b"")))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def huge_png(width: int, height: int) -> bytes:
    """A whole PNG, black and white, whose pixels are packed as densely as they can be."""
    return png(width, height, packed_zeros(((width + 7) // 8 + 1) * height), depth=1)


def small_png(*chunks: tuple[bytes, bytes], **options: int) -> bytes:
    """A PNG of 16x16 pixels with these chunks."""
    return png(16, 16, packed_zeros(16 * 17), *chunks, **options)


def animated_png(frames: int) -> bytes:
    """A PNG of so many further frames."""
    packed, chunks = packed_zeros(16 * 17), b""
    for number in range(0, 2 * frames, 2):
        control = struct.pack(">IIIIIHHBB", number, 16, 16, 0, 0, 1, 10, 0, 0)
        chunks += _chunk(b"fcTL", control) + _chunk(b"fdAT", struct.pack(">I", number + 1) + packed)
    whole = small_png((b"acTL", struct.pack(">II", frames, 0)))
    return whole[:-12] + chunks + whole[-12:]


def saved(fmt: str, **options: Any) -> bytes:
    """A picture of 16x16 pixels as Pillow writes it."""
    stream = io.BytesIO()
    SMALL.save(stream, fmt, **options)
    return stream.getvalue()


def huge_jpeg() -> bytes:
    """A JPEG that states 65500x65500 pixels."""
    data = bytearray(saved("JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 65500, 65500)
    return bytes(data)


def many_scans(times: int) -> bytes:
    """A progressive JPEG whose last scan comes so often."""
    data = saved("JPEG", progressive=True)
    at, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:at] + data[at:end] * times + data[end:]


def huge_webp(**options: Any) -> bytes:
    """A WebP that states 16383x16383 pixels, in the form of its header that the options lead to."""
    data = bytearray(saved("WEBP", **options))
    if data[12:16] == b"VP8X":
        data[24:30] = (16382).to_bytes(3, "little") * 2
    elif data[12:16] == b"VP8L":
        data[21:25] = (16382 | 16382 << 14).to_bytes(4, "little")
    else:
        data[26:30] = struct.pack("<HH", 16383, 16383)
    return bytes(data)


def animated_webp(frames: int) -> bytes:
    """A WebP of so many frames."""
    data = saved("WEBP", save_all=True, append_images=[SMALL.rotate(90)])
    at = data.index(b"ANMF")
    length = 8 + struct.unpack("<I", data[at + 4 : at + 8])[0]
    body = data[8:at] + data[at : at + length] * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def huge_bmp(width: int, height: int, lines: bytes) -> bytes:
    """A BMP of eight bits a pixel, packed as run lengths."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(lines), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(lines), 0, 0, 1078) + header + bytes(1024) + lines


def overlapping_exif(tags: int = 4000, size: int = 48_000) -> bytes:
    """Metadata of 60 KB, each part of which is nearly all of it."""
    entries = b"".join(struct.pack("<HHII", 4096 + n, 7, size, 8) for n in range(tags))
    block = b"II*\0" + struct.pack("<IH", 8, tags) + entries
    return block + bytes(60_000 - len(block))


def with_exif(fmt: str) -> bytes:
    """A picture with such metadata."""
    if fmt == "PNG":
        return small_png((b"eXIf", overlapping_exif()))
    return saved(fmt, exif=b"Exif\0\0" + overlapping_exif())


def lift_limits() -> None:
    """What other packs of the same process set in Pillow."""
    Image.MAX_IMAGE_PIXELS = None
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 2**31
    ImageFile.LOAD_TRUNCATED_IMAGES = True


def decoded(make: Callable[[], bytes], are_limits_lifted: bool) -> str:
    """Decode a file as a result is decoded."""
    if are_limits_lifted:
        lift_limits()
    picture = decode(make(), READABLE_FORMATS, MAX_PIXELS)
    return f"{picture.width}x{picture.height}"


def packed_text(kind: bytes) -> bytes:
    """A PNG with a gigabyte of text or profile in a megabyte."""
    start = {b"zTXt": b"Comment\0\0", b"iTXt": b"Comment\0\1\0\0\0", b"iCCP": b"Profile\0\0"}[kind]
    return small_png((kind, start + packed_zeros(10**9)))


REFUSED, FINE = ("InputError", "pixels; at most 100000000 pixels, and 65535 a side,"), ("", "16x16")
Files = dict[str, tuple[Callable[[], bytes], End]]
HUGE: Files = {  # for which Pillow has limits of its own
    "PNG 20000x20000": (partial(huge_png, 20_000, 20_000), REFUSED),
    "PNG 100000x100000": (partial(png, 100_000, 100_000, b"", depth=1), REFUSED),
    "PNG with zTXt": (partial(packed_text, b"zTXt"), FINE),
    "PNG with iTXt": (partial(packed_text, b"iTXt"), FINE),
    "PNG with iCCP": (partial(packed_text, b"iCCP"), FINE),
    "PNG with a gigabyte for 16x16 pixels": (lambda: png(16, 16, packed_zeros(10**9)), FINE),
    "WebP 16383x16383": (huge_webp, REFUSED),
    "WebP 16383x16383, lossless": (partial(huge_webp, lossless=True), REFUSED),
    "WebP, animated on 16383x16383": (partial(huge_webp, save_all=True, append_images=[SMALL]), REFUSED),
    "JPEG 65500x65500": (huge_jpeg, REFUSED),
    "BMP 30000x30000": (partial(huge_bmp, 30_000, 30_000, b"\xff\0\0\1"), REFUSED),
}
MANY: Files = {
    "PNG 1x4000000": (partial(huge_png, 1, 4_000_000), ("InputError", "1x4000000 pixels")),
    "PNG of 100,001 chunks": (lambda: small_png(*[(b"tEXt", b"")] * 100_001), ("InputError", "more than 100000 parts")),
    "PNG of 10,000 parts": (partial(small_png, parts=10_000), FINE),
    "PNG with overlapping EXIF": (partial(with_exif, "PNG"), FINE),
    "APNG of 10,000 frames": (partial(animated_png, 10_000), FINE),
    "WebP of 10,000 frames": (partial(animated_webp, 10_000), FINE),
    "WebP with overlapping EXIF": (partial(with_exif, "WEBP"), FINE),
    "JPEG of 5,000 scans": (partial(many_scans, 5000), ("InputError", "it has 50[0-9]+ scans")),
    "JPEG with overlapping EXIF": (partial(with_exif, "JPEG"), FINE),
    "BMP that jumps": (partial(huge_bmp, 1000, 1000, b"\0\2\xff\xff" * 100_000 + b"\0\1"), ("", "1000x1000")),
}


def pictures(files: Files, *, are_limits_lifted: bool) -> list[Case]:
    """A case of each of the files."""
    return [Case(name, partial(decoded, make, are_limits_lifted), *end) for name, (make, end) in files.items()]


# --- whether this can fail --------------------------------------------------------------------------------------------


def filled(size: int, piece: int) -> str:
    """Take so many bytes of memory, in pieces."""
    held = [bytearray(piece) for _ in range(size // piece)]
    return f"{len(held)} pieces"


def busy() -> None:
    """Never end."""
    while True:
        pass


CONTROLS = [
    Case("150 MB in one piece", partial(filled, 150 * MEGABYTE, 150 * MEGABYTE), "", "1 pieces"),
    Case("150 MB in small pieces", partial(filled, 150 * MEGABYTE, 1000), "", "150000 pieces"),
    Case("no end", busy, "killed", "", cpu_s=0.1),
]
GROUPS = {
    "answers": {"download": DOWNLOADS, "API": API, "upload host": HOST},
    "pictures": {
        "picture": pictures(HUGE | MANY, are_limits_lifted=False),
        "picture, without Pillow's limits": pictures(HUGE, are_limits_lifted=True),
    },
    "controls": {"control": CONTROLS},
}
