"""The threads that draw: claim, fetch, check, stylize, store, finish."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import uuid
from urllib.parse import urlsplit

from ..addresses import Policy
from ..contract import Limits
from ..download import fetch
from ..errors import CartoonizeError, InputError
from ..fitting import limit_problem
from ..images import Picture, decode, encode_png, inspect, over_white
from ..logs import logger
from .jobs import LEASE_S, Claim, JobTable
from .pictures import PictureStore
from .states import RETENTION_S

_FETCH_TOTAL_S = 120.0
_IDLE_S = 2.0  # how late work of another process that shares the table may be noticed
_SWEEP_S = 600.0
_log = logger(__name__)


class Workers:
    """A fixed number of drawing threads and one that keeps their leases; all daemons."""

    def __init__(self, jobs: JobTable, pictures: PictureStore, policy: Policy, count: int | None = None) -> None:
        self.count = count or max(1, min(4, (os.cpu_count() or 1) - 1))  # one core stays with ComfyUI
        self._owner = uuid.uuid4().hex
        self._jobs = jobs
        self._pictures = pictures
        self._policy = policy
        self._limits = Limits()
        self._news = threading.Condition()
        self._news_count = 0
        self._held: set[Claim] = set()  # only these leases are renewed: one that cannot be finished runs out
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start drawing."""
        for target in [self._draw_until_stopped] * self.count + [self._keep_leases]:
            thread = threading.Thread(target=target, name="cartoonize-worker", daemon=True)
            self._threads.append(thread)
            thread.start()

    def wake(self) -> None:
        """Tell that there may be new work."""
        with self._news:
            self._news_count += 1
            self._news.notify_all()

    def stop(self, patience_s: float = 5.0) -> None:
        """Stop after the pictures in hand, or hand them back when that takes longer than the patience."""
        self._stopping.set()
        self.wake()
        end = time.monotonic() + patience_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        try:
            self._jobs.release(self._owner)
        except sqlite3.Error as error:  # the leases run out by themselves
            _log.warning("the embedded service cannot hand back its work: %s", error)

    def _draw_until_stopped(self) -> None:
        while not self._stopping.is_set():
            seen = self._news_count
            try:
                claim = self._jobs.claim(self._owner)
                if claim is not None:
                    self._draw_held(claim)
                    continue
            except (sqlite3.Error, OSError) as error:  # a full disk or a locked table passes; the thread must not
                self._report(error)
            with self._news:
                if self._news_count == seen:
                    self._news.wait(_IDLE_S)

    def _keep_leases(self) -> None:
        swept = float("-inf")
        while not self._stopping.wait(LEASE_S / 3):
            try:
                self._jobs.renew(list(self._held))
                if time.monotonic() - swept > _SWEEP_S:
                    swept = time.monotonic()
                    self._jobs.sweep()
                    self._pictures.sweep()
            except (sqlite3.Error, OSError) as error:
                self._report(error)

    def _report(self, error: Exception) -> None:
        if not self._stopping.is_set():  # a table closed under the last picture is no news
            _log.warning("the embedded service cannot use its state folder: %s", error)

    def _draw_held(self, claim: Claim) -> None:
        self._held.add(claim)
        try:
            self._draw(claim)
        finally:
            self._held.discard(claim)

    def _draw(self, claim: Claim) -> None:
        start = time.monotonic()
        try:
            picture = self._input(claim.link)
            drawn = encode_png(stylize_picture(picture, claim.style))
        except CartoonizeError as error:
            self._jobs.finish(claim, result=None, reason=str(error))
            return
        except Exception as error:  # noqa: BLE001  # one bad picture must not end the worker; the log has the rest
            _log.exception("drawing a picture failed")
            self._jobs.finish(claim, result=None, reason=f"internal error: {type(error).__name__}")
            return
        self._store(claim, drawn, time.monotonic() - start)

    def _store(self, claim: Claim, drawn: bytes, seconds: float) -> None:
        """Keep a drawn picture, however long the disk stays full: the work is done, and the lease is ours."""
        while True:
            try:
                self._finish(claim, self._pictures.put(drawn, "image/png", RETENTION_S), seconds)
            except (sqlite3.Error, OSError) as error:
                self._report(error)
                if self._stopping.wait(_IDLE_S):
                    return
            else:
                return

    def _finish(self, claim: Claim, result: str, seconds: float) -> None:
        is_ours = False
        try:
            is_ours = self._jobs.finish(claim, result=result, seconds=seconds)
        finally:
            if not is_ours:
                self._pictures.delete(result)

    def _input(self, link: str) -> Picture:
        # A picture that this store holds is read from it: its link may name a port of an earlier run.
        parts = urlsplit(link)
        own = self._pictures.path(parts.path.rpartition("/")[2])
        if own is not None:
            data = own.read_bytes()
        elif parts.hostname == "127.0.0.1" and parts.path.startswith("/files/"):
            msg = "the uploaded picture has expired; run Image to URL again, for instance with another format"
            raise InputError(msg)
        else:
            data = fetch(
                link,
                self._policy,
                max_bytes=self._limits.max_bytes,
                total_s=_FETCH_TOTAL_S,
                kinds=self._limits.formats,
            )
        check_file(data, self._limits)
        return decode(data, self._limits.formats, self._limits.max_side**2)


def check_file(data: bytes, limits: Limits) -> None:
    """Raise InputError naming the value and the limit that an input file breaks, before it is decoded."""
    if len(data) > limits.max_bytes:
        msg = f"the file has {len(data)} bytes; at most {limits.max_bytes} are accepted"
        raise InputError(msg)
    header = inspect(data, limits.formats)
    if problem := limit_problem(header.width, header.height, limits):
        msg = f"the file is {problem}"
        raise InputError(msg)


def stylize_picture(picture: Picture, style: str) -> Picture:
    """Return the picture drawn in a style; transparency is kept as it was."""
    from .engine import Style, stylize  # scipy is imported with the first drawing, not with the pack

    return Picture(stylize(over_white(picture), Style(style)), picture.alpha)
