"""What only its owner may read: the modes of all that the pack writes, and what is said of files that were open."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from cartoonize_pack.utils import home, private_files
from cartoonize_pack.utils.home import ensure_home
from cartoonize_pack.utils.private_files import close_to_others, create_private_file, write_private, write_whole
from leak_world import World, run_of
from leaky_servers import Servers

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
NAMES = ("config.toml", "journal.sqlite3", "results")


@contextmanager
def umask(value: int) -> Iterator[None]:
    """Another umask meanwhile."""
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    """Who may do what."""
    return stat.S_IMODE(path.stat().st_mode)


# --- everything that is written ---------------------------------------------------------------------------------------


def everything(world: World) -> None:
    """All kinds of state: both databases, locks, results, uploads, the key of links, the embedded service."""
    shutil.rmtree(world.home)
    world.chain("auto")
    world.describe().chain("dav", profile="studio")
    world.chain("comfyui", profile="studio")
    with pytest.raises(Exception, match="did not accept"):
        world.creates(world.service.refuses(401)).submit(profile="studio")
    world.command("hosts", "purge", "--all")


@pytest.mark.parametrize("mask", [0o000, 0o022], ids=oct)
def test_all_state_is_for_its_owner_alone(tmp_path: Path, mask: int) -> None:
    """Every folder is 0700 and every file 0600, whatever the umask is."""
    with Servers().running() as servers, umask(mask):
        run = run_of(everything, servers, tmp_path, with_locals=False)
    assert run.errors == []
    state = tmp_path / "home"
    found = {path.relative_to(state).as_posix(): path for path in (state, *state.rglob("*"))}
    wrong = {name: oct(mode(path)) for name, path in found.items() if mode(path) != (0o700 if path.is_dir() else 0o600)}
    assert wrong == {}
    expected = {
        "config.toml",
        "journal.sqlite3",
        "links.key",
        "locks",
        "results",
        "service",
        "uploads",
        "uploads.sqlite3",
    }
    assert expected | {"service/jobs.sqlite3", "service/pictures"} <= set(found)
    assert {path.suffix for path in found.values()} >= {".lock", ".png", ".sqlite3"}


@pytest.mark.parametrize("write", [create_private_file, write_private, write_whole])
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077], ids=oct)
def test_a_private_file_is_private_from_its_first_moment(tmp_path: Path, write: Callable[..., None], mask: int) -> None:
    """It is made with its mode, not given it afterwards."""
    seen = []
    real = os.open

    def noted(path: object, flags: int, mode: int = 0o777, **options: object) -> int:
        handle = real(path, flags, mode, **options)  # type: ignore[arg-type]
        seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
        return handle

    with umask(mask), pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", noted)
        write(tmp_path / "file", *(() if write is create_private_file else (b"data",)))
    assert mode(tmp_path / "file") == 0o600
    assert [bits for bits in seen if bits & 0o077] == []


# --- what was open ----------------------------------------------------------------------------------------------------

CLOSED_NOW, FOLDER_OPEN = "could be read by other users of this machine. It is closed now", "chmod 700"
CASES: Mapping[str, tuple[int, dict[str, int], list[str]]] = {  # folder, what is in it, what is told
    "all is well": (0o700, {"config.toml": 0o600, "journal.sqlite3": 0o600}, []),
    "for its owner to read": (0o700, {"config.toml": 0o400}, []),
    "nothing there": (0o700, {}, []),
    "open files, which nobody could reach": (0o700, {"config.toml": 0o644, "journal.sqlite3": 0o666}, []),
    "an open folder": (0o755, {"config.toml": 0o600}, [FOLDER_OPEN]),
    "a folder of a group": (0o750, {"config.toml": 0o600}, [FOLDER_OPEN]),
    "both open": (0o755, {"config.toml": 0o644}, [CLOSED_NOW, FOLDER_OPEN]),
    "open to a group": (0o710, {"config.toml": 0o640}, [CLOSED_NOW, FOLDER_OPEN]),
    "two files open": (0o755, {"config.toml": 0o644, "journal.sqlite3": 0o604}, [CLOSED_NOW, CLOSED_NOW, FOLDER_OPEN]),
    "a folder in it": (0o755, {"results": 0o755}, [CLOSED_NOW, FOLDER_OPEN]),
    "a folder in it, which nobody could reach": (0o700, {"results": 0o777}, []),
    "a file of no interest": (0o755, {"notes.txt": 0o644}, [FOLDER_OPEN]),
}


def prepared(folder: Path, bits: int, files: Mapping[str, int]) -> Path:
    """A state folder with these modes."""
    folder.mkdir()
    for name, file_bits in files.items():
        (folder / name).mkdir() if name == "results" else (folder / name).write_text("app_secret")
        (folder / name).chmod(file_bits)
    folder.chmod(bits)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_what_was_open_is_closed_and_told(tmp_path: Path, name: str) -> None:
    """Also where only the folder had kept others out, which itself is somebody's choice."""
    bits, files, told = CASES[name]
    folder = prepared(tmp_path / "state", bits, files)
    words = close_to_others(folder, NAMES)
    assert len(words) == len(told)
    assert all(part in sentence for part, sentence in zip(told, words, strict=True))
    assert not any("app_secret" in sentence for sentence in words)
    assert mode(folder) == bits
    assert [file for file in files if file in NAMES and mode(folder / file) & 0o077] == []
    assert all(mode(folder / file) == before for file, before in files.items() if file not in NAMES)
    assert close_to_others(folder, NAMES) == words[-1:] * (FOLDER_OPEN in told)  # the second time only what is left


