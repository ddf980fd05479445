"""From many pictures to many links, each uploaded once, and to the end of every upload; the host is one in memory."""

from __future__ import annotations

import io
import logging
import os
import sqlite3
import stat
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from cartoonize_pack.utils.alignment import TaskResults
from cartoonize_pack.utils.config import Config, Profile
from cartoonize_pack.utils.contract import Limits, Task, TaskStatus
from cartoonize_pack.utils.errors import Cancelled, ConfigurationError, InputError, UnreachableError
from cartoonize_pack.utils.hosting import ImageHost, Upload, registry, uploads
from cartoonize_pack.utils.hosting.http import HttpHost
from cartoonize_pack.utils.hosting.http_settings import HttpSettings
from cartoonize_pack.utils.hosting.records import Record
from cartoonize_pack.utils.hosting.registry import FILE, Registry
from cartoonize_pack.utils.hosting.settings import (
    RESULT_STORED,
    HostSettings,
    LocalSettings,
    S3Settings,
)
from cartoonize_pack.utils.hosting.upload import PARALLEL, Encoding, Hosted, OpenHost, summary, upload
from cartoonize_pack.utils.hosting.uploads import RENEW_FILE, SPARE_S, Uploads
from cartoonize_pack.utils.images import Picture
from cartoonize_pack.utils.journal import Journal
from cartoonize_pack.utils.monitor import Monitor, Progress
from cartoonize_pack.utils.outcomes import Outcome
from cartoonize_pack.utils.references import TaskRef
from cartoonize_pack.utils.work import content_of
from fake_clock import Clock
from node_calls import IMAGE_TO_URL, POLL, SUBMIT, batch, execute
from PIL import Image
from scripted_service import ScriptedService
from stand_in_host import StandInHost

DAY_S = 24 * 3600.0
PATIENCE_S = 10.0  # for what happens at once; only a broken test waits that long
MINE = S3Settings("mine", bucket="b", delete_after=RESULT_STORED)
Look = Callable[[int], None]


def nothing(_: int) -> None:
    """Stands for what a host does with a picture, where a test does not care."""


class MemoryHost:
    """Keeps pictures in memory; `on_put` and `on_delete` see the colour of each before anything is done with it."""

    def __init__(self, clock: Clock) -> None:
        self.identity = "memory"
        self.pictures: dict[str, bytes] = {}
        self.put_colours: list[int] = []
        self.deleted: list[str] = []
        self.renewals = 0
        self.most_at_once = 0
        self.on_put: Look = nothing
        self.on_delete: Callable[[Upload], None] = lambda upload: None
        self._clock = clock
        self._at_once = 0
        self._lock = threading.Lock()

    def put(self, name: str, data: bytes, media_type: str) -> Upload:
        colour = colour_of(data)
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.on_put(colour)
            with self._lock:
                self.pictures[name] = data
                self.put_colours.append(colour)
        finally:
            with self._lock:
                self._at_once -= 1
        return self._signed(name)

    def renewed(self, upload: Upload) -> Upload | None:
        with self._lock:
            self.renewals += 1
        return self._signed(upload.name) if upload.name in self.pictures else None

    def delete(self, upload: Upload) -> None:
        self.on_delete(upload)
        self.deleted.append(upload.name)
        self.pictures.pop(upload.name, None)

    def colour_behind(self, link: str) -> int:
        """The colour of the picture that a link leads to."""
        return colour_of(self.pictures[link.partition("?")[0].rpartition("/")[2]])

    def _signed(self, name: str) -> Upload:
        with self._lock:
            link = f"https://memory.example/{name}?expires=1&signature={self.renewals}"
        return Upload(name, link, self._clock() + DAY_S)


class Watching(Monitor):
    """Remembers all that it was told."""

    def __init__(self) -> None:
        super().__init__(self._remember)
        self.all: list[Progress] = []
        self._told = threading.Condition()

    def _remember(self, progress: Progress) -> None:
        with self._told:
            self.all.append(progress)
            self._told.notify_all()

    def wait_for(self, uploads: int) -> None:
        """Wait until so many uploads were told."""
        with self._told:
            assert self._told.wait_for(
                lambda: sum(progress.text.startswith("uploaded") for progress in self.all) >= uploads, PATIENCE_S
            )


def colour_of(data: bytes) -> int:
    """The grey of an encoded picture's first pixel."""
    with Image.open(io.BytesIO(data)) as image:
        return int(image.convert("RGB").getpixel((0, 0))[0])  # type: ignore[index]


