"""What a user gets whatever a service does: each row is a fault, how the run ends that meets it, and the run after it.

A run is what Submit Cartoonize and Poll Result do: links, task, picture. The server is scripted byte by byte
(fault_server.py). Nobody sleeps: a wait is noted, and over. What is true of every row is in `_check_error`: no error
says more, or less, of the charge than is known, or shows a secret.
"""

from __future__ import annotations

import gzip
import sqlite3
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from cartoonize_pack.utils import client as client_module
from cartoonize_pack.utils import collection, config, download, pictures
from cartoonize_pack.utils.backend import connect
from cartoonize_pack.utils.client import Client
from cartoonize_pack.utils.collection import collect
from cartoonize_pack.utils.errors import (
    CartoonizeError,
    ContractError,
    DeadlineError,
    OutcomeUnknownError,
    ServiceError,
    TaskFailedError,
    UnreachableError,
)
from cartoonize_pack.utils.monitor import Monitor
from cartoonize_pack.utils.outcomes import OnFailure, settle
from cartoonize_pack.utils.records import State
from cartoonize_pack.utils.submission import Request, submit
from cartoonize_pack.utils.waiting import Waiting
from fault_server import GIGABYTE, PICTURES, REFUSE, FaultServer, Step, drip, flood, image, reply, reset, stall, state
from sample_outcomes import png, values
from scripted_service import APP_SECRET

Count = int | range  # a range where a busy computer may make another attempt necessary
PLACES = ("create", "result", "picture")
STALL_S = 0.15  # what a call, or a download, may take where the server stands still
MOST_CPU_S = 2.0  # of the whole process for one row: ten times what it takes
MEGABYTE = 10**6
IN_BUFFERS = 2 * MEGABYTE  # of the sockets of both sides, at most; a tenth is usual
MOST_REPLY, MOST_PICTURE = client_module.MAX_REPLY_BYTES, 3 * MEGABYTE
OF_CHARGE = ("charges for it once", "costs nothing", "was charged is shown", "were charged is shown")
DONE, ACCEPTED, UNKNOWN, REFUSED, FAILED = State.DONE, State.ACCEPTED, State.UNKNOWN, State.REFUSED, State.FAILED


@dataclass(frozen=True)
class End:
    """How a run ends: an error of this class with these words, or the picture; and what is true then."""

    kind: type[CartoonizeError] | None
    words: tuple[str, ...]
    journal: State
    counts: tuple[Count, ...]  # requests at create, result and picture since the beginning


@dataclass(frozen=True)
class Row:
    """A fault: what each place does before it is fine, and the ends of as many runs."""

    place: str
    name: str
    scripts: Mapping[str, Sequence[Step]]
    ends: tuple[End, ...]
    images: int = 1
    tls: bool = False  # the place is addressed as https
    total_s: float = 20.0  # for a call, or for all attempts of a download, in the first run
    silence_s: float = 20.0  # for which a download waits for the next byte
    waited_s: float | None = None  # one of the waits of the first run
    most_sent: int = IN_BUFFERS  # bytes that the place got rid of
    late: State | None = None  # what the journal says when what stood still has gone on

    @property
    def title(self) -> str:
        """What pytest calls it."""
        return f"{self.place}: {self.name}"


# --- kinds of rows ----------------------------------------------------------------------------------------------------


def recovered(place: str, name: str, *faults: Step, counts: tuple[Count, ...] = (), **more: Any) -> Row:
    """Nobody notices; paid once."""
    counts = counts or tuple(1 + _requests(faults) * (place == other) for other in PLACES)
    return Row(place, name, {place: faults}, (End(None, (), DONE, counts),), **more)


def refused(name: str, faults: Sequence[Step], kind: type[CartoonizeError], *words: str, **more: Any) -> Row:
    """A submission of which certainly nothing was accepted: the error says so, and the next run sends it."""
    asked = _requests(faults)
    ends = (End(kind, words, REFUSED, (asked, 0, 0)), End(None, (), DONE, (asked + 1, 1, 1)))
    return Row("create", name, {"create": faults}, ends, **more)


