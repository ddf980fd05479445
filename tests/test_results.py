"""The results store: whole pictures or none, found by task and index, and never removed while somebody uses them."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cartoonize_pack.utils.images import Header
from cartoonize_pack.utils.monitor import Monitor
from cartoonize_pack.utils.results import IN_USE_S, Kept, ResultStore, write_whole
from cartoonize_pack.utils.threads import map_bounded
from child_process import output_of
from fake_clock import Clock

SERVICE = "https://api.example/result/{task_id}"
PNG = Header("PNG", 6, 4)
KIB = 1024


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder that nobody has used yet."""
    return tmp_path / "state"


@pytest.fixture
def store(home: Path, clock: Clock) -> ResultStore:
    """A store with room for ten KiB."""
    return ResultStore(home, 10 * KIB, clock)


def keep(store: ResultStore, task_id: str, index: int = 0, data: bytes = b"picture", service: str = SERVICE) -> Path:
    """Put a picture and return its file's name."""
    return Path(store.put(service, task_id, index, data, PNG).file)


def kept(store: ResultStore, task_id: str, index: int = 0) -> bytes | None:
    """The bytes of a picture, None if it is not there."""
    found = store.get(SERVICE, task_id, index)
    return None if found is None else found.data


def drop(store: ResultStore, task_id: str, index: int) -> None:
    """Remove a picture, which must be there."""
    found = store.get(SERVICE, task_id, index)
    assert found is not None
    store.drop(found)


def files(home: Path) -> list[str]:
    """Every file below the state folder."""
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())


# Keeping and finding


def test_a_picture_is_found_by_task_and_index(home: Path, store: ResultStore) -> None:
    """Its bytes as they came, and the name of its file, relative to the state folder; also by another process."""
    put = [store.put(SERVICE, "t1", index, f"picture {index}".encode(), PNG) for index in range(3)]
    for index, one in enumerate(put):
        assert one.data == f"picture {index}".encode()
        assert (home / one.file).read_bytes() == one.data
        assert store.get(SERVICE, "t1", index) == ResultStore(home, KIB).get(SERVICE, "t1", index) == one
    assert store.get(SERVICE, "t1", 3) is None
    assert store.get(SERVICE, "t2", 0) is None


@pytest.mark.parametrize(("fmt", "extension"), [("PNG", "png"), ("JPEG", "jpg"), ("BMP", "bmp"), ("WEBP", "webp")])
@pytest.mark.parametrize(("index", "number"), [(0, "0001"), (19, "0020"), (9999, "10000")])
def test_the_name_tells_task_number_and_content(
    store: ResultStore, fmt: str, extension: str, index: int, number: str
) -> None:
    """A person finds the picture, every viewer opens it, and damage can be noticed."""
    file = Path(store.put(SERVICE, "t1", index, b"picture", Header(fmt, 6, 4)).file)
    assert file.name == f"{number}-{hashlib.sha256(b'picture').hexdigest()[:32]}.{extension}"
    assert file.parent.name.startswith("t1-")
    assert file.parts[0] == "results"
    assert kept(store, "t1", index) == b"picture"


def test_pictures_whose_numbers_begin_alike_are_not_mixed_up(store: ResultStore) -> None:
    """1, 10, 1000 and 10000."""
    for index in (0, 9, 999, 9999):
        keep(store, "t1", index, f"picture {index}".encode())
    for index in (0, 9, 999, 9999):
        assert kept(store, "t1", index) == f"picture {index}".encode()
    drop(store, "t1", 999)
    assert kept(store, "t1", 999) is None
    assert kept(store, "t1", 9999) == b"picture 9999"


def test_a_picture_that_is_kept_twice_is_one_file(home: Path, store: ResultStore) -> None:
    """Two runs may fetch the same picture at once."""
    assert keep(store, "t1") == keep(store, "t1")
    assert len(files(home)) == 1


def test_tasks_of_two_services_with_the_same_id_do_not_mix(store: ResultStore) -> None:
    """Ids are unique within a service only."""
    keep(store, "t1", 0, b"theirs")
    keep(store, "t1", 0, b"ours", "local")
    assert kept(store, "t1") == b"theirs"
    assert store.forget("local", "t1") == 1
    assert store.get("local", "t1", 0) is None
    assert kept(store, "t1") == b"theirs"