def grey(colour: int, width: int = 300, height: int = 260) -> Picture:
    """A plain picture."""
    return Picture(np.full((height, width, 3), colour, np.uint8))


def greys(*colours: int) -> list[Callable[[], Picture]]:
    """What makes plain pictures, one by one."""
    return [partial(grey, colour) for colour in colours]


def wait_for_threads(name: str) -> None:
    """Let work beside the caller come to its end."""
    for thread in threading.enumerate():
        if thread.name == f"cartoonize-{name}":
            thread.join(PATIENCE_S)


class Machine:
    """A machine with one image host, "mine"."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self.home = home
        self.clock = clock
        self.host = MemoryHost(clock)
        self.journal = Journal(home, clock)

    def uploads(self, *hosts: HostSettings) -> Uploads:
        """Its uploads, as a new process sees them."""
        local = Profile("local", style="anime")
        settings = {settings.name: settings for settings in hosts or (MINE,)}
        return Uploads(Config(self.home, {"local": local}, "local", settings), self.clock)

    @property
    def registry(self) -> Registry:
        """Its list of uploads."""
        return self.uploads().registry

    def upload(
        self,
        load: Sequence[Callable[[], Picture]],
        encoding: Encoding = Encoding("png", may_fit=True, limits=Limits()),  # noqa: B008  # frozen
        monitor: Monitor | None = None,
        settings: HostSettings = MINE,
    ) -> list[Hosted]:
        """Upload a batch, as the node does."""
        target = OpenHost(self.host, settings)
        return upload(
            load,
            target,
            encoding,
            uploads=self.uploads(),
            journal=self.journal,
            monitor=monitor or Monitor(),
        )

    def uploaded(self, *colours: int, task_id: str = "t", settings: HostSettings = MINE) -> list[Hosted]:
        """Upload pictures that a task needs."""
        hosted = self.upload(greys(*colours), settings=settings)
        self.uploads().note_uses("service", {task_id: [h.url for h in hosted]})
        return hosted


@pytest.fixture
def machine(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path / "state", clock)

    def opened(config: Config, name: str, public_url: str = "") -> ImageHost:
        return machine.host

    monkeypatch.setattr(uploads, "open_named", opened)
    return machine


# A batch


def test_links_are_in_the_order_of_the_images(machine: Machine) -> None:
    """Whichever is uploaded first: here every second one waits for the one behind it."""
    colours = list(range(0, 250, 10))
    arrived = {colour: threading.Event() for colour in colours}

    def wait_for_the_next(colour: int) -> None:
        if colour // 10 % 2 == 0 and colour != colours[-1]:
            assert arrived[colour + 10].wait(PATIENCE_S)
        arrived[colour].set()

    machine.host.on_put = wait_for_the_next
    hosted = machine.upload(greys(*colours))
    assert machine.host.put_colours != colours, "all came in order; the test proved nothing"
    assert [machine.host.colour_behind(h.url) for h in hosted] == colours
    assert [h.content for h in hosted] == [content_of(grey(colour)) for colour in colours]


def test_so_many_are_uploaded_at_once_and_no_more(machine: Machine) -> None:
    """None goes on before the others of its group are there; a slow host is not asked to do more."""
    group, crowd = threading.Barrier(PARALLEL), threading.Barrier(PARALLEL + 1)

    def put(colour: int) -> None:
        group.wait(PATIENCE_S)
        with suppress(threading.BrokenBarrierError):  # nobody else comes, for so long
            crowd.wait(0.2)

    machine.host.on_put = put
    machine.upload(greys(*range(3 * PARALLEL)))
    assert machine.host.most_at_once == PARALLEL


def test_progress_only_grows_and_ends_at_its_total(machine: Machine) -> None:
    """One step for looking at each image, and one for each upload; a person sees what is done and where."""
    monitor = Watching()
    machine.upload(greys(*range(9), 0), monitor=monitor)
    shares = [progress.done / progress.total for progress in monitor.all]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == 1
    assert len(monitor.all) == 1 + 10 + 1 + 9
    texts = [progress.text for progress in monitor.all]
    assert texts[0] == "looking at 10 images"
    assert set(texts[1:11]) == {f"looked at image {n} of 10" for n in range(1, 11)}
    assert texts[11] == "uploading to 'mine'"
    assert set(texts[12:]) == {f"uploaded image {n} of 10 to 'mine'" for n in range(1, 10)}


def test_few_pictures_are_in_memory_however_many_there_are(machine: Machine) -> None:
    """Each is made when it is needed, and let go: to be looked at, and once more to be encoded."""
    alive, most, loads = set[int](), [0], [0]
    lock = threading.Lock()

    def load(colour: int) -> Picture:
        picture = grey(colour)
        with lock:
            loads[0] += 1
            alive.add(number := loads[0])
            most[0] = max(most[0], len(alive))
        weakref.finalize(picture, alive.discard, number)
        return picture

    machine.upload([partial(load, colour) for colour in range(12)])
    assert loads[0] == 24
    assert 1 <= most[0] <= PARALLEL
    assert not alive


def test_nothing_is_uploaded_when_one_image_is_outside_the_limits(machine: Machine) -> None:
    """All are looked at before the first is sent; its number, its size and the limit are told."""
    load = [*greys(*range(4)), partial(grey, 9, 100, 300), *greys(*range(5, 9))]
    with pytest.raises(InputError, match=r"image 5 is 100x300 pixels: each side must be at least 257"):
        machine.upload(load, Encoding("png", may_fit=False, limits=Limits()))
    assert machine.host.put_colours == []
    assert machine.registry.counts() == {}


def test_no_image_at_all_is_told(machine: Machine) -> None:
    """An empty batch is no success."""
    with pytest.raises(InputError, match=r"no images.*Nothing was sent"):
        machine.upload([])


def test_the_same_image_several_times_in_a_batch_is_uploaded_once(machine: Machine) -> None:
    """All its places have one link."""
    hosted = machine.upload(greys(10, 20, 10, 30, 20, 10))
    assert sorted(machine.host.put_colours) == [10, 20, 30]
    assert [machine.host.colour_behind(h.url) for h in hosted] == [10, 20, 10, 30, 20, 10]
    assert len({h.url for h in hosted}) == 3
    assert not any(h.was_there for h in hosted)


# What is there already


def test_a_second_run_uploads_nothing_and_hands_on_fresh_links(machine: Machine) -> None:
    """Signed anew, with the words of the first run; the journal knows what is behind them."""
    load = [*greys(10, 20), partial(grey, 30, 100, 300)]
    first, second = machine.upload(load), machine.upload(load)
    assert len(machine.host.put_colours) == 3
    assert machine.host.renewals == 3
    assert [h.was_there for h in first] == [False] * 3
    assert second == [replace(h, url=other.url, was_there=True) for h, other in zip(first, second, strict=True)]
    assert not {h.url for h in first} & {h.url for h in second}
    assert [machine.host.colour_behind(h.url) for h in second] == [10, 20, 30]
    assert "100x300 -> 257x" in second[2].changes
    assert machine.journal.contents_of([h.url for h in second]) == [h.content for h in first]


def test_a_second_run_lets_the_uploads_live_longer(machine: Machine, clock: Clock) -> None:
    """From the last use on, as the host says."""
    machine.upload(greys(10))
    clock.now += DAY_S - 1
    machine.upload(greys(10))
    clock.now += DAY_S - 1
    (third,) = machine.upload(greys(10))
    assert third.was_there
    clock.now += DAY_S
    wait_for_threads("sweep")
    (fourth,) = machine.upload(greys(10))
    assert not fourth.was_there
    assert machine.host.put_colours == [10, 10]


def test_what_the_host_has_lost_is_uploaded_again(machine: Machine) -> None:
    """The other ones are not; the next run finds them all."""
    first = machine.upload(greys(10, 20, 30))
    machine.host.pictures = {n: data for n, data in machine.host.pictures.items() if colour_of(data) != 20}
    second = machine.upload(greys(10, 20, 30))
    assert [h.was_there for h in second] == [True, False, True]
    assert [machine.host.colour_behind(h.url) for h in second] == [10, 20, 30]
    assert second[1].content == first[1].content
    assert all(h.was_there for h in machine.upload(greys(10, 20, 30)))
    assert sorted(machine.host.put_colours) == [10, 20, 20, 30]


OTHERWISE: dict[str, tuple[Encoding, HostSettings, str]] = {
    "format": (Encoding("jpeg", may_fit=True, limits=Limits()), MINE, "memory"),
    "limits": (Encoding("png", may_fit=True, limits=Limits(max_side=2000)), MINE, "memory"),
    "may not be changed": (Encoding("png", may_fit=False, limits=Limits()), MINE, "memory"),
    "host": (Encoding("png", may_fit=True, limits=Limits()), replace(MINE, name="yours"), "memory"),
    "place": (Encoding("png", may_fit=True, limits=Limits()), MINE, "another bucket"),
}


@pytest.mark.parametrize(("encoding", "settings", "place"), OTHERWISE.values(), ids=OTHERWISE)
def test_a_file_that_would_be_another_one_is_not_used_again(
    machine: Machine, encoding: Encoding, settings: HostSettings, place: str
) -> None:
    """What is there was made in another way, or lies elsewhere."""
    machine.upload(greys(10))
    machine.host.identity = place
    (hosted,) = machine.upload(greys(10), encoding, settings=settings)
    assert not hosted.was_there
    assert len(machine.host.put_colours) == 2
    (again,) = machine.upload(greys(10), encoding, settings=settings)
    assert again.was_there


def test_an_upload_that_nothing_needs_any_more_may_be_wanted_again(
    machine: Machine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the run itself deletes beside its work is not what it is about to hand on."""
    machine.uploaded(10)
    machine.uploads().end_of("service", {"t": False})
    clock.now += 2 * SPARE_S
    is_found, is_taken = threading.Event(), threading.Event()
    find, take_leftovers = Registry.find, Registry.take_leftovers

    def found(self: Registry, place: registry.Place, recipes: Sequence[str]) -> dict[str, Record]:
        records = find(self, place, recipes)
        is_found.set()
        is_taken.wait(0.5)
        return records

    def taken(self: Registry, spare_s: float) -> list[Record]:
        is_found.wait(0.5)
        records = take_leftovers(self, spare_s)
        is_taken.set()
        return records

    monkeypatch.setattr(Registry, "find", found)
    monkeypatch.setattr(Registry, "take_leftovers", taken)
    (hosted,) = machine.upload(greys(10))
    wait_for_threads("sweep")
    assert machine.host.colour_behind(hosted.url) == 10