def unknown(name: str, fault: Step, *words: str, **more: Any) -> Row:
    """A submission that may have been accepted: sent once, and never again by itself, whatever the next run."""
    ends = (
        End(OutcomeUnknownError, ("may have been accepted and charged", "'tasks found 1-", *words), UNKNOWN, (1, 0, 0)),
        End(OutcomeUnknownError, ("may have accepted it", "nothing was sent now"), UNKNOWN, (1, 0, 0)),
    )
    return Row("create", name, {"create": [fault]}, ends, **more)


def unanswered(name: str, faults: Sequence[Step], kind: type[CartoonizeError], *words: str, **more: Any) -> Row:
    """A task that was paid for and cannot be asked about: the next run goes on with it."""
    asked = _requests(faults)
    ends = (End(kind, words, ACCEPTED, (1, asked, 0)), End(None, (), DONE, (1, asked + 1, 1)))
    return Row("result", name, {"result": faults}, ends, **more)


def missing(name: str, faults: Sequence[Step], *words: str, **more: Any) -> Row:
    """A finished picture that does not arrive: the next run asks for a fresh link, and has it."""
    asked = _requests(faults)
    told = End(TaskFailedError, ("finished, but not downloaded", *words), DONE, (1, 1, asked))
    return Row("picture", name, {"picture": faults}, (told, End(None, (), DONE, (1, 2, asked + 1))), **more)


def _requests(faults: Sequence[Step]) -> int:
    return len([step for step in faults if step != REFUSE])


# --- faults -----------------------------------------------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\n"
CREATED = b'{"code": 0, "msg": "", "data": {"task_id": "task-1"}}'
PNG = png(1)
HTML = "<!doctype html><title>Sign in</title>"
BUSY = '{"code": 490001, "msg": "busy"}'


def raw(body: bytes, *headers: str) -> bytes:
    """An answer with these headers and no others, after which the connection is closed."""
    return OK + "".join(f"{header}\r\n" for header in headers).encode("latin-1") + b"\r\n" + body


def status(line: str, *headers: str, body: str = "") -> Step:
    """An answer with another status."""
    return reply(body, line, *headers)


CHUNKED = "Transfer-Encoding: chunked"
GZIP, TWICE = "Content-Encoding: gzip", "Content-Encoding: gzip, gzip"
DATE_PAST, DATE_FAR = "Thu, 01 Jan 1970 00:00:10 GMT", "Fri, 01 Jan 2199 00:00:00 GMT"
DATE_TOO_FAR = f"Fri, 01 Jan {'9' * 30} 00:00:00 GMT"  # more than any integer of C
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
GONE, RING = status("404 Gone"), status("302 Found", f"Location: {PICTURES}/1.png?signature=private")
BROKEN: Mapping[str, Step] = {
    "closed in the headers": (OK + b"Content-Le",),  # no answer arrived
    "reset after the request": (reset,),
    "closed without a byte": (),
    "garbage instead of HTTP": (b"\x00\x01\x02 no HTTP at all\r\n\r\n",),
    "a TLS alert instead of HTTP": (b"\x15\x03\x01\x00\x02\x02\x46",),
    "cut short": (raw(CREATED, "Content-Length: 600"),),
    "two different lengths": (raw(CREATED, "Content-Length: 4", f"Content-Length: {len(CREATED)}"),),
    "a bad chunk size": (raw(b"nonsense\r\n" + CREATED + b"\r\n0\r\n\r\n", CHUNKED),),
    "a negative chunk size": (raw(b"-5\r\n" + CREATED + b"\r\n0\r\n\r\n", CHUNKED),),
    "the last chunk is missing": (raw(b"%x\r\n%b\r\n" % (len(CREATED), CREATED), CHUNKED),),
    "an endless chunk-size line": (raw(b"", CHUNKED), flood(b"1" * 65536)),
    "endless headers": (OK, flood(b"X-More: of the same\r\n" * 1000)),
    "an endless header": (OK + b"X-Long: ", flood(b"x" * 65536)),
}
STANDING: Mapping[str, Step] = {  # there is no end to it
    "silence": (stall,),
    "silence in the headers": (OK + b"Content-Le", stall),
    "silence in the body": (raw(PNG[:30], "Content-Length: 60"), stall),
    "a header that drips": (OK + b"X-Drip: ", drip(b"x")),
    "a body that drips": (raw(PNG, f"Content-Length: {MEGABYTE}"), drip(b" ")),
    "100 Continue for ever": (drip(CONTINUE),),
}
NONSENSE: Mapping[str, Step] = {  # an answer, but none that the API document knows
    "HTML": reply(HTML, media_type="text/html"),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n",),
    "a length too short": (raw(CREATED, "Content-Length: 10"),),
    "not UTF-8": reply(b'{"code": 0, "msg": "\xff\xfe", "data": {"task_id": "task-1", "status": "3"}}'),
    "NaN": reply('{"code": NaN, "data": {"task_id": "task-1", "status": "3"}}'),
    "5000 digits": reply('{"code": ' + "1" * 5000 + "}"),
    "100,000 brackets": reply('{"code": ' + "[" * 100_000 + "]" * 100_000 + "}"),
}


