"""The list of uploads: written before an upload begins, used again while it lives, and empty when nothing is left."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
from cartoonize_pack.utils.errors import ConfigurationError
from cartoonize_pack.utils.hosting import Upload
from cartoonize_pack.utils.hosting.http import HttpHost
from cartoonize_pack.utils.hosting.http_settings import HttpSettings
from cartoonize_pack.utils.hosting.records import Place, Record
from cartoonize_pack.utils.hosting.registry import FILE, Registry
from cartoonize_pack.utils.monitor import Monitor
from cartoonize_pack.utils.secret import Secret
from cartoonize_pack.utils.threads import map_bounded, start
from child_process import killed, output_of, running
from fake_clock import Clock
from pytest_httpserver import HTTPServer

DAY_S, SPARE_S = 24 * 3600.0, 600.0
PLACE = Place("mine", "s3 aws bucket/", until_stored=True)
KEPT = replace(PLACE, until_stored=False)
LINK = "https://host.example/{name}.png?X-Amz-Date=1&X-Amz-Signature=1"
OPEN = """
from cartoonize_pack.utils.errors import ConfigurationError
from cartoonize_pack.utils.hosting import Upload
from cartoonize_pack.utils.hosting.records import Place
from cartoonize_pack.utils.hosting.registry import Registry
registry = Registry(Path(sys.argv[1]))
place = Place("mine", "s3 aws bucket/", until_stored=True)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder that nobody has used yet."""
    return tmp_path / "state"


@pytest.fixture
def registry(home: Path, clock: Clock) -> Registry:
    return Registry(home, clock)


def begun(registry: Registry, name: str = "a", place: Place = PLACE, lifetime_s: float = DAY_S) -> int:
    """An upload that has begun; its recipe and content bear its name."""
    return registry.begin(place, f"recipe {name}", f"content {name}", f"{name}.png", Clock.now + lifetime_s)


def uploaded(
    registry: Registry, name: str = "a", place: Place = PLACE, lifetime_s: float = DAY_S, link: str = LINK
) -> int:
    """An upload that is there; its lifetime counts from the moment at which all tests begin."""
    number = begun(registry, name, place, lifetime_s)
    upload = Upload(f"{name}.png", link.format(name=name), Clock.now + lifetime_s, f"removal of {name}")
    assert registry.finish(number, upload, f"changes of {name}")
    return number


def names(records: Collection[Record]) -> set[str]:
    """Which uploads these are."""
    return {record.upload.name.removesuffix(".png") for record in records}


def found(registry: Registry, *recipes: str, place: Place = PLACE) -> dict[str, int]:
    """The numbers of what can be used again, by the names of the uploads."""
    records = registry.find(place, [f"recipe {name}" for name in recipes or ("a",)])
    return {recipe.removeprefix("recipe "): record.number for recipe, record in records.items()}


# Finding


def test_an_upload_that_is_there_is_found_with_all_that_is_known_of_it(registry: Registry) -> None:
    """The link to hand on, what deletes it, what was changed of the picture, and what its pixels are."""
    number = uploaded(registry)
    upload = Upload("a.png", LINK.format(name="a"), Clock.now + DAY_S, "removal of a")
    expected = Record(number, "mine", "s3 aws bucket/", "content a", "changes of a", upload, True)
    assert registry.find(PLACE, ["recipe a"]) == {"recipe a": expected}


HIDDEN: dict[str, Callable[[Registry], object]] = {
    "another recipe": lambda registry: uploaded(registry, "b"),
    "another host": lambda registry: uploaded(registry, place=replace(PLACE, host="yours")),
    "another place of this host": lambda registry: uploaded(registry, place=replace(PLACE, identity="s3 eu")),
    "only begun": lambda registry: begun(registry),
    "ended this second": lambda registry: uploaded(registry, lifetime_s=0),
    "ended long ago": lambda registry: uploaded(registry, lifetime_s=-DAY_S),
    "taken to be deleted": lambda registry: (uploaded(registry), registry.take(None, ())),
    "deleted": lambda registry: registry.forget([uploaded(registry)]),
}


@pytest.mark.parametrize("hide", HIDDEN.values(), ids=HIDDEN)
def test_what_cannot_be_used_again_is_not_found(registry: Registry, hide: Callable[[Registry], object]) -> None:
    """A link that leads nowhere, or to somebody else's place, must not be handed on."""
    hide(registry)
    assert registry.find(PLACE, ["recipe a"]) == {}