# What ends in the middle


@pytest.mark.parametrize("error", [UnreachableError("too slow"), ConfigurationError("no such bucket")])
def test_what_was_uploaded_before_the_host_failed_is_used_again(machine: Machine, error: Exception) -> None:
    """The host's own words are told, and running again uploads what is missing, and nothing else."""
    monitor = Watching()

    def fail_at_last(colour: int) -> None:
        if colour == 50:
            monitor.wait_for(4)
            raise error

    machine.host.on_put = fail_at_last
    with pytest.raises(type(error), match=str(error)):
        machine.upload(greys(10, 20, 30, 40, 50), monitor=monitor)
    assert sorted(machine.host.put_colours) == [10, 20, 30, 40]
    assert machine.registry.counts() == {"mine": 5}
    machine.host.on_put = nothing
    hosted = machine.upload(greys(10, 20, 30, 40, 50))
    assert [h.was_there for h in hosted] == [True] * 4 + [False]
    assert sorted(machine.host.put_colours) == [10, 20, 30, 40, 50]


def test_what_was_uploaded_before_cancel_is_used_again(machine: Machine) -> None:
    """Cancel does not wait for an upload on its way."""
    monitor, is_over = Watching(), threading.Event()

    def cancel_at_last(colour: int) -> None:
        if colour == 50:
            monitor.wait_for(4)
            monitor.cancel()
            assert is_over.wait(PATIENCE_S)
            raise UnreachableError("broken off")

    machine.host.on_put = cancel_at_last
    with pytest.raises(Cancelled):
        machine.upload(greys(10, 20, 30, 40, 50), monitor=monitor)
    is_over.set()
    wait_for_threads("batch")
    machine.host.on_put = nothing
    hosted = machine.upload(greys(10, 20, 30, 40, 50))
    assert [h.was_there for h in hosted] == [True] * 4 + [False]
    assert [machine.host.colour_behind(h.url) for h in hosted] == [10, 20, 30, 40, 50]
    assert sorted(machine.host.put_colours) == [10, 20, 30, 40, 50]


