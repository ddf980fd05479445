"""Many runs killed with SIGKILL and started again, against a service that counts what it is paid for."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cartoonize_pack.utils.images import decode
from cartoonize_pack.utils.journal import Journal
from cartoonize_pack.utils.records import State
from cartoonize_pack.utils.service.pictures import PictureStore
from kill_child import BASE, IMAGES, PLACES, TWICE, colour_of
from PIL import Image
from scripted_service import ScriptedService

RUNNERS = 2
LINES = 1200  # of the pack's code in one run, about; a kill beyond the last line does not happen
RESULT = 100  # what tells the colour of a result from that of its input
LONGEST_S = 0.08  # the same in seconds


class PaidService(ScriptedService):
    """Knows from the pictures themselves which work it is paid for."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self._http.handle_error = lambda *args: None  # type: ignore[method-assign]  # those who call are killed
        self._pictures = PictureStore(home / "service" / "pictures")
        self._results = home / "results"
        self._kept: set[tuple[str, int]] = set()
        self.fetched_again: list[str] = []  # although they were kept whole: lost, had the link not lived on
        self.accepted: Counter[int] = Counter()
        self.attempts = 0
        self.busy = 0
        self._works: dict[str, int] = {}
        self._counting = threading.Lock()

    def work_of(self, link: str) -> tuple[int, int]:
        """The work and the index of a hosted picture."""
        path = self._pictures.path(link.rpartition("/")[2])
        assert path is not None, link
        high, low, index = decode(path.read_bytes(), ("PNG",), 10**6).rgb[0, 0].tolist()
        return high * BASE + low, index

    def create(self, body: dict[str, Any]) -> dict[str, object]:
        """Accept, and count."""
        (work,) = {self.work_of(link)[0] for link in body["images"]}
        answer = super().create(body)
        with self._counting:
            self.accepted[work] += 1
            self._works[str(answer["task_id"])] = work
        return answer

    def look_into_the_store(self, work: int) -> None:
        """Note which results are kept whole: from now on nobody may have to fetch them."""
        for task_id in [task for task, found in list(self._works.items()) if found == work]:
            for path in self._results.glob(f"{task_id}-*/[0-9]*.png"):
                number, _, digest = path.stem.partition("-")
                if hashlib.sha256(path.read_bytes()).hexdigest().startswith(digest):
                    self._kept.add((task_id, int(number) - 1))

    def tasks_of(self, work: int) -> list[str]:
        """What the service's console shows to a person who looks, once everything on its way has arrived."""
        while self.busy:
            time.sleep(0.002)
        return [task for task, found in self._works.items() if found == work]

    def _picture(self, task_id: str, index: int) -> bytes:
        if (task_id, index) in self._kept:
            self.fetched_again.append(f"{task_id} {index}")
        work, number = self.work_of(self.links(task_id)[index])
        return _png(*colour_of(work), RESULT + number)

    def _handler(service) -> type[Any]:
        base = super()._handler()

        class Handler(base):  # type: ignore[misc,valid-type]
            def do_POST(self) -> None:
                with service._counting:
                    service.attempts += 1
                    service.busy += 1
                try:
                    super().do_POST()
                except (ValueError, OSError):  # half a body, or nobody there any more
                    self.close_connection = True
                finally:
                    with service._counting:
                        service.busy -= 1

            def do_GET(self) -> None:
                try:
                    super().do_GET()
                except OSError:
                    self.close_connection = True

        return Handler


