"""Profiles that were added through ComfyUI's settings or the command line: `profiles.json` in the state folder.

Nobody needs to edit the file, so nothing in it is kept but what the tables say; `config.toml` is the operator's.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from .config_file import ProfileTable, checked_profile
from .contract import shown
from .errors import ConfigurationError, DeadlineError
from .home import ADDED_FILE, ensure_home
from .private_files import part_prefix, write_whole
from .secret import HiddenTable

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")  # a bare key of TOML, which no command line takes for an option
LOCK_TIMEOUT_S = 10.0
_LOCKS = "locks"


def read(home: Path) -> Mapping[str, ProfileTable]:
    """Return the tables by name, none if nothing was ever added; raises ConfigurationError naming the file."""
    path = home / ADDED_FILE
    tables = _loaded(path)
    for name in tables:
        if not NAME.fullmatch(name) or not isinstance(tables[name], dict):
            msg = f"{path} is not as the pack writes it: {shown(name)!r} is no profile. Repair it, or move it away."
            raise ConfigurationError(msg)
    return HiddenTable({name: checked_profile(tables[name], f"{path}: {name!r}") for name in tables})


def put(home: Path, name: str, table: ProfileTable) -> None:
    """Keep a profile in place of the whole of an earlier one; raises ConfigurationError, and changes nothing then."""

    def put_in(tables: HiddenTable) -> bool:
        tables[name] = HiddenTable(table)
        return True

    _change(home, put_in)


def remove(home: Path, name: str) -> bool:
    """Remove a profile, and return whether it was there; raises ConfigurationError, and changes nothing then."""
    return _change(home, lambda tables: tables.pop(name, None) is not None)


def _change(home: Path, edit: Callable[[HiddenTable], bool]) -> bool:
    """Read, edit and write the file, with nobody else doing so meanwhile; return what `edit` says of a change."""
    from . import locks  # sqlite3 is imported when it is needed

    path, key = home / ADDED_FILE, hashlib.sha256(ADDED_FILE.encode()).hexdigest()
    try:
        with locks.held(ensure_home(home) / _LOCKS, key, timeout_s=LOCK_TIMEOUT_S, sleep=time.sleep):
            for left in home.glob(f"{part_prefix(path)}*"):  # of a process that was killed; it holds keys
                left.unlink(missing_ok=True)
            read(home)  # what is broken is told, not written over
            tables = _loaded(path)
            if changed := edit(tables):
                write_whole(path, json.dumps(tables, indent=1).encode())
            return changed
    except DeadlineError:
        words = f"another process has been changing it for {LOCK_TIMEOUT_S:g} s. Try again."
    except OSError as error:
        words = f"{error.strerror}. Make it writable, or set CARTOONIZE_HOME to another folder."
    msg = f"{path} cannot be written: {words} Nothing was changed."
    raise ConfigurationError(msg)  # here, because the library's frames hold what was to be written


def _loaded(path: Path) -> HiddenTable:
    problem = ""
    try:
        found = HiddenTable.of(json.loads(path.read_bytes()))  # no variable holds the text: it is full of keys
        if isinstance(found, HiddenTable):
            return found
    except FileNotFoundError:
        return HiddenTable()
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except (ValueError, RecursionError):
        pass
    msg = f"{path} {problem or 'is not JSON as the pack writes it'}. Repair it, or move it away and add them again."
    raise ConfigurationError(msg)  # here, because the library's frames hold the text