def test_nothing_begins_after_cancel(machine: Machine) -> None:
    """Not even the first upload, where Cancel was pressed while the images were looked at."""
    monitor = Watching()
    monitor.cancel()
    with pytest.raises(Cancelled):
        machine.upload(greys(10), monitor=monitor)
    assert machine.registry.counts() == {}


def test_an_upload_on_its_way_when_the_host_fails_is_used_again(machine: Machine) -> None:
    """It arrives behind the error, and is not uploaded a second time."""
    has_failed = threading.Event()

    def fail_first(colour: int) -> None:
        if colour == 20:
            raise UnreachableError("too slow")
        assert has_failed.wait(PATIENCE_S)

    machine.host.on_put = fail_first
    with pytest.raises(UnreachableError, match="too slow"):
        machine.upload(greys(10, 20))
    has_failed.set()
    wait_for_threads("batch")
    assert machine.host.put_colours == [10]
    machine.host.on_put = nothing
    machine.upload(greys(10, 20))
    assert machine.host.put_colours == [10, 20]


def test_a_purge_in_the_middle_of_an_upload_is_told(machine: Machine) -> None:
    """A link that leads nowhere is not handed on, and running again is all that is to be done."""
    machine.host.on_put = lambda colour: nothing(len(machine.registry.take(None, ())))
    with pytest.raises(UnreachableError, match=r"image 1 was purged .*Run again\. Nothing was submitted"):
        machine.upload(greys(10))
    machine.host.on_put = nothing
    (hosted,) = machine.upload(greys(10))
    assert machine.host.colour_behind(hosted.url) == 10


