"""The file that several processes use at once: durable, alone in each transaction, and clear about its troubles."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from cartoonize_pack.utils import database
from cartoonize_pack.utils.database import Database
from cartoonize_pack.utils.errors import ConfigurationError
from child_process import command, killed, output_of, running

FIRST = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL); CREATE INDEX notes_by_text ON notes (text)"
SECOND = "CREATE TABLE more (x); INSERT INTO more SELECT text FROM notes; ALTER TABLE notes ADD COLUMN kind TEXT"
PATIENCE_S = 10.0  # for what happens at once; only a broken test waits that long
OPEN = (
    "from cartoonize_pack.utils.database import Database\n"
    "from cartoonize_pack.utils.errors import ConfigurationError\n"
    f"database = Database(Path(sys.argv[1]), ({FIRST!r},), 'The notes', tells='what was noted')\n"
)
GET_IN = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("BEGIN IMMEDIATE")
    print("came in")
except sqlite3.OperationalError as error:
    print(error)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "state" / "notes.sqlite3"


def opened(path: Path, migrations: Sequence[str] = (FIRST,)) -> Database:
    """The file as a new process sees it."""
    return Database(path, migrations, "The notes", tells="what was noted")


def add(path: Path, *texts: str) -> None:
    """Write some rows in one transaction."""
    with opened(path).transaction() as db:
        db.executemany("INSERT INTO notes (text) VALUES (?)", [(text,) for text in texts])


def texts(path: Path) -> list[str]:
    """What is in the file."""
    with opened(path).transaction() as db:
        return [text for (text,) in db.execute("SELECT text FROM notes ORDER BY id")]


def plain(path: Path, sql: str) -> list[tuple[object, ...]]:
    """What plain SQLite says, or does, outside of any transaction of ours."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(sql).fetchall()


def refused(path: Path, *words: str, migrations: Sequence[str] = (FIRST,)) -> str:
    """Use a file that cannot be used: the error names it, says that nothing was sent, and what to do."""
    with pytest.raises(ConfigurationError) as caught, opened(path, migrations).transaction():
        pytest.fail("it could be opened")
    for word in ("The notes", str(path), "Nothing was sent", *words):
        assert word in str(caught.value)
    return str(caught.value)


# Transactions


def test_what_was_done_in_a_block_is_there_afterwards(path: Path) -> None:
    """For this process and every other one."""
    add(path, "a", "b")
    assert texts(path) == ["a", "b"]
    script = OPEN + "with database.transaction() as db:\n print(db.execute('SELECT text FROM notes').fetchall())"
    assert output_of(script, path) == "[('a',), ('b',)]"


def test_what_was_done_in_a_block_that_raised_is_undone(path: Path) -> None:
    """All of it; the error is handed on as it is, and the file stays usable."""
    add(path, "a")
    shared, wrong = opened(path), ValueError("broken")

    def fail() -> None:
        with shared.transaction() as db:
            db.execute("INSERT INTO notes (text) VALUES ('b')")
            raise wrong

    with pytest.raises(ValueError, match="broken") as caught:
        fail()
    assert caught.value is wrong
    with shared.transaction() as db:
        assert db.execute("SELECT text FROM notes").fetchall() == [("a",)]


def test_an_error_of_the_file_inside_a_block_is_a_configuration_error(path: Path) -> None:
    """Whatever a caller does there, it need not know SQLite."""
    same = [(1, "a"), (1, "b")]  # two rows of one number
    with pytest.raises(ConfigurationError, match="The notes"), opened(path).transaction() as db:
        db.executemany("INSERT INTO notes (id, text) VALUES (?, ?)", same)
    assert texts(path) == []


def test_transactions_are_written_through_to_the_disk(path: Path) -> None:
    """A write-ahead log that is flushed at every commit: a power cut takes nothing back."""
    add(path, "a")
    with opened(path).transaction() as db:
        found = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "locking_mode")]
    assert found == ["wal", 2, "exclusive"]
    assert path.read_bytes()[18:20] == b"\x02\x02"  # the file itself says that it has a write-ahead log