def test_it_is_found_until_the_last_moment_of_its_life(registry: Registry, clock: Clock) -> None:
    """So that the table above fails for its reason and for no other."""
    number = uploaded(registry)
    clock.now += DAY_S - 1
    assert found(registry) == {"a": number}
    clock.now += 1
    assert found(registry) == {}


def test_the_latest_of_several_is_found(registry: Registry) -> None:
    """One that only began, or that is over, does not hide one that is there."""
    uploaded(registry)
    latest = uploaded(registry)
    begun(registry)
    uploaded(registry, lifetime_s=-1)
    uploaded(registry, place=replace(PLACE, host="yours"))
    assert found(registry) == {"a": latest}


def test_many_are_found_at_once_each_under_its_own_recipe(registry: Registry) -> None:
    """Asked twice for one is no error, and nothing is found for nothing."""
    numbers = {name: uploaded(registry, name) for name in "abc"}
    assert found(registry, "c", "missing", "a", "c") == {"c": numbers["c"], "a": numbers["a"]}
    assert registry.find(PLACE, []) == {}


# Beginning, finishing, forgetting


def test_an_upload_is_on_the_disk_before_it_begins(home: Path, registry: Registry, clock: Clock) -> None:
    """The process that was killed in the middle of it leaves the name to be deleted, once it would have ended."""
    script = OPEN + f"registry.begin(place, 'recipe a', 'content a', 'a.png', {clock.now + DAY_S})\n"
    with running(script + "print('ready', flush=True)\ntime.sleep(60)", home) as child:
        killed(child)
    assert registry.counts() == {"mine": 1}
    assert registry.take_leftovers(SPARE_S) == []
    clock.now += DAY_S
    (record,) = registry.take_leftovers(SPARE_S)
    assert (record.host, record.identity, record.upload.name) == ("mine", "s3 aws bucket/", "a.png")


def test_an_upload_that_was_renewed_has_its_new_link_and_end(registry: Registry, clock: Clock) -> None:
    """It is found longer than it was to live at first."""
    number = uploaded(registry)
    renewed = Upload("a.png", "https://host.example/a.png?X-Amz-Signature=2", clock.now + 2 * DAY_S, "other removal")
    assert registry.finish(number, renewed, "other changes")
    clock.now += DAY_S + 1
    (record,) = registry.find(PLACE, ["recipe a"]).values()
    assert (record.number, record.upload, record.changes) == (number, renewed, "other changes")


@pytest.mark.parametrize("end", ["taken", "forgotten"])
def test_one_that_somebody_deletes_meanwhile_is_not_kept(registry: Registry, end: str) -> None:
    """Whoever renewed it is told, so that its link is not handed on; the others are."""
    number, other = uploaded(registry), uploaded(registry, "b", KEPT)
    registry.note_uses("service", {"t": [LINK.format(name="a")]})
    registry.note_stored("service", "t")
    if end == "taken":
        assert names(registry.take_leftovers(0)) == {"a"}
    else:
        registry.forget([number])
    again = Upload("a.png", "https://host.example/a.png", Clock.now + DAY_S)
    assert not registry.finish(number, again, "")
    assert registry.finish(other, again, "")
    assert found(registry, "a", "b") == {"b": other}


def test_forgetting_nothing_changes_nothing(registry: Registry) -> None:
    """Whoever could delete nothing has nothing to forget, and another process may have been faster."""
    number = uploaded(registry)
    registry.forget([])
    registry.forget([number + 1])
    assert found(registry) == {"a": number}


def test_a_number_is_never_given_twice(registry: Registry) -> None:
    """A process that still holds the number of what was forgotten must not reach another upload with it."""
    registry.forget([first := uploaded(registry)])
    assert uploaded(registry) > first


# Which tasks need what

SIGNED_ANEW = {
    "S3": "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={n}&X-Amz-Expires=60&X-Amz-Signature={n}",
    "Google": "X-Goog-Date={n}&X-Goog-Signature={n}",
    "Azure": "sv=2024&se={n}&sp=r&sig={n}",
    "OSS": "Expires={n}&OSSAccessKeyId=me&Signature={n}",
    "this pack": "expires={n}&signature={n}",
}
OTHERS = {"a number": "id={n}", "a number that is signed": "id={n}&sig={n}", "a word": "{n}"}