def _png(*colour: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(stream, "PNG")
    return stream.getvalue()


class Runner:
    """A process that forks runs; see kill_child."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "kill_child.py")],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, work: int, kill: Mapping[str, Any] | None = None, *, pair: bool = False) -> list[dict[str, Any]]:
        """Return what became of the run, or of the two runs of a pair."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"work": work, "kill": kill, "pair": pair}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


class Campaign:
    """Counts what happened; `wrong` holds everything that must not."""

    def __init__(self, service: PaidService, home: Path) -> None:
        self._service = service
        self._journal = Journal(home)
        self._lock = threading.Lock()
        self.kills: Counter[str] = Counter()
        self.found = 0
        self.forgotten = 0
        self.works = 0
        self.resubmitted_unknown = 0
        self.wrong: list[str] = []

    def is_enough(self, kills: int) -> bool:
        """Whether so many kills have happened, at every named step among them (or never will)."""
        missing = set(PLACES) - set(self.kills)
        return (sum(self.kills.values()) >= kills and not missing) or self.works > 2 * kills

    def run_to_the_end(self, runner: Runner, work: int, kills: list[dict[str, Any]]) -> None:
        """Start one work again and again, each time killed as the list says, and at last let it finish."""
        for kill in kills:
            if self._one_run(runner, work, kill).get("killed"):
                with self._lock:
                    self.kills[kill.get("place") or ("at a line" if "line" in kill else "at a moment")] += 1
        answer = self._one_run(runner, work, None)
        expected = [[*colour_of(work), RESULT + index] for index in range(IMAGES)]
        if answer.get("colours") != expected:
            self.wrong.append(f"work {work}, after {kills}: {answer}")
        if self._service.accepted[work] != 1:
            self.wrong.append(f"work {work}, after {kills}: paid {self._service.accepted[work]} times")
        with self._lock:
            self.works += 1

    def _one_run(self, runner: Runner, work: int, kill: dict[str, Any] | None) -> dict[str, Any]:
        """Run once; where the outcome is unknown, do what the error says a person has to do, and run again."""
        was_unknown = self._number(work) is not None
        (answer,) = runner.run(work, kill)
        self._service.look_into_the_store(work)
        if was_unknown and answer.get("error") != "OutcomeUnknownError" and not answer.get("killed"):
            self.resubmitted_unknown += 1
            self.wrong.append(f"work {work}: an unknown outcome was not reported: {answer}")
        if answer.get("error") != "OutcomeUnknownError":
            return answer
        self._decide(work, answer["text"])
        return self._one_run(runner, work, kill)

    def _number(self, work: int) -> int | None:
        """The record of a submission without a known outcome."""
        for record in self._journal.submissions():
            if record.variation == work and record.state in (State.SENDING, State.UNKNOWN):
                return record.number
        return None

    def _decide(self, work: int, text: str) -> None:
        """Look into the service's console, then 'tasks found' or 'tasks forget'."""
        said = re.search(r"tasks found (\d+)-[0-9a-f]+ TASK_ID", text)
        assert said is not None, text
        number = self._number(work)
        assert number == int(said[1]), text
        tasks = self._service.tasks_of(work)
        if tasks:
            self._journal.settle(number, tasks[0])
            self.found += 1
        else:
            (record,) = [r for r in self._journal.submissions() if r.number == number]
            self._journal.forget(record)
            self.forgotten += 1

    def report(self) -> str:
        """The counts."""
        total = sum(self.kills.values())
        rows = [f"  {name:36} {number}" for name, number in sorted(self.kills.items())]
        doubles = sum(number - 1 for number in self._service.accepted.values())
        return "\n".join(
            [
                f"{self.works} works, {total} kills:",
                *rows,
                f"  unknown outcomes, decided by hand    {self.found} found in the console, {self.forgotten} not there",
                f"  paid twice                           {doubles}",
                f"  unknown outcomes sent by themselves  {self.resubmitted_unknown}",
                f"  kept results that were lost          {len(self._service.fetched_again)}",
                f"  missing or wrong results             {len(self.wrong)}",
            ]
        )


def kill_lists(rng: random.Random) -> Iterator[list[dict[str, Any]]]:
    """Kills for one work after the other: named steps in the order of the path, any lines, any moments between them."""
    places = [{"place": place, "nth": nth} for place in PLACES for nth in ((1, 2) if place in TWICE else (1,))]
    while True:
        named = rng.sample(range(len(places)), rng.randint(1, 2))
        kills = [places[index] for index in sorted(named)]
        kills.insert(rng.randint(0, len(kills)), {"line": rng.randrange(1, LINES)})
        kills.insert(rng.randint(0, len(kills)), {"after_s": rng.uniform(0.0, LONGEST_S)})
        yield kills


@contextmanager
def runners(service: PaidService, home: Path) -> Iterator[list[Runner]]:
    """As many processes as there are cores here, all with the same home."""
    environment = {**service.environment, "CARTOONIZE_HOME": str(home)}
    started = [Runner(environment) for _ in range(RUNNERS)]
    try:
        yield started
    finally:
        for runner in started:
            runner.close()


def campaign(home: Path, kills: int, seed: int) -> Campaign:
    """Run works until at least so many kills have happened, at each named step, too; two processes at a time."""
    service = PaidService(home)
    result = Campaign(service, home)
    works = enumerate(kill_lists(random.Random(seed)))
    drawing = threading.Lock()

    def keep_going(runner: Runner) -> None:
        while not result.is_enough(kills):
            with drawing:
                work, todo = next(works)
            result.run_to_the_end(runner, work, todo)

    with service.running(), runners(service, home) as started, ThreadPoolExecutor(RUNNERS) as pool:
        list(pool.map(keep_going, started))
    result.wrong += [f"{lost} was fetched again" for lost in service.fetched_again]
    return result
