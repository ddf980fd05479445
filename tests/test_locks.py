"""Locks between threads and processes: one holder at a time, free again whatever becomes of it."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cartoonize_pack.utils.errors import Cancelled, ConfigurationError, DeadlineError
from cartoonize_pack.utils.locks import held
from child_process import killed, running

KEY, SAME_SLOT, OTHER_SLOT = "00000001" + "a" * 56, "00001001" + "b" * 56, "00000041" + "c" * 56
PATIENCE_S = 10.0  # for what happens at once; only a broken test waits that long
HOLD = """
from cartoonize_pack.utils.locks import held
with held(Path(sys.argv[1]), sys.argv[2], timeout_s=0, sleep=time.sleep):
    print("ready", flush=True)
    sys.stdin.readline()
print("released", flush=True)
time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the lock files are; made by the first lock."""
    return tmp_path / "state" / "locks"


def no_wait(_: float) -> None:
    """Stands for a wait where there must be none."""
    pytest.fail("it waited for the lock")


def is_free(folder: Path, key: str = KEY) -> bool:
    """Whether the lock can be had at this moment."""
    try:
        with held(folder, key, timeout_s=0, sleep=lambda _: None):
            return True
    except DeadlineError:
        return False


class Waiter:
    """A thread that takes a lock, and the moments of it."""

    def __init__(self, folder: Path, key: str = KEY) -> None:
        self.waits = threading.Event()
        self.holds = threading.Event()
        self.may_release = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(folder, key), daemon=True)
        self._thread.start()

    def _run(self, folder: Path, key: str) -> None:
        def sleep(_: float) -> None:
            self.waits.set()
            time.sleep(0.002)

        with held(folder, key, timeout_s=PATIENCE_S, sleep=sleep):
            self.holds.set()
            self.may_release.wait(PATIENCE_S)

    def join(self) -> None:
        self.may_release.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@pytest.fixture
def waiters() -> Iterator[list[Waiter]]:
    """All threads of a test, ended with it."""
    found: list[Waiter] = []
    yield found
    for waiter in found:
        waiter.join()


# One at a time


def test_a_second_thread_waits_until_the_first_has_released(folder: Path, waiters: list[Waiter]) -> None:
    """And has it then."""
    with held(folder, KEY, timeout_s=0, sleep=no_wait):
        waiters.append(Waiter(folder))
        assert waiters[0].waits.wait(PATIENCE_S)
        assert not waiters[0].holds.is_set()
    assert waiters[0].holds.wait(PATIENCE_S)
    assert not is_free(folder)


def test_only_one_of_many_threads_is_inside_at_a_time(folder: Path) -> None:
    """What each does there is never interleaved."""
    inside, most, entries = 0, 0, 0

    def enter() -> None:
        nonlocal inside, most, entries
        with held(folder, KEY, timeout_s=PATIENCE_S, sleep=lambda _: time.sleep(0.001)):
            inside += 1
            most, entries = max(most, inside), entries + 1
            time.sleep(0.001)
            inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert (most, entries) == (1, 12)


def test_a_second_process_waits_until_the_first_has_released(folder: Path, waiters: list[Waiter]) -> None:
    """While the first one goes on to live."""
    with running(HOLD, folder, KEY) as child:
        waiters.append(Waiter(folder))
        assert waiters[0].waits.wait(PATIENCE_S)
        assert not waiters[0].holds.is_set()
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("release\n")
        child.stdin.flush()
        assert child.stdout.readline() == "released\n"
        assert waiters[0].holds.wait(PATIENCE_S)


def test_threads_that_wait_do_not_let_another_process_in(folder: Path, waiters: list[Waiter]) -> None:
    """To close a file drops the POSIX locks of the whole process: those who gave up must not have done that."""
    with held(folder, KEY, timeout_s=0, sleep=no_wait):
        waiters.append(Waiter(folder))
        assert waiters[0].waits.wait(PATIENCE_S)
        assert not is_free(folder)
        with pytest.raises(AssertionError, match="DeadlineError"), running(HOLD, folder, KEY):
            pytest.fail("another process holds it, too")


def test_a_killed_process_holds_nothing(folder: Path) -> None:
    """Free at once, without waiting and without anybody cleaning up."""
    with running(HOLD, folder, KEY) as child:
        assert not is_free(folder)
        killed(child)
        with held(folder, KEY, timeout_s=0, sleep=no_wait):
            assert not is_free(folder)


def test_a_lock_can_be_had_again_and_again(folder: Path) -> None:
    """By the same thread, one after the other."""
    for _ in range(3):
        with held(folder, KEY, timeout_s=0, sleep=no_wait):
            pass


# Giving up


def test_after_the_time_limit_it_is_a_deadline_error(folder: Path, waiters: list[Waiter]) -> None:
    """It says what is going on and what to do; the holder keeps the lock, and the one who gave up has nothing."""
    waits: list[float] = []
    waiters.append(Waiter(folder))
    assert waiters[0].holds.wait(PATIENCE_S)

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        time.sleep(0.001)

    begin = time.monotonic()
    with (
        pytest.raises(
            DeadlineError, match=r"^Another submission has not ended for 0\.02 s\. This one sent nothing; run"
        ),
        held(folder, KEY, timeout_s=0.02, sleep=sleep),
    ):
        pytest.fail("two hold it")
    assert 0.02 <= time.monotonic() - begin < 1
    assert waits
    assert all(0 < wait <= 0.5 for wait in waits)
    assert not is_free(folder)
    waiters[0].join()
    assert is_free(folder)


@pytest.mark.parametrize("wrong", [Cancelled("Cancelled."), KeyboardInterrupt()], ids=["Cancel", "Ctrl-C"])
def test_a_wait_that_raises_gives_up_and_leaves_nothing_taken(
    folder: Path, waiters: list[Waiter], wrong: BaseException
) -> None:
    """Cancel while somebody else sends the same images."""
    waiters.append(Waiter(folder))
    assert waiters[0].holds.wait(PATIENCE_S)

    def give_up(_: float) -> None:
        raise wrong

    with pytest.raises(type(wrong)) as caught, held(folder, KEY, timeout_s=PATIENCE_S, sleep=give_up):
        pytest.fail("two hold it")
    assert caught.value is wrong
    assert not is_free(folder)
    waiters[0].join()
    assert is_free(folder)


def test_an_error_inside_the_block_releases_the_lock(folder: Path) -> None:
    """And is handed on as it is."""
    wrong = ValueError("broken")
    with pytest.raises(ValueError, match="broken") as caught, held(folder, KEY, timeout_s=0, sleep=no_wait):
        raise wrong
    assert caught.value is wrong
    assert is_free(folder)


# Keys and files


def test_other_work_is_not_held_up(folder: Path) -> None:
    """Keys of different files are independent; those that share one wait for each other."""
    with held(folder, KEY, timeout_s=0, sleep=no_wait):
        assert is_free(folder, OTHER_SLOT)
        assert not is_free(folder, SAME_SLOT)
    assert is_free(folder, SAME_SLOT)


def test_locks_of_different_folders_are_independent(folder: Path, tmp_path: Path) -> None:
    """Two state folders are two installations."""
    with held(folder, KEY, timeout_s=0, sleep=no_wait):
        assert is_free(tmp_path / "other")


def test_the_number_of_files_stays_small(folder: Path) -> None:
    """However much work there was, at most 4096; nobody needs to delete any of them, and they are empty."""
    for n in range(200):
        assert is_free(folder, f"{n * 1024:08x}{n:056x}")
    assert is_free(folder, "f" * 64)
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["0000.lock", "1024.lock", "2048.lock", "3072.lock", "4095.lock"]
    assert all(file.stat().st_size == 0 for file in files)


def test_the_work_of_a_large_batch_hardly_ever_shares_a_lock(folder: Path) -> None:
    """A hundred tasks at a time, which would wait for each other: most have a file of their own."""
    for n in range(100):
        assert is_free(folder, hashlib.sha256(bytes([n])).hexdigest())
    assert len(list(folder.iterdir())) > 95


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
def test_nobody_else_can_enter_what_a_lock_makes(folder: Path) -> None:
    """The state folder may be made by a lock; it will hold faces."""
    assert is_free(folder)
    assert [path.stat().st_mode & 0o777 for path in (folder.parent, folder)] == [0o700, 0o700]


# What cannot be used


@pytest.mark.parametrize("what", ["file in place of the folder", "folder in place of a file", "no lock file"])
def test_a_lock_that_cannot_be_used_is_told(folder: Path, what: str) -> None:
    """Without it nothing is sent: two processes might pay for the same."""
    folder.parent.mkdir()
    if what == "file in place of the folder":
        folder.write_text("in the way")
    elif what == "folder in place of a file":
        (folder / "0001.lock").mkdir(parents=True)
    else:
        folder.mkdir()
        (folder / "0001.lock").write_bytes(b"This is something else.\n" * 100)
    with (
        pytest.raises(ConfigurationError, match="CARTOONIZE_HOME") as caught,
        held(folder, KEY, timeout_s=0, sleep=no_wait),
    ):
        pytest.fail("it holds what is no lock")
    assert str(folder) in str(caught.value)
    if what != "file in place of the folder":
        assert "Nothing was sent" in str(caught.value)