@pytest.mark.parametrize(
    "task_id", ["a:b~c", "..", "../../x", "a/b", "a\\b", "CON", "é", "*", "a" * 200, "a b", "~", ""]
)
def test_every_task_id_makes_a_folder_that_every_system_accepts(home: Path, store: ResultStore, task_id: str) -> None:
    """One folder, inside the store, whatever a service may call its tasks."""
    file = keep(store, task_id)
    assert kept(store, task_id) == b"picture"
    assert files(home) == [file.as_posix()]
    results, folder, _ = file.parts
    assert results == "results"
    assert set(folder) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    assert 12 < len(folder) <= 80
    assert folder.upper() != "CON"


def test_task_ids_that_look_alike_in_a_folder_name_are_kept_apart(store: ResultStore) -> None:
    """A digest of the whole id is part of it."""
    ids = ["a:b", "a~b", "a_b", "a" * 100, "a" * 101]
    for task_id in ids:
        keep(store, task_id, 0, task_id.encode())
    assert [kept(store, task_id) for task_id in ids] == [task_id.encode() for task_id in ids]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
def test_only_the_owner_can_see_the_pictures(home: Path, store: ResultStore) -> None:
    """They are faces; whatever the process's umask is, and whoever made the state folder."""
    old = os.umask(0o022)
    try:
        file = keep(store, "t1")
    finally:
        os.umask(old)
    paths = [home / file, *(home / parent for parent in file.parents)]
    modes = {path.relative_to(home.parent).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in paths}
    assert list(modes.values()) == [0o600, 0o700, 0o700, 0o700], modes


def test_looking_makes_nothing(home: Path, store: ResultStore) -> None:
    """Neither folders nor files."""
    assert kept(store, "t1") is None
    store.use(SERVICE, "t1")
    store.drop(Kept(b"picture", "results/t1-0123456789ab/0001-0123.png"))
    store.make_room()
    assert store.forget(SERVICE, "t1") == 0
    assert not home.exists()


# Damage


def one_byte_flipped(data: bytes) -> bytes:
    """As a failing disk does it."""
    return data[:3] + bytes([data[3] ^ 1]) + data[4:]


@pytest.mark.parametrize(
    "damage",
    [one_byte_flipped, lambda data: data[:-1], lambda data: b"", lambda data: data + b"x"],
    ids=["one bit flipped", "cut short", "emptied", "lengthened"],
)
def test_a_damaged_picture_is_removed_and_counts_as_missing(home: Path, store: ResultStore, damage: object) -> None:
    """It is fetched again then; the others stay."""
    assert callable(damage)
    file, other = home / keep(store, "t1", 0), keep(store, "t1", 1)
    file.write_bytes(damage(b"picture"))
    assert kept(store, "t1", 0) is None
    assert files(home) == [other.as_posix()]
    keep(store, "t1", 0)
    assert kept(store, "t1", 0) == b"picture"


@pytest.mark.parametrize("damaged", [b"first", b"second"])
def test_a_sound_picture_is_found_beside_a_damaged_one(home: Path, store: ResultStore, damaged: bytes) -> None:
    """Whichever of the two is looked at first."""
    sound = b"second" if damaged == b"first" else b"first"
    keep(store, "t1", 0, sound)
    (home / keep(store, "t1", 0, damaged)).write_bytes(b"")
    assert kept(store, "t1") == sound


# Whole or not at all


def test_what_a_killed_process_left_half_written_is_never_a_picture(home: Path, store: ResultStore) -> None:
    """It is passed over by everything that looks for pictures."""
    folder = (home / keep(store, "t1", 0)).parent
    (folder / ".part-abc").write_bytes(b"pict")
    assert kept(store, "t1", 0) == b"picture"
    assert kept(store, "t1", 1) is None
    assert (folder / ".part-abc").exists()


def test_a_picture_appears_whole(tmp_path: Path) -> None:
    """Whoever looks while it is replaced sees the old bytes or the new ones, never a part."""
    path, wrong, stop = tmp_path / "file", [], threading.Event()
    versions = [bytes([letter]) * 300_000 for letter in b"ab"]
    path.write_bytes(versions[0])

    def look() -> None:
        while not stop.is_set():
            if (seen := path.read_bytes()) not in versions:
                wrong.append(len(seen))

    thread = threading.Thread(target=look)
    thread.start()
    for n in range(20):
        write_whole(path, versions[n % 2])
    stop.set()
    thread.join()
    assert wrong == []
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_full_disk_is_an_os_error_and_leaves_no_part(home: Path, store: ResultStore) -> None:
    """The caller goes on without keeping it; the limit of the size of files stands for the disk."""
    other = keep(store, "t1", 1)
    script = (
        "import resource, signal\n"
        "from cartoonize_pack.utils.images import Header\n"
        "from cartoonize_pack.utils.results import ResultStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    ResultStore(Path(sys.argv[1]), 10**9).put(sys.argv[2], 't1', 0, bytes(5000), Header('PNG', 6, 4))\n"
        "except OSError as error:\n"
        "    print(type(error).__name__)\n"
    )
    assert output_of(script, home, SERVICE) == "OSError"
    assert files(home) == [other.as_posix()]


