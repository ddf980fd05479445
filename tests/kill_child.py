"""One run of the whole path as a process that may be killed: upload, submit, poll, download.

Started as a program it imports the pack once, and then forks a child for every line of JSON on standard input: a fork
is a real process, and it is there in milliseconds. It answers each line with one of its own.

    {"work": 7, "kill": {"place": "half sent", "nth": 1}}    die at a named step
    {"work": 7, "kill": {"line": 4711}}                      die at that line of the pack's code, whatever it is
    {"work": 7, "kill": {"after_s": 0.05}}                   be killed from outside
    {"work": 7, "pair": true}                                two processes with the same graph at the same moment
"""

from __future__ import annotations

import gc
import http.client
import json
import os
import select
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pack

pack.load()

from cartoonize_pack.utils import client, config, download, journal  # noqa: E402  # after the pack has its name
from cartoonize_pack.utils.backend import connect, open_host  # noqa: E402
from cartoonize_pack.utils.collection import collect  # noqa: E402
from cartoonize_pack.utils.errors import CartoonizeError  # noqa: E402
from cartoonize_pack.utils.hosting.upload import Encoding, upload  # noqa: E402
from cartoonize_pack.utils.images import Picture  # noqa: E402
from cartoonize_pack.utils.monitor import Monitor  # noqa: E402
from cartoonize_pack.utils.outcomes import OnFailure, settle  # noqa: E402
from cartoonize_pack.utils.submission import Request, submit  # noqa: E402
from scripted_service import ScriptedService  # noqa: E402

IMAGES = 2
SIDE = 257
BASE = 250
TIMEOUT_S = 60.0


def colour_of(work: int) -> tuple[int, int]:
    """Red and green of the pictures of a work."""
    return work // BASE, work % BASE


def picture(work: int, index: int) -> Picture:
    """An input whose colour says which it is."""
    return Picture(np.full((SIDE, SIDE, 3), (*colour_of(work), index), np.uint8))


def run(work: int) -> dict[str, Any]:
    """The whole path for one work; `variation` is its number, so that its records can be found in the journal."""
    settings = config.load()
    monitor = Monitor()
    backend = connect(settings, "env")
    hosted = upload(
        [partial(picture, work, index) for index in range(IMAGES)],
        open_host(settings, "local", backend.profile),
        Encoding("png", may_fit=True, limits=backend.profile.limits),
        uploads=backend.uploads,
        journal=backend.journal,
        monitor=monitor,
    )
    tasks = submit(backend, Request(tuple(h.url for h in hosted), variation=work), monitor)
    collection = collect(backend, tasks, timeout_s=30, monitor=monitor)
    settled = settle(collection, OnFailure.ERROR, None)
    return {"tasks": [str(task) for task in tasks], "colours": [p.rgb[0, 0].tolist() for p in settled if p]}


# --- places to die ----------------------------------------------------------------------------------------------------


def die() -> None:
    """What a crash, the out-of-memory killer and an impatient user do."""
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str, nth: int, only: Callable[..., bool] = lambda *args, **kwargs: True) -> None:
    """Die when the nth matching call of a function begins."""
    _wrap(owner, name, nth, only, lambda original, *args, **kwargs: die())