def test_the_words_name_the_file_its_mode_and_what_to_do(tmp_path: Path) -> None:
    """A key that others may have seen must be renewed; a path with blanks can be pasted."""
    folder = prepared(tmp_path / "my state", 0o755, {"config.toml": 0o644})
    file, itself = close_to_others(folder, NAMES)
    assert file.startswith(f"{folder / 'config.toml'} (0644) could be read")
    assert file.endswith("if they may have seen keys in it, have them renewed.")
    assert itself == f"{folder} is open to other users of this machine. Close it: chmod 700 '{folder}'"


def test_what_cannot_be_closed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of somebody else, or a drive that knows no modes: no error, and no claim that it is closed."""
    folder = prepared(tmp_path / "state", 0o700, {"config.toml": 0o644})

    def refuse(path: Path, bits: int) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "chmod", refuse)
    (words,) = close_to_others(folder, NAMES)
    assert "cannot be closed" in words
    assert "It is closed now" not in words


def test_on_windows_modes_say_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There a user's own folders are closed to others by default."""
    folder = prepared(tmp_path / "state", 0o755, {"config.toml": 0o644})
    monkeypatch.setattr(private_files, "os", SimpleNamespace(name="nt"))  # for this module: paths look there, too
    assert close_to_others(folder, NAMES) == []
    assert mode(folder / "config.toml") == 0o644


def test_it_is_told_once_for_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log, at the first use of the folder, also by the nodes of a ComfyUI that runs for weeks."""
    monkeypatch.setattr(home, "_looked_at", set())
    folder = prepared(tmp_path / "state", 0o755, {"config.toml": 0o644, "links.key": 0o644, "uploads.sqlite3": 0o644})
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert ensure_home(folder) == folder
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 4
    assert [mode(folder / name) for name in ("config.toml", "links.key", "uploads.sqlite3")] == [0o600] * 3
    caplog.clear()
    ensure_home(prepared(tmp_path / "other", 0o755, {"config.toml": 0o644}))
    assert len(caplog.records) == 2  # another folder is looked at, too


def test_a_folder_that_is_well_is_not_mentioned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing in the log of most people."""
    monkeypatch.setattr(home, "_looked_at", set())
    with caplog.at_level(logging.DEBUG):
        ensure_home(tmp_path / "new")
        ensure_home(prepared(tmp_path / "old", 0o700, {"config.toml": 0o600}))
    assert caplog.records == []