@pytest.mark.parametrize("query", SIGNED_ANEW.values(), ids=SIGNED_ANEW)
def test_a_task_needs_the_upload_whoever_signed_its_link_anew(registry: Registry, query: str) -> None:
    """The link that was submitted is not letter for letter the one that was noted at the upload."""
    uploaded(registry, link="https://host.example/{name}.png?" + query.format(n=1))
    registry.note_uses("service", {"t": ["https://host.example/a.png?" + query.format(n=2)]})
    assert registry.note_stored("service", "t")
    assert names(registry.take_leftovers(0)) == {"a"}


@pytest.mark.parametrize("query", OTHERS.values(), ids=OTHERS)
def test_links_that_differ_in_another_query_are_different_pictures(registry: Registry, query: str) -> None:
    """A host may serve all pictures below one path: the end of one is not the end of the other."""
    first, second = (f"https://host.example/get?{query.format(n=n)}" for n in (1, 2))
    uploaded(registry, "a", link=first)
    uploaded(registry, "b", link=second)
    registry.note_uses("service", {"t": [first]})
    assert registry.note_stored("service", "t")
    assert names(registry.take_leftovers(0)) == {"a"}


@pytest.mark.parametrize(
    "link",
    ["https://host.example/b.png", "https://other.example/a.png", "https://host.example/", "pasted", ""],
)
def test_links_that_were_not_uploaded_from_here_are_nobodys_uploads(registry: Registry, link: str) -> None:
    """People paste links of their own; an upload that has only begun has no link yet."""
    uploaded(registry)
    begun(registry, "b")
    registry.note_uses("service", {"t": [link]})
    assert not registry.note_stored("service", "t")


def test_a_task_is_stored_once(registry: Registry, clock: Clock) -> None:
    """Later runs find it in the store, and the first moment counts, also when the task is noted once more."""
    uploaded(registry)
    link = LINK.format(name="a")
    registry.note_uses("service", {"t": [link, link], "u": []})
    assert not registry.note_stored("other service", "t")
    assert not registry.note_stored("service", "u")
    assert not registry.note_stored("service", "unknown")
    assert registry.note_stored("service", "t")
    clock.now += SPARE_S
    registry.note_uses("service", {"t": [link]})
    assert not registry.note_stored("service", "t")
    assert names(registry.take_leftovers(SPARE_S)) == {"a"}


def test_the_tasks_of_different_services_are_different_tasks(registry: Registry) -> None:
    """Two services may give the same id; an upload waits for both."""
    uploaded(registry)
    for service in ("one", "two"):
        registry.note_uses(service, {"t": [LINK.format(name="a")]})
    assert registry.note_stored("one", "t")
    assert registry.take_leftovers(0) == []
    assert registry.note_stored("two", "t")
    assert names(registry.take_leftovers(0)) == {"a"}


# What is to be deleted

STORED_AT_S: dict[str, tuple[Place, list[float | None], bool, float, bool]] = {
    # name: place, when the results of each task were stored (None: not yet), is it there, its lifetime, is it deleted
    "no task": (PLACE, [], True, DAY_S, False),
    "a task that is open": (PLACE, [None], True, DAY_S, False),
    "a task stored just now": (PLACE, [0], True, DAY_S, False),
    "a task stored a little less than the spare time ago": (PLACE, [1 - SPARE_S], True, DAY_S, False),
    "a task stored the spare time ago": (PLACE, [-SPARE_S], True, DAY_S, True),
    "a task stored long ago": (PLACE, [-2 * SPARE_S], True, DAY_S, True),
    "two tasks, one open": (PLACE, [-2 * SPARE_S, None], True, DAY_S, False),
    "two tasks, one stored just now": (PLACE, [-2 * SPARE_S, 0], True, DAY_S, False),
    "two tasks, both stored long ago": (PLACE, [-2 * SPARE_S, -3 * SPARE_S], True, DAY_S, True),
    "expired, with an open task": (PLACE, [None], True, 0, True),
    "expired, without a task": (PLACE, [], True, 0, True),
    "not expired by a second": (PLACE, [], True, 1, False),
    "only begun": (PLACE, [], False, 1, False),
    "only begun, and expired": (PLACE, [], False, 0, True),
    "kept at its host, stored long ago": (KEPT, [-2 * SPARE_S], True, 1, False),
    "kept at its host, expired": (KEPT, [-2 * SPARE_S], True, 0, True),
    "kept at its host, expired, only begun": (KEPT, [], False, 0, True),
}