def test_a_purge_in_the_middle_of_an_upload_leaves_nothing_behind(machine: Machine) -> None:
    """What arrives behind the purge is deleted, or still known to be there."""
    machine.host.on_put = lambda colour: nothing(len(machine.uploads().delete(machine.registry.take(None, ()))))
    with pytest.raises(UnreachableError, match="purged"):
        machine.upload(greys(10))
    known = {record.upload.name for record in machine.registry.take(None, ())}
    assert set(machine.host.pictures) <= known


# Words


PUBLIC = "'mine' is a public host: whoever has a link sees the picture"
UPLOADED_1 = "1 image uploaded to 'mine', 1 image already at 'mine'"


@pytest.mark.parametrize(
    ("there", "changes", "public", "expected"),
    [
        ([False], [""], False, ["1 image uploaded to 'mine'"]),
        ([False] * 3, [""] * 3, False, ["3 images uploaded to 'mine'"]),
        ([True, False, True], [""] * 3, False, ["1 image uploaded to 'mine', 2 images already at 'mine'"]),
        ([True], [""], None, ["1 image already at 'mine'"]),
        ([False], [""], True, ["1 image uploaded to 'mine'", PUBLIC]),
        ([False] * 2, ["", "padded"], False, ["2 images uploaded to 'mine'", "image 2: padded"]),
        ([True, False], ["padded", "scaled"], True, [UPLOADED_1, PUBLIC, "image 1: padded", "image 2: scaled"]),
    ],
)
def test_what_was_done_is_told(there: list[bool], changes: list[str], public: bool | None, expected: list[str]) -> None:
    """How many went where, who can see them, and what was changed of which."""
    hosted = [Hosted("https://a.example/1", words, "", was) for words, was in zip(changes, there, strict=True)]
    assert summary(hosted, replace(MINE, public=public)).splitlines() == expected


# The end of uploads


@pytest.mark.parametrize("is_fresh", [True, False])
def test_uploads_end_when_their_results_are_fresh_on_the_disk(machine: Machine, clock: Clock, is_fresh: bool) -> None:
    """At once; where the results were there from earlier, another branch of the graph may be about to submit them."""
    machine.uploaded(10, 20)
    machine.uploads().end_of("service", {"t": is_fresh})
    assert len(machine.host.pictures) == (0 if is_fresh else 2)
    assert machine.registry.counts() == ({} if is_fresh else {"mine": 2})
    clock.now += SPARE_S - 1
    machine.uploads().sweep().result(PATIENCE_S)
    assert len(machine.host.pictures) == (0 if is_fresh else 2)
    clock.now += 1
    machine.uploads().sweep().result(PATIENCE_S)
    assert machine.host.pictures == {}
    assert machine.registry.counts() == {}


@pytest.mark.parametrize("stored", [("other service", "t"), ("service", "t"), ("service", "unknown")])
def test_uploads_that_a_task_needs_stay(machine: Machine, stored: tuple[str, str]) -> None:
    """However fresh the results of another one are."""
    machine.uploaded(10)
    machine.uploaded(10, task_id="still open")
    machine.uploads().end_of(stored[0], {stored[1]: True})
    assert machine.host.deleted == []
    assert [h.was_there for h in machine.upload(greys(10))] == [True]