@pytest.mark.parametrize("where", ["", "results"])
def test_a_file_in_the_way_is_an_os_error(home: Path, store: ResultStore, where: str) -> None:
    """The caller has the picture, and goes on without keeping it."""
    if where:
        home.mkdir()
    (home / where).write_text("in the way")
    with pytest.raises(OSError, match=r"exists|directory"):
        keep(store, "t1")
    assert kept(store, "t1") is None
    assert (home / where).read_text() == "in the way"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
def test_a_store_that_may_only_be_read_is_read(home: Path, store: ResultStore) -> None:
    """A picture that is there is found; to keep another one is an OSError without a trace."""
    keep(store, "t1", 0)
    script = (
        "from cartoonize_pack.utils.images import Header\n"
        "from cartoonize_pack.utils.results import ResultStore\n"
        "store = ResultStore(Path(sys.argv[1]), 10**9)\n"
        "os.chdir(sys.argv[1])\n"
        "if os.getuid() == 0:\n"
        "    os.setgroups([])\n"
        "    os.setgid(65534)\n"
        "    os.setuid(65534)\n"
        "store = ResultStore(Path('.'), 10**9)\n"
        "print(store.get(sys.argv[2], 't1', 0).data.decode())\n"
        "try:\n"
        "    store.put(sys.argv[2], 't1', 1, b'other', Header('PNG', 6, 4))\n"
        "except OSError as error:\n"
        "    print(type(error).__name__)\n"
    )
    before = files(home)
    for path in [home, *home.rglob("*")]:
        path.chmod(0o444 if path.is_file() else 0o555)
    try:
        assert output_of(script, home, SERVICE).split() == ["picture", "PermissionError"]
    finally:
        for path in [home, *home.rglob("*")]:
            path.chmod(0o600 if path.is_file() else 0o700)
    assert files(home) == before


# Room


def test_the_longest_unused_pictures_go_first(store: ResultStore, clock: Clock) -> None:
    """Down to the limit, and not further; looking at one counts as use."""
    for n in range(6):
        keep(store, f"t{n}", 0, bytes([n]) * 3 * KIB)
        clock.now += 1
    kept(store, "t0")
    clock.now += IN_USE_S + 1
    store.make_room()
    assert [n for n in range(6) if kept(store, f"t{n}") is not None] == [0, 4, 5]


def test_within_the_limit_nothing_is_removed(home: Path, store: ResultStore, clock: Clock) -> None:
    """Exactly ten KiB have room, for ever."""
    for n in range(10):
        keep(store, f"t{n}", 0, bytes([n]) * KIB)
    clock.now += 365 * 24 * 3600
    store.make_room()
    assert len(files(home)) == 10


@pytest.mark.parametrize(("age_s", "is_kept"), [(0.0, True), (IN_USE_S - 1, True), (IN_USE_S + 1, False)])
def test_what_was_just_used_is_never_removed(store: ResultStore, clock: Clock, age_s: float, is_kept: bool) -> None:
    """Not even when it is far over the limit: somebody is about to read it."""
    for n in range(4):
        keep(store, "t1", n, bytes([n]) * 20 * KIB)
    clock.now += age_s
    store.make_room()
    assert [kept(store, "t1", n) is not None for n in range(4)] == [is_kept] * 4


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.use(SERVICE, "t1"),
        lambda store: [store.get(SERVICE, "t1", n) for n in range(3)],
        lambda store: [store.put(SERVICE, "t1", n, bytes([n]) * 20 * KIB, PNG) for n in range(3)],
    ],
    ids=["use", "get", "put"],
)
def test_use_protects_all_pictures_of_a_task(
    store: ResultStore, clock: Clock, use: Callable[[ResultStore], object]
) -> None:
    """For the next ten minutes, against other runs; other tasks are not protected with it."""
    for n in range(3):
        keep(store, "t1", n, bytes([n]) * 20 * KIB)
        keep(store, "t2", n, bytes([n]) * 20 * KIB)
    clock.now += 2 * IN_USE_S
    use(store)
    clock.now += IN_USE_S - 1
    store.make_room()
    assert all(kept(store, "t1", n) is not None for n in range(3))
    assert all(kept(store, "t2", n) is None for n in range(3))