@pytest.mark.parametrize(
    ("place", "stored", "is_there", "lifetime_s", "is_deleted"), STORED_AT_S.values(), ids=STORED_AT_S
)
def test_what_nothing_needs_any_more_is_to_be_deleted(
    registry: Registry,
    clock: Clock,
    place: Place,
    stored: list[float | None],
    is_there: bool,
    lifetime_s: float,
    is_deleted: bool,
) -> None:
    """Whatever has ended; and, where the host says so, what all its tasks have been stored of for a while."""
    now = clock.now
    clock.now = now - 4 * SPARE_S  # when it was handed on
    for name in ("a", "other"):
        (uploaded if is_there and name == "a" else begun)(registry, name, place, lifetime_s if name == "a" else DAY_S)
    for number, at_s in enumerate(stored):
        registry.note_uses("service", {f"t{number}": [LINK.format(name="a")]})
        if at_s is not None:
            clock.now = now + at_s
            registry.note_stored("service", f"t{number}")
    clock.now = now
    assert names(registry.take_leftovers(SPARE_S)) == ({"a"} if is_deleted else set())


def test_what_was_just_handed_on_again_stays_for_a_while(registry: Registry, clock: Clock) -> None:
    """Its earlier tasks are done, but another one is about to be submitted; a Poll that has just ended may take it."""
    number = uploaded(registry)
    registry.note_uses("service", {"t1": [LINK.format(name="a")]})
    registry.note_stored("service", "t1")
    clock.now += 2 * SPARE_S
    assert registry.finish(number, registry.find(PLACE, ["recipe a"])["recipe a"].upload, "")
    assert registry.take_leftovers(SPARE_S) == []
    clock.now += SPARE_S
    assert names(registry.take_leftovers(SPARE_S)) == {"a"}


def test_work_that_is_being_sent_keeps_its_uploads(registry: Registry, clock: Clock) -> None:
    """Noted before the submission, dropped when it is known what became of it."""
    uploaded(registry)
    link = LINK.format(name="a")
    registry.note_uses("service", {"t1": [link], "pending key": [link]})
    registry.note_stored("service", "t1")
    assert registry.take_leftovers(0.0) == []
    registry.drop_uses("service", ["pending key", "never noted"])
    assert names(registry.take_leftovers(0.0)) == {"a"}


def test_a_link_is_known_to_be_gone_from_when_it_is_taken(registry: Registry, clock: Clock) -> None:
    """Taken, deleted or over; not one that nobody uploaded here, and not one that was uploaded again since."""
    number = uploaded(registry)
    link, strange = LINK.format(name="a"), "https://elsewhere.test/a.png"
    assert registry.gone([link, strange]) == set()
    registry.take(None, ())
    assert registry.gone([link, strange]) == {link}
    registry.forget([number])
    assert registry.gone([link, strange]) == {link}
    uploaded(registry)
    assert registry.gone([link]) == set()
    clock.now += 2 * DAY_S
    assert registry.gone([link]) == {link}


def test_a_link_that_a_later_upload_has_too_is_shared(registry: Registry) -> None:
    """Some hosts keep the same bytes once: deleting for the older one would take them from the newer."""
    uploaded(registry)
    first = registry.find(PLACE, ["recipe a"])["recipe a"]
    assert not registry.is_shared(first)
    uploaded(registry)
    assert registry.is_shared(first)


def test_what_could_not_be_deleted_is_to_be_deleted_the_next_time(registry: Registry) -> None:
    """Until it is forgotten; it is used by nobody meanwhile."""
    number = uploaded(registry, lifetime_s=0)
    for _ in range(2):
        assert names(registry.take_leftovers(SPARE_S)) == {"a"}
        assert found(registry) == {}
    registry.forget([number])
    assert registry.take_leftovers(SPARE_S) == []