def bomb() -> bytes:
    """A gigabyte of nothing in a megabyte of gzip."""
    packer = zlib.compressobj(wbits=31)
    first, others = (packer.compress(bytes(MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + others * (GIGABYTE // MEGABYTE)


BOMB = bomb()


def gigabyte(begin: bytes, *headers: str) -> Step:
    """More than anybody accepts."""
    return (raw(begin, *headers), flood(b" " * 65536))


CREATE = [
    *(unknown(name, step) for name, step in BROKEN.items()),
    *(unknown(name, step, "no end after", total_s=STALL_S) for name, step in STANDING.items()),
    *(unknown(name, NONSENSE[name]) for name in ("HTML", "204", "a length too short", "not UTF-8", "NaN")),
    *(
        unknown(line, status(line, "Location: /elsewhere", body='{"msg": "bad luck"}'), f"HTTP {line[:3]}", "bad luck")
        for line in ("302 Found", "500 Oops", "502 Oops", "503 Busy", "504 Slow")
    ),
    *(
        unknown(f"503 with Retry-After {name}", status("503 Busy", f"Retry-After: {header}"), "HTTP 503")
        for name, header in (("soon", "soon"), ("'²'", "²"), ("in 10^30 years", DATE_TOO_FAR))
    ),
    unknown("103", (b"HTTP/1.1 103 Early Hints\r\n\r\n", *reply(CREATED)), "HTTP 103"),
    unknown("a late answer", (stall, *reply(CREATED)), total_s=STALL_S, late=ACCEPTED),
    unknown("the task id is a path", reply('{"code": 0, "data": {"task_id": "../batch"}}'), "not '../batch'"),
    unknown("gzip that is none", reply(CREATED, "200 OK", GZIP)),
    unknown("compressed twice", reply(gzip.compress(gzip.compress(CREATED)), "200 OK", TWICE), "compressed"),
    unknown("1 GB as declared", gigabyte(b"", f"Content-Length: {GIGABYTE}"), f"more than the {MOST_REPLY} bytes"),
    unknown("1 GB undeclared", gigabyte(b""), f"more than the {MOST_REPLY} bytes", most_sent=MOST_REPLY + IN_BUFFERS),
    refused("refused all the time", [REFUSE] * 4, UnreachableError, "cannot be reached", "Nothing was sent"),
    refused("401", [status("401 No", body=HTML)], ServiceError, "did not accept the key pair"),
    refused("404", [status("404 No")], ServiceError, "Check create_url"),
    refused("a redirect elsewhere", [status("307 Moved", f"Location: {PICTURES}/1.png")], ServiceError, "not followed"),
    refused("a code", [reply(BUSY)], ServiceError, "code 490001: busy"),
    *(
        refused(f"429 with Retry-After {name}", [status("429 Busy", f"Retry-After: {header}")], UnreachableError, said)
        for name, header, said in (
            ("nothing", "", "HTTP 429"),
            ("soon", "soon", "HTTP 429"),
            ("'²'", "²", "HTTP 429"),
            ("10^30", "9" * 30, "asks to wait"),
            ("in 10^30 years", DATE_TOO_FAR, "HTTP 429"),
        )
    ),
    refused("503 until 2199", [status("503 Busy", f"Retry-After: {DATE_FAR}")], UnreachableError, "asks to wait"),
    refused("429 four times", [status("429 Busy", "Retry-After: 0")] * 4, UnreachableError, "asks to wait 0 s"),
    recovered("create", "refused twice", REFUSE, REFUSE, waited_s=2.0),
    recovered("create", "429 with Retry-After", status("429 Busy", "Retry-After: 7"), waited_s=7.0),
    recovered("create", "429 until 1970", status("429 Busy", f"Retry-After: {DATE_PAST}"), waited_s=1.0),
    recovered("create", "503 with Retry-After", status("503 Busy", "Retry-After: 3"), waited_s=3.0),
    recovered("create", "503 with a code three times", *[status("503 Busy", body=BUSY)] * 3, waited_s=4.0),
    *(
        recovered("create", name, step, counts=(1, 1, 1))
        for name, step in (
            ("a length that is no number", (raw(CREATED, "Content-Length: many"),)),
            ("compressed", reply(gzip.compress(CREATED), "200 OK", GZIP)),
            ("100 Continue fifty times", (CONTINUE * 50, *reply(CREATED))),
        )
    ),
]


def listed(*images: object, code: object = "3", **more: object) -> Step:
    """An answer about the task."""
    return reply(state(code, *images, **more))


def linked(link: object) -> Step:
    """The task is complete, and its picture lies there."""
    return listed({"image_result": link, "status": "3"})


def ended(name: str, fault: Step, *words: str) -> Row:
    """The task is over without a picture: nobody asks or pays again by himself."""
    told = End(TaskFailedError, words, DONE, (1, 1, 0))
    return Row("result", name, {"result": [fault]}, (told, told))


def failed(name: str, fault: Step, *words: str) -> Row:
    """The service says that nothing came of it: the same work may be sent again."""
    ends = (End(TaskFailedError, words, FAILED, (1, 1, 0)), End(None, (), DONE, (2, 2, 1)))
    return Row("result", name, {"result": [fault]}, ends)


def not_fetched(name: str, link: str, said: str) -> Row:
    """The result lies where nothing is fetched from."""
    told = End(TaskFailedError, ("finished, but not downloaded", said), DONE, (1, 1, 0))
    return Row("result", name, {"result": [linked(link)]}, (told, End(None, (), DONE, (1, 2, 1))))


def vanished(name: str, fault: Step, *words: str) -> Row:
    """Complete, but the picture is gone; then not even complete; then all is there again."""
    ends = (
        End(TaskFailedError, ("finished, but not downloaded", "HTTP 404"), DONE, (1, 1, 1)),
        End(TaskFailedError, ("cannot be had again now", *words), DONE, (1, 2, 1)),
        End(None, (), DONE, (1, 3, 2)),
    )
    return Row("result", name, {"result": [listed(image(1)), fault], "picture": [GONE]}, ends)


GOES_ON = listed(code=2)
RESULT = [
    *(
        recovered("result", name, BROKEN[name])
        for name in (
            "reset after the request",
            "closed in the headers",
            "garbage instead of HTTP",
            "cut short",
            "a negative chunk size",
            "an endless chunk-size line",
            "endless headers",
        )
    ),
    *(
        unanswered(name, [STANDING[name]], UnreachableError, total_s=STALL_S)
        for name in ("silence", "silence in the body", "a header that drips")
    ),
    *(unanswered(name, [step], ContractError) for name, step in NONSENSE.items()),
    recovered("result", "silence once", (stall,), total_s=STALL_S, counts=(1, range(2, 8), 1)),
    recovered("result", "refused twice", REFUSE, REFUSE, waited_s=2.0),
    recovered("result", "closed when it is asked again", GOES_ON, ()),
    recovered("result", "closed after the answer, unsaid", GOES_ON[:1]),
    recovered("result", "in progress, then waiting", GOES_ON, listed(code="1"), GOES_ON),
    recovered("result", "the id of another task", listed(code="2", task_id="task-77")),
    recovered("result", "come back in 1,000 years", listed(code="2", wait_time="3e10"), waited_s=30.0),
    recovered("result", "429 with Retry-After", status("429 Busy", "Retry-After: 7"), waited_s=7.0),
    recovered("result", "429 until 2199", status("429 Busy", f"Retry-After: {DATE_FAR}"), waited_s=150.0),
    recovered("result", "429 for 10^30 years", *[status("429 Busy", f"Retry-After: {DATE_TOO_FAR}")] * 3),
    recovered("result", "429 with Retry-After '²'", *[status("429 Busy", "Retry-After: ²")] * 3),
    *(recovered("result", f"{line}, seven times", *[status(line, body=HTML)] * 7) for line in ("500 Oops", "503 Busy")),
    recovered("result", "compressed", reply(gzip.compress(state(2).encode()), "200 OK", GZIP), waited_s=0.5),
    recovered("result", "1 GB as declared", gigabyte(b"", f"Content-Length: {GIGABYTE}")),
    recovered("result", "1 GB undeclared", gigabyte(b""), most_sent=MOST_REPLY + IN_BUFFERS),
    recovered("result", "1 GB in 1 MB", (raw(BOMB, GZIP),)),
    unanswered("refused", [REFUSE], UnreachableError, "cannot be reached", "'tasks resume task-1'"),
    unanswered("503 all the time", [status("503 Busy", body=BUSY)] * 3, UnreachableError, "It says: busy"),
    unanswered(
        "compressed twice",
        [reply(gzip.compress(gzip.compress(state(2).encode())), "200 OK", TWICE)],
        UnreachableError,
        "compressed",
    ),
    unanswered("in progress all the time", [GOES_ON], DeadlineError, "last state: in progress"),
    unanswered("404", [GONE], ServiceError, "does not know this task", "submitted it with profile 'env'"),
    unanswered("a redirect elsewhere", [RING], ServiceError, "redirect, which is not followed"),
    unanswered("40,000 letters", [reply("a." * 20_000)], ContractError, "not JSON"),
    unanswered("the wait is NaN", [listed(code="2", wait_time=float("nan"))], ContractError, "data.wait_time"),
    unanswered("the wait is 10^400", [listed(code="2", wait_time=10**400)], ContractError, "data.wait_time"),
    unanswered("a result is a number", [listed(17)], ContractError, "data.list[0]", "not 17"),
    unanswered("a link is a number", [linked(17)], ContractError, "data.list[0].image_result", "not 17"),
    unanswered("complete without a list", [listed()], TaskFailedError, "ended without pictures: complete"),
    ended("closed", listed(code=5), "ended without pictures: closed"),
    ended("status 9", listed(code=9), "undocumented status 9"),
    failed("failed", listed(code="4"), "ended without pictures: failed"),
    recovered("result", "status 9 with the picture", listed(image(1), code=9), counts=(1, 1, 1)),
    not_fetched("a link into a local network", "https://10.1.2.3/1.png", "private address"),
    not_fetched("a broken link", "http://[::1", "cannot be read"),
    not_fetched("a link with half a letter", "http://\ud800.test/1.png", "http://"),
    vanished("complete, then in progress", GOES_ON, "the service says: in progress"),
    vanished("complete, then gone", GONE, "does not know this task"),
    Row(
        "result",
        "a list that is too short",
        {"result": [listed(image(1))]},
        (
            End(TaskFailedError, ("returned 1 result for 2 images; which is whose is not known",), ACCEPTED, (1, 1, 1)),
            End(None, (), DONE, (1, 2, 3)),
        ),
        images=2,
    ),
    Row(
        "result",
        "a list that is too long",
        {"result": [listed(image(1), image(2))]},
        (
            End(TaskFailedError, ("returned 2 results for 1 image; which is whose is not known",), ACCEPTED, (1, 1, 2)),
            End(None, (), DONE, (1, 2, 3)),
        ),
    ),
]

PICTURE = [
    *(
        recovered("picture", name, BROKEN[name])
        for name in (
            "reset after the request",
            "closed in the headers",
            "two different lengths",
            "a negative chunk size",
            "an endless chunk-size line",
            "an endless header",
        )
    ),
    recovered("picture", "cut short", (raw(PNG, "Content-Length: 600"),)),
    recovered("picture", "the last chunk is missing", (raw(b"%x\r\n%b\r\n" % (len(PNG), PNG), CHUNKED),)),
    *(
        missing(name, [STANDING[name]], "too slow", total_s=STALL_S)
        for name in ("silence", "silence in the headers", "silence in the body", "a body that drips")
    ),
    *(
        recovered("picture", f"{name} once", STANDING[name], silence_s=STALL_S, counts=(1, 1, range(2, 4)))
        for name in ("silence", "silence in the body")
    ),
    recovered("picture", "refused twice", REFUSE, REFUSE, waited_s=2.0),
    recovered("picture", "a redirect that leads back", RING),
    *(recovered("picture", f"{line}, twice", *[status(line)] * 2) for line in ("500 Oops", "204 Nothing")),
    *(
        recovered("picture", name, step, counts=(1, 1, 1))
        for name, step in (
            ("a length that is no number", (raw(PNG, "Content-Length: many"),)),
            ("a negative length", (raw(PNG, "Content-Length: -5"),)),
            ("byte by byte", tuple(bytes([byte]) for byte in raw(PNG))),
        )
    ),
    *(
        missing(line, [status(line)], f"HTTP {line[:3]} instead of a picture", "'tasks resume task-1'")
        for line in ("403 Expired", "404 Gone", "410 Gone")
    ),
    *(
        missing(f"{line}, three times", [status(line)] * 3, f"HTTP {line[:3]} instead of a picture")
        for line in ("429 Busy", "302 Found")
    ),
    missing("HTML", [reply(HTML, media_type="text/html")], "not a picture"),
    missing("a PDF", [reply(b"%PDF-1.7 " + bytes(99), media_type="image/png")], "not a picture"),
    missing("a length too short", [(raw(PNG, f"Content-Length: {len(PNG) - 30}"),)], "damaged or cut short"),
    missing("redirects in a ring", [RING] * 6, "more than 5 redirects"),
    missing("a redirect into a local network", [status("302 Found", "Location: https://10.1.2.3/")], "private address"),
    missing("a redirect to nowhere", [status("302 Found", "Location: http://[::1")], "cannot be read"),
    missing("1 GB as declared", [gigabyte(PNG, f"Content-Length: {GIGABYTE}")], f"more than the {MOST_PICTURE} bytes"),
    missing(
        "1 GB undeclared",
        [gigabyte(PNG)],
        f"more than the {MOST_PICTURE} bytes",
        most_sent=MOST_PICTURE + IN_BUFFERS,
    ),
    missing("compressed", [reply(gzip.compress(PNG), "200 OK", GZIP)], "compressed"),
    missing("compressed twice", [reply(gzip.compress(gzip.compress(PNG)), "200 OK", TWICE)], "compressed"),
]


def tls(place: str, kind: type[CartoonizeError], journal: State, counts: tuple[int, ...], *words: str) -> Row:
    """An address with https, and a port that speaks none: it answers what nginx does."""
    return Row(place, "TLS to a plain port", {}, (End(kind, words, journal, counts),), tls=True)


ROWS = [
    *CREATE,
    *RESULT,
    *PICTURE,
    tls("create", UnreachableError, REFUSED, (0, 0, 0), "cannot be reached", "Nothing was sent"),
    tls("result", UnreachableError, ACCEPTED, (1, 0, 0), "cannot be reached"),
    tls("picture", TaskFailedError, DONE, (1, 1, 0), "finished, but not downloaded", "cannot be reached"),
]


# --- runs -------------------------------------------------------------------------------------------------------------


class Hasty(sqlite3.Connection):
    """A database that does not wait for the disk: here no computer dies."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Do it, but for what makes it durable."""
        return super().execute(sql.replace("=FULL", "=OFF"), *values)


class Hurried(Monitor):
    """Waits that are over at once; meanwhile a place that refuses may come up."""

    def __init__(self, server: FaultServer) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._server = server

    def sleep(self, seconds: float) -> None:
        """Note the wait."""
        self.waits.append(seconds)
        self._server.wait_is_over()


class WithoutTicks(Waiting):
    """Waits between two questions in one piece; that the seconds run down on the node is in test_waiting.py."""

    def sleep(self, seconds: float) -> None:
        """Leave it to the monitor: no clock, which would go on asking it until the time has really passed."""
        self._monitor.sleep(seconds)


@contextmanager
def serving(row: Row, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    """The server of a row as the default profile; behind the block every thread of the pack has ended, too."""
    before = set(threading.enumerate())
    server = FaultServer(row.scripts, images=row.images, tls=row.place if row.tls else "")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    with server.running():
        yield server
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive(), thread.name


def run(row: Row, monitor: Monitor, timeout_s: float) -> list[int | None]:
    """The colours of the pictures that a run brings."""
    backend = connect(config.load(), "env")
    links = tuple(f"https://images.test/{n}.png" for n in range(row.images))
    tasks = submit(backend, Request(links), monitor)
    return values(settle(collect(backend, tasks, timeout_s=timeout_s, monitor=monitor), OnFailure.ERROR, None))


def _check_error(error: CartoonizeError, end: End) -> None:
    """What the row says, and what must be true of every error."""
    text = str(error)
    assert type(error) is end.kind, text
    for words in end.words:
        assert words in text
    for secret in (APP_SECRET, "signature", "Basic "):
        assert secret not in text
    assert ("othing was charged" in text) is (end.journal is REFUSED), text
    if end.journal not in (REFUSED, UNKNOWN):
        assert any(words in text for words in OF_CHARGE), text
        assert "task-1" in text


@pytest.mark.parametrize("row", ROWS, ids=[row.title for row in ROWS])
def test_a_fault_is_recovered_from_or_told(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run ends as the row says: the error, the journal, and how often each place was asked."""
    monkeypatch.setattr(collection, "Waiting", WithoutTicks)
    monkeypatch.setattr(client_module, "QUICK_WAIT_S", 0.0)
    if row.tls or row.total_s == STALL_S:  # else a thread that was given up may ask twice more
        monkeypatch.setattr(client_module, "QUICK_RETRIES", 0)
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Hasty))
    monkeypatch.setattr(download, "READ_TIMEOUT_S", row.silence_s)
    monkeypatch.setattr(pictures, "MAX_RESULT_BYTES", MOST_PICTURE)
    began_s = time.process_time()
    with serving(row, monkeypatch) as server:
        for number, end in enumerate(row.ends):
            total_s = row.total_s if number == 0 else 20.0
            monkeypatch.setattr("cartoonize_pack.utils.backend.Client", partial(Client, total_s=total_s))
            monkeypatch.setattr(pictures, "DOWNLOAD_TOTAL_S", total_s)
            monitor = Hurried(server)
            if end.kind is None:
                assert run(row, monitor, 600.0) == list(range(1, row.images + 1))
            else:
                with pytest.raises(CartoonizeError) as caught:
                    run(row, monitor, 0.0)
                _check_error(caught.value, end)
            if number == 0 and row.waited_s is not None:
                assert any(row.waited_s <= wait_s <= row.waited_s * 1.06 for wait_s in monitor.waits), monitor.waits
            for place, count in zip(PLACES, end.counts, strict=True):
                asked = server.places[place].wait_until_asked(count if isinstance(count, int) else count.start)
                assert asked == count if isinstance(count, int) else asked in count, place
            assert connect(config.load(), "env").journal.submissions()[-1].state is end.journal
            server.wait_is_over()
    assert server.places[row.place].sent <= row.most_sent
    assert time.process_time() - began_s < MOST_CPU_S
    if row.late is not None:
        (record,) = connect(config.load(), "env").journal.submissions()
        assert (record.state, record.task_id) == (row.late, "task-1")


def test_the_table_is_long_enough(record_property: Callable[[str, object], None]) -> None:
    """At least 60 different faults; what became of them is printed at the end of the run, see conftest."""
    assert len({row.title for row in ROWS}) == len(ROWS) >= 60
    firsts = [row.ends[0].kind for row in ROWS]
    told = Counter(kind.__name__ for kind in firsts if kind is not None)
    places = Counter(row.place for row in ROWS)
    record_property(
        "counts",
        f"{len(ROWS)} faults ({', '.join(f'{places[place]} at {place}' for place in PLACES)}): "
        f"{firsts.count(None)} recovered, {', '.join(f'{n} {name}' for name, n in told.most_common())}",
    )