def test_no_memory_is_shared_between_processes(path: Path) -> None:
    """It is what would not work on a home that several machines share: there is never a -shm file."""
    add(path, "a")
    with opened(path).transaction() as db:
        db.execute("INSERT INTO notes (text) VALUES ('b')")
        assert {file.name for file in path.parent.iterdir()} == {path.name, f"{path.name}-wal"}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
def test_only_the_owner_can_read_the_files(path: Path) -> None:
    """Whatever the process's umask is."""
    old = os.umask(0)
    try:
        with opened(path).transaction() as db:
            db.execute("INSERT INTO notes (text) VALUES ('b')")
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(old)
    assert modes == {path.name: 0o600, f"{path.name}-wal": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


# Migrations


def test_a_file_of_an_older_version_is_brought_up_to_date_with_its_data(path: Path) -> None:
    """Each step runs once, in order."""
    add(path, "a", "b")
    assert plain(path, "PRAGMA user_version") == [(1,)]
    for _ in range(2):
        with opened(path, (FIRST, SECOND)).transaction() as db:
            assert db.execute("SELECT text, kind FROM notes").fetchall() == [("a", None), ("b", None)]
            assert db.execute("SELECT x FROM more").fetchall() == [("a",), ("b",)]
    assert plain(path, "PRAGMA user_version") == [(2,)]


def test_a_new_file_gets_all_versions_at_once(path: Path) -> None:
    """The first use makes the folder, the file and its tables."""
    with opened(path, (FIRST, SECOND)).transaction() as db:
        assert db.execute("SELECT * FROM notes, more").fetchall() == []
    assert plain(path, "PRAGMA user_version") == [(2,)]


def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    """Also what its first statements did, and what the migration before it did: the old pack goes on with it."""
    add(path, "a")
    refused(path, migrations=(FIRST, "CREATE TABLE other (x)", "CREATE TABLE more (x); CREATE TABLE notes (x)"))
    assert plain(path, "PRAGMA user_version") == [(1,)]
    assert plain(path, "SELECT name FROM sqlite_master WHERE name IN ('more', 'other')") == []
    assert texts(path) == ["a"]


def test_a_file_of_a_newer_version_is_not_touched(path: Path) -> None:
    """An older pack cannot know what it means; the text says to update."""
    add(path, "a")
    with opened(path, (FIRST, SECOND)).transaction():
        pass
    before = path.read_bytes()
    refused(path, "newer version", "format 2", "knows 1", "Update the pack")
    assert path.read_bytes() == before


# Several at once


def test_a_second_transaction_waits_for_the_first(path: Path) -> None:
    """Two threads, each with the file open as its own: one after the other."""
    add(path)
    order: list[str] = []
    started = threading.Event()

    def second() -> None:
        started.set()
        with opened(path).transaction() as db:
            order.append("second")
            db.execute("INSERT INTO notes (text) VALUES ('second')")

    thread = threading.Thread(target=second)
    with opened(path).transaction() as db:
        thread.start()
        assert started.wait(PATIENCE_S)
        thread.join(0.03)
        order.append("first")
        db.execute("INSERT INTO notes (text) VALUES ('first')")
    thread.join(PATIENCE_S)
    assert order == texts(path) == ["first", "second"]


@pytest.mark.parametrize("does_a_thread_wait", [False, True], ids=["alone", "while a thread waits"])
def test_no_other_process_comes_into_a_transaction(
    path: Path, does_a_thread_wait: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even while another thread of this process tries: to close any descriptor of a file drops its POSIX locks."""
    add(path)
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.0)
    with opened(path).transaction() as db:
        db.execute("INSERT INTO notes (text) VALUES ('a')")
        if does_a_thread_wait:
            refused(path, "held by another program")
        other = [sys.executable, "-c", GET_IN, str(path)]
        assert subprocess.run(other, capture_output=True, text=True, check=True).stdout.strip() == "database is locked"
    assert texts(path) == ["a"]


# Killed processes


KILLED = """
with database.transaction() as db:
    db.execute("PRAGMA cache_size=5")
    db.executemany("INSERT INTO notes (text) VALUES (?)", [(f"{n} " * 900,) for n in range(int(sys.argv[3]))])
    if sys.argv[2] == "after COMMIT":
        db.execute("COMMIT")
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("rows", [1, 200], ids=["in memory", "more than memory holds"])
@pytest.mark.parametrize("moment", ["before COMMIT", "after COMMIT"])
def test_a_killed_process_leaves_whole_transactions_only(path: Path, moment: str, rows: int) -> None:
    """SIGKILL at any moment: the next one is not held up, and finds all of it or nothing."""
    add(path, "a")
    with running(OPEN + KILLED, path, moment, rows) as child:
        killed(child)
        assert path.with_name(f"{path.name}-wal").exists()
        add(path, "b")
    assert len(texts(path)) == (2 + rows if moment == "after COMMIT" else 2)
    assert plain(path, "PRAGMA integrity_check") == [("ok",)]


# Files that cannot be used


@pytest.mark.parametrize("content", [b"short", b"These are not the notes.\n" * 400], ids=["short", "long"])
def test_a_file_that_is_no_database_is_told_and_kept(path: Path, content: bytes) -> None:
    """It may be something else that somebody needs."""
    path.parent.mkdir()
    path.write_bytes(content)
    refused(path, "damaged", "Put back a copy", "move it away")
    assert path.read_bytes() == content


def of_a_row(data: bytes) -> tuple[int, bytes]:
    """A row's own text, as the table or its index holds it."""
    return data.index(b"note 0150"), b"note 9"


def of_a_page(data: bytes) -> tuple[int, bytes]:
    """What kind of page it is."""
    return middle_page(data), b"\x00"


def of_the_pointers(data: bytes) -> tuple[int, bytes]:
    """Where the page's rows are."""
    return middle_page(data) + 8, b"\xff" * 16


def middle_page(data: bytes) -> int:
    """Where the page in the middle begins."""
    size = int.from_bytes(data[16:18], "big")
    return len(data) // size // 2 * size


@pytest.mark.parametrize("place", [of_a_row, of_a_page, of_the_pointers])
def test_a_few_damaged_bytes_are_noticed_before_anything_is_believed(path: Path, place: object) -> None:
    """A damaged page must not read as "never paid"; the file is left for whoever can repair it."""
    assert callable(place)
    add(path, *[f"note {n:04} {'x' * 100}" for n in range(300)])
    data = path.read_bytes()
    offset, wrong = place(data)
    assert 4096 < offset < len(data) - 4096
    damaged = data[:offset] + wrong + data[offset + len(wrong) :]
    assert len(damaged) == len(data)
    assert damaged != data
    path.write_bytes(damaged)
    refused(path, "damaged", "Put back a copy", "move it away")
    assert path.read_bytes() == damaged


def test_a_file_that_is_cut_short_is_noticed(path: Path) -> None:
    """The rest of it may be what says that something was paid."""
    add(path, *[f"note {n:04} {'x' * 100}" for n in range(300)])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 8192 * 4096])
    refused(path, "damaged", "Put back a copy")