def test_what_killed_processes_left_is_removed_when_it_is_old(home: Path, store: ResultStore, clock: Clock) -> None:
    """Within the limit, too; what may still be written to is left alone, and a folder that got empty goes with it."""
    folder = (home / keep(store, "t1")).parent
    empty = folder.with_name("t2-0123456789ab")
    empty.mkdir()
    for age_s, path in [
        (IN_USE_S + 1, folder / ".part-old"),
        (5, folder / ".part-new"),
        (IN_USE_S + 1, empty / ".part-x"),
    ]:
        path.write_bytes(b"pict")
        os.utime(path, (clock.now - age_s, clock.now - age_s))
    store.make_room()
    assert {path.name for path in folder.iterdir()} - {".part-new"} == {Path(keep(store, "t1")).name}
    assert (folder / ".part-new").exists()
    assert not empty.exists()


def test_folders_that_got_empty_are_removed(home: Path, store: ResultStore, clock: Clock) -> None:
    """Thousands of tasks leave no thousands of folders."""
    for n in range(4):
        keep(store, f"t{n}", 0, bytes([n]) * 20 * KIB)
    clock.now += IN_USE_S + 1
    store.make_room()
    assert list((home / "results").iterdir()) == []


def test_something_else_in_the_folder_does_not_stop_anybody(home: Path, store: ResultStore, clock: Clock) -> None:
    """A folder of a file manager, for example: a run that has its pictures must not end with its error."""
    folder = (home / keep(store, "t1", 0, bytes(20 * KIB))).parent
    (folder / ".thumbnails").mkdir()
    (folder.parent / "notes.txt").write_text("mine")
    for path in (folder / ".thumbnails", folder.parent / "notes.txt"):
        os.utime(path, (1.0, 1.0))
    clock.now += IN_USE_S + 1
    store.make_room()
    assert kept(store, "t1") is None
    assert (folder.parent / "notes.txt").exists()


# Removing


def test_forget_removes_the_pictures_of_one_task(home: Path, store: ResultStore) -> None:
    """And says how many they were; its folder goes, too."""
    for n in range(3):
        keep(store, "t1", n, bytes([n]))
    other = keep(store, "t2")
    assert store.forget(SERVICE, "t1") == 3
    assert files(home) == [other.as_posix()]
    assert [path.name for path in (home / "results").iterdir()] == [other.parent.name]
    assert store.forget(SERVICE, "t1") == 0


def test_drop_removes_one_picture(store: ResultStore) -> None:
    """It turned out to be unusable; the others of the task stay."""
    for n in range(3):
        keep(store, "t1", n, bytes([n]))
    drop(store, "t1", 1)
    assert [kept(store, "t1", n) for n in range(3)] == [b"\x00", None, b"\x02"]


def test_drop_removes_its_own_file_and_no_other_one_of_the_same_picture(home: Path, store: ResultStore) -> None:
    """Another process may have stored the same picture of the same task, whole; twice is as good as once."""
    mine = store.put(SERVICE, "t1", 0, b"half", PNG)
    theirs = keep(store, "t1", 0, b"whole")
    for _ in range(2):
        store.drop(mine)
        assert files(home) == [theirs.as_posix()]
    assert kept(store, "t1") == b"whole"


def test_dropping_what_could_not_be_kept_removes_nothing(home: Path, store: ResultStore) -> None:
    """It has no file."""
    other = keep(store, "t1")
    store.drop(Kept(b"picture", ""))
    assert files(home) == [other.as_posix()]


def test_threads_that_keep_read_and_make_room_at_once_do_not_disturb_each_other(home: Path, clock: Clock) -> None:
    """Every picture that was just kept is there, and whole."""
    stores = [ResultStore(home, KIB, clock), ResultStore(home, KIB, clock)]

    def one(n: int) -> bytes | None:
        store = stores[n % 2]
        keep(store, f"t{n % 5}", n, bytes([n]) * KIB)
        store.make_room()
        return kept(store, f"t{n % 5}", n)

    assert map_bounded(one, range(40), workers=8, monitor=Monitor()) == [bytes([n]) * KIB for n in range(40)]