def test_uploads_of_a_host_that_keeps_them_stay_until_they_expire(machine: Machine, clock: Clock) -> None:
    """Without delete_after nothing is deleted before its time; then it is, beside the next upload."""
    machine.uploaded(10, settings=replace(MINE, delete_after=""))
    machine.uploads().end_of("service", {"t": True})
    clock.now += DAY_S - 1
    machine.uploads().sweep().result(PATIENCE_S)
    assert machine.host.deleted == []
    clock.now += 1
    machine.upload(greys(20))
    wait_for_threads("sweep")
    assert len(machine.host.deleted) == 1
    assert [colour_of(data) for data in machine.host.pictures.values()] == [20]


def test_the_end_of_a_task_that_needed_no_upload_asks_nobody(machine: Machine) -> None:
    """Its links were pasted; what is to be deleted waits for another occasion."""
    machine.uploaded(10)
    machine.uploads().end_of("service", {"t": False})
    machine.uploads().end_of("service", {"pasted": True})
    machine.uploads().end_of("service", {"t": True})  # stored earlier
    assert machine.host.deleted == []


@pytest.mark.parametrize(
    "problem", [UnreachableError("no route"), ConfigurationError("the key is wrong"), InputError("a private address")]
)
def test_a_host_that_cannot_delete_stops_no_results(
    machine: Machine, caplog: pytest.LogCaptureFixture, problem: Exception
) -> None:
    """It is logged, and deleted the next time; it may go at any moment, so it is not used again."""

    def refuse(upload: Upload) -> None:
        raise problem

    (first,) = machine.uploaded(10)
    machine.host.on_delete = refuse
    with caplog.at_level(logging.WARNING):
        machine.uploads().end_of("service", {"t": True})
    assert f"Uploads at 'mine' are deleted later: {problem}" in caplog.text
    assert machine.registry.counts() == {"mine": 1}
    (second,) = machine.upload(greys(10))
    assert not second.was_there
    wait_for_threads("sweep")
    machine.host.on_delete = lambda upload: None
    machine.uploads().sweep().result(PATIENCE_S)
    assert [name in second.url for name in machine.host.pictures] == [True]
    assert [name in first.url for name in machine.host.deleted] == [True]