@pytest.mark.parametrize(
    ("host", "needed_by", "expected"),
    [
        (None, [], "abcde"),
        ("mine", [], "abde"),
        ("yours", [], "c"),
        ("nobody's", [], ""),
        (None, [("service", "t1")], "bcde"),
        (None, [("service", "t2")], "cde"),
        ("mine", [("service", "t1"), ("service", "t3")], "bde"),
        (None, [("other service", "t1"), ("service", "unknown")], "abcde"),
    ],
)
def test_all_are_taken_but_what_unfinished_tasks_need(
    registry: Registry, host: str | None, needed_by: list[tuple[str, str]], expected: str
) -> None:
    """Of one host or of all, also what has only begun, whether or not the host would keep it."""
    uploaded(registry, "a")
    uploaded(registry, "b", KEPT)
    uploaded(registry, "c", replace(PLACE, host="yours"))
    begun(registry, "d")
    uploaded(registry, "e", replace(PLACE, identity="where it was before"))
    tasks = {"t1": "a", "t2": "ab", "t3": "c"}
    registry.note_uses("service", {task: [LINK.format(name=n) for n in links] for task, links in tasks.items()})
    assert names(registry.take(host, needed_by)) == set(expected)
    left = set("abcde") - set(expected)
    assert set(found(registry, *"ab")) == left & set("ab")
    assert set(found(registry, "c", place=replace(PLACE, host="yours"))) == left & set("c")


def test_uploads_are_counted_by_host(registry: Registry) -> None:
    """All that may still be there: begun, there, ended, taken; not what was forgotten."""
    assert registry.counts() == {}
    begun(registry)
    uploaded(registry, lifetime_s=-1)
    number = uploaded(registry)
    uploaded(registry, place=replace(PLACE, host="yours"))
    registry.take("yours", ())
    assert registry.counts() == {"mine": 3, "yours": 1}
    registry.forget([number])
    assert registry.counts() == {"mine": 2, "yours": 1}


def test_what_is_forgotten_leaves_no_trace(home: Path, registry: Registry) -> None:
    """Neither the upload nor the tasks that needed it."""
    number = uploaded(registry)
    registry.note_uses("service", {"t": [LINK.format(name="a")]})
    registry.forget([number])
    with closing(sqlite3.connect(home / FILE)) as db:
        assert db.execute("SELECT (SELECT COUNT(*) FROM uploads), (SELECT COUNT(*) FROM uses)").fetchone() == (0, 0)
    assert not registry.note_stored("service", "t")


# Several at once


def test_what_one_thread_takes_no_other_thread_finds(home: Path, registry: Registry) -> None:
    """Three that upload and use again, two that delete, each with the file opened on its own: nothing gets lost."""
    taken: list[Record] = []
    misused: list[str] = []
    is_over = threading.Event()

    def upload(name: str) -> None:
        own = Registry(home, Clock())
        number = begun(own, name)
        for _ in range(2):
            before = {record.number for record in list(taken)}
            is_kept = own.finish(number, Upload(f"{name}.png", LINK.format(name=name), Clock.now + DAY_S), "")
            if number in before and (is_kept or found(own, name)):
                misused.append(name)

    def take() -> None:
        own = Registry(home, Clock())
        while not is_over.is_set():
            taken.extend(own.take(None, ()))

    wanted = [f"{n}" for n in range(15)]
    takers = [start(take, "taker") for _ in range(2)]
    map_bounded(upload, wanted, workers=3, monitor=Monitor())
    is_over.set()
    for taker in takers:
        taker.result(timeout=20)
    assert misused == []
    there = set(found(registry, *wanted))
    assert taken, "nothing was taken while the others uploaded; the test proved nothing"
    assert not there & names(taken)
    assert there | names(taken) == set(wanted)


UPLOAD = """
print("ready", flush=True)
sys.stdin.readline()
for n in range(10):
    name = f"{sys.argv[2]}-{n}"
    number = registry.begin(place, f"recipe {name}", "", f"{name}.png", time.time() + 3600)
    registry.finish(number, Upload(f"{name}.png", f"https://host.example/{name}.png", time.time() + 3600), "")
"""


def test_two_processes_lose_nothing_to_a_third_that_deletes(home: Path) -> None:
    """Every upload is either there at the end, or was taken; never both."""
    registry, taken = Registry(home), set[str]()
    with ExitStack() as stack:
        children = [stack.enter_context(running(OPEN + UPLOAD, home, name)) for name in "xy"]
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        while any(child.poll() is None for child in children) and len(taken) < 10:
            taken |= names(registry.take("mine", ()))
        for child in children:
            _, errors = child.communicate()
            assert child.returncode == 0, errors
    there = set(found(registry, *(f"{name}-{n}" for name in "xy" for n in range(10))))
    assert taken
    assert not there & taken
    assert there | taken == {f"{name}-{n}" for name in "xy" for n in range(10)}


# The file