HOLD = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
for sql in sys.argv[2].split(";"):
    db.execute(sql).fetchall()
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("sql", ["BEGIN EXCLUSIVE", "BEGIN; SELECT * FROM notes"], ids=["writing", "looking"])
def test_a_file_that_another_program_holds_for_too_long_is_told(
    path: Path, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database browser left open; when it is closed, or killed, all is well."""
    add(path, "a")
    with running(HOLD, path, sql) as child:
        with monkeypatch.context() as patch:
            patch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
            refused(path, "held by another program for more than 0.05 s", "Close what has it open")
        killed(child)
        add(path, "b")
    assert texts(path) == ["a", "b"]


TRY_AS_NOBODY = """
if hasattr(os, "getuid") and os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    with database.transaction() as db:
        db.execute("INSERT INTO notes (text) VALUES ('b')")
    print("it could be written")
except ConfigurationError as error:
    print(error)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach; pytest's own are for one user."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
        for path in [Path(folder), *Path(folder).iterdir()]:
            path.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
@pytest.mark.parametrize(
    ("file_mode", "folder_mode"),
    [(None, 0o555), (0o444, 0o555), (0o444, 0o777), (0o666, 0o555), (0o000, 0o555)],
    ids=["no file in a folder", "file and folder", "file", "folder", "file that cannot be read"],
)
def test_what_may_not_be_written_is_told(open_folder: Path, file_mode: int | None, folder_mode: int) -> None:
    """Another user's state folder, or one that is mounted read-only; the text says the ways out."""
    path = open_folder / "notes.sqlite3"
    if file_mode is not None:
        add(path, "a")
        path.chmod(file_mode)
    open_folder.chmod(folder_mode)
    text = output_of(OPEN + TRY_AS_NOBODY, path)
    for words in ("The notes", str(path), "cannot be written", "CARTOONIZE_HOME", "Nothing was sent"):
        assert words in text
    open_folder.chmod(0o755)
    if file_mode is not None:
        assert texts(path) == ["a"]


def test_a_folder_in_place_of_the_file_is_told(path: Path) -> None:
    """A volume that was mounted one level too deep."""
    path.mkdir(parents=True)
    refused(path, "cannot be written", "CARTOONIZE_HOME")


@pytest.mark.parametrize("name", ["locked", "busy"])
def test_a_word_in_the_path_does_not_change_what_is_told(tmp_path: Path, name: str) -> None:
    """The system's own text quotes the path, which must not read as a file that somebody holds."""
    refused(tmp_path / name / ("too long a name " * 20), "cannot be written", "CARTOONIZE_HOME")


FILL = """
def write(text):
    with database.transaction() as db:
        db.execute("INSERT INTO notes (text) VALUES (?)", (text,))
def count():
    with database.transaction() as db:
        return db.execute("SELECT count(*) FROM notes").fetchone()[0]
written = 0
try:
    while written < 1000:
        write(str(written) * 1000)
        written += 1
    print("it never was full")
except ConfigurationError as error:
    print(error)
"""
FILL_DISK = (
    "Path(sys.argv[1]).with_name('filler').write_bytes(bytes(100_000))\n"
    + FILL
    + "Path(sys.argv[1]).with_name('filler').unlink()\nwrite('again')\nprint(count() - written)\n"
)
FILL_QUOTA = (
    "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, resource.RLIM_INFINITY))\n"
    + FILL
    + "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
    "write('again')\nprint(count() - written)\n"
)


def told_when_full(text: str, path: Path) -> None:
    """It names the file and the way out, what was written before is there, and with new space it goes on."""
    told, rows = text.rsplit("\n", 1)
    for words in ("The notes", str(path), "cannot be written", "Free space on the disk", "Nothing was sent"):
        assert words in told
    assert rows == "1"


def test_a_full_disk_is_told_and_takes_nothing_back(tmp_path: Path) -> None:
    """A real, small one, that is mounted for one process only."""
    shell = f'mount -t tmpfs -o size=256k tmpfs {tmp_path} && exec "$@"'
    for unshare in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        try:
            test = subprocess.run([*unshare, "sh", "-c", shell, "sh", "true"], capture_output=True)
        except FileNotFoundError:
            continue
        if test.returncode == 0:
            break
    else:
        pytest.skip("no small disk can be mounted here")
    path = tmp_path / "notes.sqlite3"
    run = [*unshare, "sh", "-c", shell, "sh", *command(OPEN + FILL_DISK, path)]
    done = subprocess.run(run, cwd=Path(__file__).parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not path.exists()
    told_when_full(done.stdout.strip(), path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_used_up_quota_is_told_and_takes_nothing_back(path: Path) -> None:
    """As a full disk; the limit of the size of files stands for it."""
    told_when_full(output_of(OPEN + FILL_QUOTA, path), path)