def after(owner: Any, name: str, nth: int) -> None:
    """Die when the nth call of a function has ended."""

    def last(original: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        die()

    _wrap(owner, name, nth, lambda *args, **kwargs: True, last)


def _wrap(owner: Any, name: str, nth: int, only: Callable[..., bool], last: Callable[..., Any]) -> None:
    original, calls, lock = getattr(owner, name), [0], threading.Lock()

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if only(*args, **kwargs):
            with lock:
                calls[0] += 1
                if calls[0] == nth:
                    return last(original, *args, **kwargs)
        return original(*args, **kwargs)

    setattr(owner, name, wrapped)


def _half_sent(nth: int) -> None:
    def send_half(original: Callable[..., Any], connection: Any, data: bytes) -> None:
        original(connection, data[: len(data) // 2])
        die()

    _wrap(http.client.HTTPConnection, "send", nth, lambda connection, data: b'"images"' in data, send_half)


def _half_read(module: Any, reader: str, method: str, nth: int) -> None:
    def read_half(original: Callable[..., Any], response: Any, *limits: Any) -> None:
        response.raw.read(12)
        die()

    _wrap(module, reader, nth, lambda response, *limits: response.request.method == method, read_half)


def _at_commit(nth: int, when: str) -> None:
    """Die at the commit of the acceptance, before it or after it."""
    accepting = threading.Event()

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if accepting.is_set() and sql == "COMMIT":
                if when == "after":
                    super().execute(sql, *values)
                die()
            return super().execute(sql, *values)

    _wrap(journal.Journal, "accept", nth, lambda *a, **k: True, lambda f, *a, **k: (accepting.set(), f(*a, **k)))
    sqlite3.connect = partial(sqlite3.connect, factory=Connection)


def _half_written(nth: int) -> None:
    def write_half(original: Callable[..., Any], handle: int) -> None:
        os.ftruncate(handle, 40)
        die()

    _wrap(os, "fsync", nth, lambda handle: True, write_half)


PLACES: dict[str, Callable[[int], None]] = {
    "before journal": lambda nth: before(journal.Journal, "begin", nth),
    "after journal": lambda nth: after(journal.Journal, "begin", nth),
    "half sent": _half_sent,
    "half read": lambda nth: _half_read(client, "read_reply", "POST", nth),
    "before commit": lambda nth: _at_commit(nth, "before"),
    "after commit": lambda nth: _at_commit(nth, "after"),
    "in the middle of a question": lambda nth: _half_read(client, "read_reply", "GET", nth),
    "before the answer is remembered": lambda nth: before(journal.Journal, "remember", nth),
    "in the middle of a download": lambda nth: _half_read(download, "read_body", "GET", nth),
    "in the middle of writing a result": _half_written,
    "before a result appears": lambda nth: before(
        os, "replace", nth, only=lambda source, target, **kwargs: "results" in str(target)
    ),
}
TWICE = {"in the middle of a download", "in the middle of writing a result", "before a result appears"}


def _at_line(number: int) -> None:
    """Die at the line of the pack's code that is executed as the number says, counted over all threads."""
    code = str(pack.ROOT / "utils")
    count = [0]

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(code):
            return None
        if event == "line":
            count[0] += 1
            if count[0] == number:
                die()
        return trace

    threading.settrace(trace)
    sys.settrace(trace)


# --- the program ------------------------------------------------------------------------------------------------------


def _forked(work: int, kill: dict[str, Any], gate: int | None) -> tuple[int, int]:
    """Start a child; it says what came of the run in a pipe, if it lives so long."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    try:
        if gate is not None:
            os.read(gate, 1)
        if "place" in kill:
            PLACES[kill["place"]](kill["nth"])
        if "line" in kill:
            _at_line(kill["line"])
        try:
            answer = run(work)
        except CartoonizeError as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        os.write(writing, json.dumps(answer).encode())
    finally:
        os._exit(0)


def _ended(child: int, reading: int, kill: dict[str, Any]) -> dict[str, Any]:
    """What became of a child; one that does not end is an error of the test."""
    if "after_s" in kill:
        time.sleep(kill["after_s"])
        os.kill(child, signal.SIGKILL)
    said_or_ended, _, _ = select.select([reading], [], [], TIMEOUT_S)
    if not said_or_ended:
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()  # to the end of the child, which alone can write there
    _, status = os.waitpid(child, 0)
    if not said_or_ended:
        return {"error": "Stuck", "text": f"no end after {TIMEOUT_S:g} s"}
    if os.WIFSIGNALED(status) and not said:
        return {"killed": True}
    return json.loads(said) if said else {"error": "Silent", "text": "the child ended without a word"}


def _warm_up() -> None:
    """Run once elsewhere: what is loaded at first use, children then have. A fork must find no other thread."""
    kept = dict(os.environ)
    service = ScriptedService()
    with tempfile.TemporaryDirectory() as home, service.running():
        os.environ.update(service.environment, CARTOONIZE_HOME=home)
        run(0)
    os.environ.update(kept)
    end = time.monotonic() + TIMEOUT_S
    while threading.active_count() > 1:
        assert time.monotonic() < end, threading.enumerate()
        time.sleep(0.01)


def main() -> None:
    """Answer line by line."""
    _warm_up()
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        kill = order.get("kill") or {}
        reading, writing = os.pipe()
        gates = [reading, reading] if order.get("pair") else [None]
        children = [_forked(order["work"], kill, gate) for gate in gates]
        os.write(writing, b"go")
        answers = [_ended(child, pipe, kill) for child, pipe in children]
        os.close(reading)
        os.close(writing)
        print(json.dumps(answers), flush=True)  # noqa: T201  # this program's output


if __name__ == "__main__":
    Path(os.environ["CARTOONIZE_HOME"]).mkdir(parents=True, exist_ok=True)
    main()
