"""More work than a service takes: clients that submit and poll, and what became of every single submission.

`serve` runs as a process of its own; each client has an address of loopback. Every third one is greedy and never
pauses, the others wait as long as they are told. Most pictures break a limit (200 pixels a side), so that they fail as
soon as they are read: drawing one of the least size takes most of a second of a core. So what is loaded is the HTTP
face, the queue, the job table and the picture store; a few real pictures among the others are drawn to the end.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cartoonize_pack.utils.service.pictures import PictureStore
from PIL import Image
from scripted_service import png
from serve_process import KEYS, serving
from wire import check_refusal

QUEUE = 60  # pictures that may wait; a submission has 20
RATE = 10  # requests a second from one address, after five times as many
SIZE = (257, 1028)  # the narrowest that is drawn: half the work of 257x257
TOO_SMALL = 200
WARM_UP = 2  # pictures that are drawn at the same time before memory is compared
LONGEST_S = 120.0  # for all that was accepted, after the last submission
_HEADERS = {
    "Authorization": f"Basic {base64.b64encode(':'.join(KEYS).encode()).decode()}",
    "Content-Type": "application/json",
}


@dataclass
class Load:
    """What happened: answers by status, the size of each accepted task by its id, pictures by what became of them."""

    statuses: Counter[int] = field(default_factory=Counter)
    accepted: dict[str, int] = field(default_factory=dict)
    pictures: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    seconds: float = 0.0
    start_mb: float = 0.0
    peak_mb: float = 0.0

    def add(self, other: Load) -> None:
        """Count what happened to another client, too."""
        self.statuses += other.statuses
        self.accepted |= other.accepted
        self.pictures += other.pictures
        self.wrong += other.wrong
        self.slowest_s = max(self.slowest_s, other.slowest_s)

    def report(self) -> str:
        """The figures."""
        requests = sum(self.statuses.values())
        return (
            f"requests: {requests} in {self.seconds:.1f} s, {requests / self.seconds:.0f} a second\n"
            f"accepted: {len(self.accepted)} tasks with {sum(self.accepted.values())} pictures; finished: "
            f"{self.pictures['drawn']} drawn, {self.pictures['too small']} found too small\n"
            f"refused: {self.statuses[503]} because the queue was full, {self.statuses[429]} because of the pace\n"
            f"slowest answer: {self.slowest_s:.2f} s\n"
            f"memory: at most {self.start_mb:.0f} MB for the first {WARM_UP} pictures, {self.peak_mb:.0f} MB later"
        )


class _Client:
    """One address that asks for work, on one connection."""

    def __init__(self, base_url: str, number: int, real: Sequence[str], too_small: str) -> None:
        parts = urlsplit(base_url)
        source = (f"127.0.1.{1 + number}", 0)
        self.load = Load()
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, 30, source_address=source)
        self._is_greedy = number % 3 == 0
        self._real = list(real)
        self._too_small = too_small

    def run(self, seconds: float) -> None:
        """Submit for so many seconds, and until every real picture was accepted; then wait for all of them."""
        end = time.monotonic() + seconds
        with closing(self._connection):
            while time.monotonic() < end or self._real:
                self._submit()
            for task_id in self.load.accepted:
                self._finish(task_id, end + LONGEST_S)

    def _submit(self) -> None:
        links = [*self._real[-1:], *[self._too_small] * 20][:20]
        status, data, wait_s = self._call("POST", "/v1/anime/batch", {"images": links, "priority": 1})
        if status == 200:
            self.load.accepted[data["task_id"]] = len(links)
            del self._real[-1:]
            self._call("GET", f"/v1/anime/result/{data['task_id']}")
        elif not self._is_greedy:
            time.sleep(wait_s)

    def _finish(self, task_id: str, end: float) -> None:
        """Poll until a task is final, and look at every picture."""
        while True:
            status, data, wait_s = self._call("GET", f"/v1/anime/result/{task_id}")
            if status == 200 and data["status"] not in ("1", "2"):
                break
            if time.monotonic() > end:
                self.load.wrong.append(f"task {task_id} is not finished: {data}")
                return
            time.sleep(max(wait_s, 0.1))
        if len(data["list"]) != self.load.accepted[task_id]:
            self.load.wrong.append(f"task {task_id} has {len(data['list'])} pictures")
        for image in data["list"]:
            self.load.pictures[self._outcome(image)] += 1

    def _outcome(self, image: dict[str, str]) -> str:
        if image["status"] == "4" and f"{TOO_SMALL}x{TOO_SMALL} pixels" in image["reason"]:
            return "too small"
        status, wait_s = 429, 0.0
        while status == 429:
            time.sleep(wait_s)
            status, data, wait_s = self._call("GET", urlsplit(image["image_result"]).path)
        with Image.open(io.BytesIO(data)) as picture:
            return "drawn" if image["status"] == "3" and picture.size == SIZE else f"{image} {picture.size}"

    def _call(self, method: str, path: str, body: object = None) -> tuple[int, Any, float]:
        """Return status, data and how long to wait; what is not as documented is noted."""
        begin = time.monotonic()
        self._connection.request(method, path, None if body is None else json.dumps(body), _HEADERS)
        response = self._connection.getresponse()
        data, status = response.read(), response.status
        self.load.slowest_s = max(self.load.slowest_s, time.monotonic() - begin)
        self.load.statuses[status] += 1
        if status == 200:
            return status, json.loads(data)["data"] if path.startswith("/v1/") else data, 0.0
        try:
            assert status in (429, 503)
            check_refusal(status, response.headers, json.loads(data))
            return status, None, float(response.headers["Retry-After"])
        except (AssertionError, ValueError, TypeError) as error:
            self.load.wrong.append(f"{method} {path}: {status} {data!r} {response.headers.items()}: {error!r}")
            return status, None, 0.0


def campaign(home: Path, seconds: float, clients: int, real: int) -> Load:
    """Load a service for so many seconds, with so many real pictures among the others, and wait for all of them."""
    store = PictureStore(home / "service" / "pictures")
    names = [store.put(png(*SIZE, 10 + number % 240), "image/png", 3600) for number in range(real)]
    small = store.put(png(TOO_SMALL, TOO_SMALL), "image/png", 3600)
    total = Load()
    with serving(home, "--workers", "2", "--max-queue", str(QUEUE), "--rate", str(RATE)) as (child, base_url):
        links, too_small = [f"{base_url}/files/{name}" for name in names], f"{base_url}/files/{small}"
        first = [_Client(base_url, 1 + n, links[n : n + 1], too_small) for n in range(WARM_UP)]
        everyone = [_Client(base_url, 9 + n, links[WARM_UP + n :: clients], too_small) for n in range(clients)]
        total.start_mb = _run(first, 0.0, child.pid)
        begin = time.monotonic()
        total.peak_mb = _run(everyone, seconds, child.pid)
        total.seconds = time.monotonic() - begin
        for client in (*first, *everyone):
            total.add(client.load)
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=30)
    if child.returncode or errors:
        total.wrong.append(f"exit code {child.returncode}: {errors[-2000:]}")
    total.wrong += _differences(home, total)
    return total


def _differences(home: Path, load: Load) -> list[str]:
    """What the job table says otherwise: lost, invented or unfinished tasks."""
    with closing(sqlite3.connect(home / "service" / "jobs.sqlite3")) as db:
        sizes = dict(db.execute("SELECT id, count(*) FROM images JOIN tasks ON seq = task GROUP BY id"))
        left = db.execute("SELECT state, count(*) FROM images GROUP BY state").fetchall()
    wrong = [] if sizes == load.accepted else [f"the table has {len(sizes)} tasks, {len(load.accepted)} were accepted"]
    return wrong + [f"{count} pictures are {state}" for state, count in left if state not in ("done", "failed")]


def _run(clients: Sequence[_Client], seconds: float, pid: int) -> float:
    """Let clients work until they have what they asked for, and return how much memory a process held at most."""
    peak_mb = 0.0
    with ThreadPoolExecutor(len(clients)) as pool:
        running = [pool.submit(client.run, seconds) for client in clients]
        while wait(running, timeout=0.05).not_done:
            peak_mb = max(peak_mb, _memory_mb(pid))
        for done in running:
            done.result()
    return peak_mb


def _memory_mb(pid: int) -> float:
    """The memory that a process holds, as Linux tells it."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024