def test_a_broken_list_stops_no_results(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """Nor the tasks that exist by then, nor the deleting of other things: each is logged."""
    machine.uploaded(10)
    wait_for_threads("sweep")
    (machine.home / FILE).write_bytes(b"broken" * 1000)
    with caplog.at_level(logging.WARNING):
        machine.uploads().note_uses("service", {"t1": ["https://a.example/1"], "t2": []})
        machine.uploads().end_of("service", {"t1": True})
        machine.uploads().sweep().result(PATIENCE_S)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert said[0].startswith("It is not noted which uploads t1, t2 needs: The list of uploads")
    assert said[1].startswith("Uploads of task t1 are deleted later: The list of uploads")
    assert said[2].startswith("Uploads at 'uploads' are deleted later: The list of uploads")


def test_a_store_on_this_machine_that_is_broken_stops_no_results(tmp_path: Path, clock: Clock) -> None:
    """A file in place of the folder of the embedded service, which holds the pictures of the host "local"."""
    machine = Machine(tmp_path / "state", clock)
    local = LocalSettings("local", delete_after=RESULT_STORED)
    machine.host.identity = "local"
    machine.uploaded(10, settings=local)
    (machine.home / "service").write_text("in the way")
    machine.uploads(local).end_of("service", {"t": True})
    assert machine.registry.counts() == {"local": 1}


def test_a_host_that_hangs_does_not_hold_up_the_results(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They wait for a limited time; the deleting goes on behind them."""
    monkeypatch.setattr(uploads, "_DELETING_S", 0.05)
    machine.uploaded(10)
    goes_on = threading.Event()
    machine.host.on_delete = lambda upload: nothing(goes_on.wait(PATIENCE_S))
    begin = time.monotonic()
    with caplog.at_level(logging.WARNING):
        machine.uploads().end_of("service", {"t": True})
    assert 0.04 < time.monotonic() - begin < PATIENCE_S / 2
    assert "Uploads of task t are deleted later: no end after 0.05 s" in caplog.text
    assert len(machine.host.pictures) == 1
    goes_on.set()
    wait_for_threads("uploads")
    assert machine.host.pictures == {}
    assert machine.registry.counts() == {}


def taken(machine: Machine, *hosts: HostSettings) -> list[Record]:
    """One upload at each of these hosts, about to be deleted."""
    for settings in hosts:
        machine.uploaded(10, settings=settings)
    return machine.registry.take(None, ())


def test_hosts_that_are_not_what_they_were_are_told_and_nothing_is_forgotten(tmp_path: Path, clock: Clock) -> None:
    """One that is not described any more, and one that is elsewhere now: its pictures are not looked for there."""
    machine = Machine(tmp_path / "state", clock)
    before, now = (
        HttpSettings("moved", url=f"https://{where}.example/{{name}}", link="{upload_url}", public=False)
        for where in ("old", "new")
    )
    machine.host.identity = HttpHost(before).identity
    records = taken(machine, replace(MINE, name="gone"), before)
    problems = machine.uploads(now, MINE).delete(records)
    assert set(problems) == {"gone", "moved"}
    assert "There is no image host 'gone' on this machine; it has: moved, mine" in problems["gone"]
    assert "The image host 'moved' is another place now than when these were uploaded" in problems["moved"]
    assert machine.registry.counts() == {"gone": 1, "moved": 1}
    assert "has no delete_url" in machine.uploads(before).delete(records[1:])["moved"]
    assert machine.registry.counts() == {"gone": 1, "moved": 1}


def test_an_expired_upload_that_cannot_be_deleted_is_forgotten_in_silence(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Its link is at an end, and there is nothing to do: a warning at every run would help nobody."""
    machine = Machine(tmp_path / "state", clock)
    host = HttpSettings("paste", url="https://paste.example/", method="POST", link="{text}", public=False)
    machine.host.identity = HttpHost(host).identity
    machine.uploaded(10, settings=host)
    clock.now += host.lifetime_s + 1
    machine.uploads(host).sweep().result(timeout=10)
    assert machine.registry.counts() == {}
    assert caplog.messages == []


def test_one_host_that_fails_does_not_keep_the_others_from_deleting(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was deleted is forgotten, also at the host that failed afterwards."""
    broken = MemoryHost(machine.clock)
    hosts: dict[str, MemoryHost] = {"broken": broken, "mine": machine.host}
    monkeypatch.setattr(uploads, "open_named", lambda config, name, public_url="": hosts[name])
    machine.uploaded(10, 20, settings=replace(MINE, name="broken"))
    machine.uploaded(10)
    records = machine.registry.take(None, ())

    def fail_at_the_second(upload: Upload) -> None:
        if broken.deleted:
            raise UnreachableError("too slow")

    broken.on_delete = fail_at_the_second
    assert machine.uploads().delete(records) == {"broken": "too slow"}
    assert machine.registry.counts() == {"broken": 1}
    assert [machine.host.deleted, broken.deleted] == [[records[2].upload.name], [records[0].upload.name]]


# From end to end


@pytest.fixture
def pictures(host: StandInHost, service: ScriptedService) -> Path:
    """Where the host "local" keeps pictures, on a machine that deletes them when their results are stored."""
    home = Path(os.environ["CARTOONIZE_HOME"])
    home.mkdir()
    (home / "config.toml").write_text('[hosts.local]\ndelete_after = "result stored"\n')
    return home / "service" / "pictures"


def run(count: int = 2, **options: object) -> None:
    """The three nodes, one behind the other."""
    links = execute(IMAGE_TO_URL, images=np.concatenate([batch(value=n / 10) for n in range(count)]))[0]
    execute(POLL, task_id=execute(SUBMIT, image_urls=links)["result"][0], **options)


def test_uploads_are_gone_when_poll_result_has_stored_the_pictures(pictures: Path, service: ScriptedService) -> None:
    """Uploaded again for a result that is on the disk, they stay for other branches of the graph."""
    run()
    assert list(pictures.iterdir()) == []
    run()
    assert len(service.submissions) == 1
    assert len(list(pictures.iterdir())) == 2


@pytest.mark.parametrize("trouble", ["one failed", "one is missing"])
def test_uploads_stay_while_one_of_the_pictures_is_not_stored(
    pictures: Path, service: ScriptedService, trouble: str
) -> None:
    """It may be tried once more with the same links."""
    if trouble == "one failed":
        service.failed["task-1", 1] = "no face"
    else:
        service.listed = 1
    run(on_failure="skip")
    assert len(list(pictures.iterdir())) == 2


@pytest.mark.parametrize(
    ("files", "expected", "is_stored"),
    [
        (["a", "b"], 2, True),
        (["a", "b"], None, True),
        (["a", ""], 2, False),
        (["a"], 2, False),
        (["a", "b", "c"], 2, False),
        ([""], None, False),
    ],
)
def test_a_task_is_stored_when_the_pictures_of_all_its_images_are(
    files: list[str], expected: int | None, is_stored: bool
) -> None:
    """One that cannot be read here is on the disk all the same; one whose image is not known may be another's."""
    outcomes = [Outcome("t", n, "complete", "", "", None, file=file) for n, file in enumerate(files)]
    task = Task("t", TaskStatus.COMPLETE, 3, None, ())
    assert TaskResults(TaskRef("t"), outcomes, expected, task).is_stored is is_stored


# Links that ComfyUI remembers


def test_the_age_of_links_changes_twice_in_their_lifetime(machine: Machine, clock: Clock) -> None:
    """And at no other moment: ComfyUI uploads again whenever it does."""
    clock.now = 10 * DAY_S
    yours = replace(MINE, name="yours", link_lifetime_h=2.0)
    store = machine.uploads(MINE, yours)
    ages: dict[str, list[str]] = {}
    for host, lifetime_s in (("mine", DAY_S), ("yours", 7200.0)):
        ages[host] = []
        for share in (0.0, 0.25, 0.499, 0.5, 0.75, 0.999, 1.0, 1.499):
            clock.now = 10 * DAY_S + share * lifetime_s
            ages[host].append(store.age_of_links(host))
        first, second, third = (ages[host][index] for index in (0, 3, 6))
        assert ages[host] == [first] * 3 + [second] * 3 + [third] * 2
        assert len({first, second, third}) == 3
    assert store.age_of_links(None) == store.age_of_links("not described") == store.age_of_links("yours")


def test_links_that_do_not_work_any_more_are_made_anew(machine: Machine) -> None:
    """In every process of this machine, and once."""
    before = machine.uploads().age_of_links("mine")
    machine.uploads().renew_links()
    after = machine.uploads().age_of_links("mine")
    assert before != after == machine.uploads().age_of_links("mine")
    assert stat.S_IMODE((machine.home / RENEW_FILE).stat().st_mode) == 0o600
    os.utime(machine.home / RENEW_FILE, ns=(1, 1))  # a while ago
    asked = machine.uploads().age_of_links("mine")
    machine.uploads().renew_links()
    assert machine.uploads().age_of_links("mine") != asked


def test_links_that_cannot_be_made_anew_are_told(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """The error that the caller is about to raise must come through."""
    machine.home.mkdir()
    (machine.home / RENEW_FILE).symlink_to(machine.home / "no folder" / "file")
    with caplog.at_level(logging.WARNING):
        machine.uploads().renew_links()
    assert "Links are not made anew" in caplog.text


def test_no_state_folder_for_the_wish_to_make_links_anew_is_told(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A file in its place: still the caller's own error comes through."""
    (tmp_path / "state").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        Machine(tmp_path / "state", clock).uploads().renew_links()
    assert "Links are not made anew" in caplog.text


def test_an_older_upload_with_the_same_link_ends_without_the_newer_one(machine: Machine) -> None:
    """Some hosts keep the same bytes once: what is deleted for one is gone for both."""
    machine.uploaded(10)
    (first,) = machine.registry.find(OpenHost(machine.host, MINE).place, recipes_of(machine)).values()
    number = machine.registry.begin(
        OpenHost(machine.host, MINE).place, "another recipe", "content", first.upload.name, machine.clock.now + DAY_S
    )
    assert machine.registry.finish(number, machine.host.renewed(first.upload) or first.upload, "")
    assert machine.uploads().delete([first]) == {}
    assert machine.host.deleted == []
    assert machine.registry.counts() == {"mine": 1}


def recipes_of(machine: Machine) -> list[str]:
    """What stands for its uploads."""
    with sqlite3.connect(machine.home / "uploads.sqlite3") as db:
        rows = db.execute("SELECT recipe FROM uploads").fetchall()
    db.close()
    return [recipe for (recipe,) in rows]