USES: dict[str, Callable[[Registry], object]] = {
    "find": lambda registry: registry.find(PLACE, ["recipe a"]),
    "begin": lambda registry: begun(registry),
    "finish": lambda registry: registry.finish(1, Upload("a.png", "https://host.example/a.png", 1.0), ""),
    "note uses": lambda registry: registry.note_uses("service", {"t": ["https://host.example/a.png"]}),
    "note stored": lambda registry: registry.note_stored("service", "t"),
    "take leftovers": lambda registry: registry.take_leftovers(0),
    "take": lambda registry: registry.take(None, ()),
    "forget": lambda registry: registry.forget([1]),
    "counts": lambda registry: registry.counts(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_every_use_of_a_broken_list_says_what_to_do(home: Path, use: Callable[[Registry], object]) -> None:
    """It names the file and says that nothing was sent; nothing is made anew in its place."""
    home.mkdir()
    (home / FILE).write_bytes(b"broken" * 1000)
    with pytest.raises(ConfigurationError) as caught:
        use(Registry(home))
    for words in ("The list of uploads", str(home / FILE), "damaged", "Nothing was sent", "move it away"):
        assert words in str(caught.value)
    assert (home / FILE).read_bytes() == b"broken" * 1000


def test_a_list_of_a_newer_version_is_left_alone(home: Path, registry: Registry) -> None:
    """The pack was set back to an older version."""
    uploaded(registry)
    with closing(sqlite3.connect(home / FILE)) as db:
        db.execute("PRAGMA user_version=7")
    with pytest.raises(ConfigurationError, match=r"list of uploads.*newer version.*format 7.*Update the pack"):
        registry.find(PLACE, ["recipe a"])


AS_NOBODY = """
if hasattr(os, "getuid") and os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for use in (registry.counts, lambda: registry.begin(place, "", "", "a.png", 1.0)):
    try:
        print(use())
    except ConfigurationError as error:
        print(error)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach; pytest's own are for one user."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
        os.chmod(folder, 0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
def test_a_list_that_may_not_be_written_is_told(open_folder: Path) -> None:
    """A state folder that is mounted read-only; the text says the ways out."""
    uploaded(Registry(open_folder, Clock()))
    (open_folder / FILE).chmod(0o444)
    open_folder.chmod(0o555)
    said = output_of(OPEN + AS_NOBODY, open_folder).splitlines()
    assert len(said) == 2
    for text in said:
        for words in ("The list of uploads", str(open_folder / FILE), "cannot be written", "CARTOONIZE_HOME"):
            assert words in text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
def test_only_its_owner_can_read_the_list(home: Path, registry: Registry) -> None:
    """Whatever the umask says: links may be all that protects a picture."""
    before = os.umask(0)
    try:
        uploaded(registry)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}
    assert modes == {FILE: 0o600}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


KEYS: dict[str, dict[str, object]] = {
    "nowhere": {},
    "the headers": {"headers": {"Authorization": "Bearer hunter2"}},
    "the password": {"user": "me", "password": Secret("hunter2")},
    "the form": {"method": "POST", "fields": {"api_key": "hunter2"}},
    "the address": {"url_query": "?key=hunter2"},
    "what deletes": {"delete_fields": {"api_key": "hunter2"}},
    "the address that deletes": {"delete_query": "?key=hunter2"},
}


@pytest.mark.parametrize("extra", KEYS.values(), ids=KEYS)
def test_no_key_of_a_host_is_in_the_bytes_of_the_list(
    home: Path, registry: Registry, httpserver: HTTPServer, extra: dict[str, object]
) -> None:
    """Wherever the configuration holds it: the file outlives the key, and is copied with the folder."""
    httpserver.expect_request("/up").respond_with_json({"link": "https://pictures.example/1.png", "id": "deletes-it"})
    options = dict(extra)
    settings = HttpSettings(
        "mine",
        url=httpserver.url_for("/up") + str(options.pop("url_query", "?name={name}")),
        link="{json:/link}",
        delete_url=httpserver.url_for("/delete/") + "{json:/id}" + str(options.pop("delete_query", "")),
        public=False,
        allow_http=True,
        **{"method": "POST", **options},
    )
    host = HttpHost(settings)
    number = registry.begin(Place("mine", host.identity, True), "recipe a", "content a", "a.png", Clock.now + DAY_S)
    registry.finish(number, host.put("a.png", b"pixels", "image/png"), "")
    data = b"".join(path.read_bytes() for path in home.iterdir())
    assert b"deletes-it" in data  # this is where it would be
    assert b"hunter2" not in data
