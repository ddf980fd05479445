"""A state folder that cannot be used stops a submission before anything is sent: a counting service, real disks."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cartoonize_pack.utils import config
from cartoonize_pack.utils.backend import connect
from cartoonize_pack.utils.errors import CartoonizeError
from cartoonize_pack.utils.monitor import Monitor
from cartoonize_pack.utils.submission import Request, submit
from child_process import command
from scripted_service import ScriptedService

SUBMIT = """
from cartoonize_pack.utils import config, journal, results  # all of it, before the files may not be readable
from cartoonize_pack.utils.hosting import registry
from cartoonize_pack.utils.backend import connect
from cartoonize_pack.utils.errors import CartoonizeError
from cartoonize_pack.utils.monitor import Monitor
from cartoonize_pack.utils.submission import Request, submit
if "nobody" in sys.argv and os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    print(submit(connect(config.load(), "env"), Request(("https://images.test/1.png",)), Monitor()))
except CartoonizeError as error:
    print(type(error).__name__, error)
"""
SMALL_DISK = 'mount -t tmpfs -o size=64k tmpfs "$0" && { head -c 1M /dev/zero > "$0/full"; exec "$@"; }'


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder that every user can reach; pytest's own are for one user."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        home = Path(folder) / "home"
        home.mkdir()
        monkeypatch.setenv("CARTOONIZE_HOME", str(home))
        yield home
        home.chmod(0o700)


def tried(*arguments: str, around: tuple[str, ...] = ()) -> str:
    """What a submission in a process of its own says."""
    done = subprocess.run(
        [*around, *command(SUBMIT, *arguments)], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tried_here() -> str:
    """The same in this process, where only the files are in question."""
    try:
        return str(submit(connect(config.load(), "env"), Request(("https://images.test/1.png",)), Monitor()))
    except CartoonizeError as error:
        return f"{type(error).__name__} {error}"


@pytest.mark.parametrize("submission", [tried, tried_here])
def test_a_folder_that_can_be_used_is_submitted_from(
    home: Path, service: ScriptedService, submission: Callable[[], str]
) -> None:
    """So that the tests below fail for their reason and for no other."""
    assert "task-1" in submission()
    assert len(service.submissions) == 1


def test_a_journal_of_a_newer_version(home: Path, service: ScriptedService) -> None:
    """Its rules are not known here: nothing is sent, and the sentence says what to do."""
    with sqlite3.connect(home / "journal.sqlite3") as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    said = tried_here()
    assert said.startswith("ConfigurationError")
    assert "newer version of this pack" in said
    assert "Update the pack. Nothing was sent." in said
    assert service.submissions == []


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + bytes(4000)], ids=["text", "zeros"])
def test_a_damaged_journal(home: Path, service: ScriptedService, content: bytes) -> None:
    """It does not read as "never paid"."""
    (home / "journal.sqlite3").write_bytes(content)
    said = tried_here()
    assert said.startswith("ConfigurationError")
    assert "damaged" in said
    assert "Nothing was sent" in said
    assert service.submissions == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
def test_a_read_only_state_folder(home: Path, service: ScriptedService) -> None:
    """As a user whom it does not belong to."""
    home.chmod(0o555)
    said = tried("nobody")
    assert said.startswith("ConfigurationError")
    assert "CARTOONIZE_HOME" in said
    assert "Nothing was sent" in said
    assert service.submissions == []


def test_a_full_disk(home: Path, service: ScriptedService) -> None:
    """A real, small one, that is mounted for one process only."""
    for unshare in (("unshare", "--mount"), ("unshare", "--mount", "--map-root-user")):
        around = (*unshare, "sh", "-c", SMALL_DISK, str(home))
        try:
            works = subprocess.run([*around, "true"], capture_output=True).returncode == 0
        except FileNotFoundError:
            works = False
        if works:
            break
    else:
        pytest.skip("no small disk can be mounted here")
    said = tried(around=around)
    assert said.startswith("ConfigurationError")
    assert "full" in said
    assert "Free space" in said
    assert "Nothing was sent" in said
    assert service.submissions == []
