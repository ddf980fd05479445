"""Where state lives: the state folder, found by the environment, by ComfyUI, or by the platform's custom."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from .errors import ConfigurationError
from .logs import logger
from .private_files import close_to_others, make_private_folder

STATE_FOLDER = "portrait_cartoonize"  # of ComfyUI's system-user folders, which it never serves
CONFIG_FILE = "config.toml"
ADDED_FILE = "profiles.json"  # profiles that were added through ComfyUI's settings or the command line
_DATABASES = ("journal.sqlite3", "uploads.sqlite3")
_PRIVATE = (
    CONFIG_FILE, ADDED_FILE, "links.key", "results", "uploads", "service", "locks",
    *(f"{name}{suffix}" for name in _DATABASES for suffix in ("", "-wal", "-shm")),
)  # fmt: skip
_log = logger(__name__)
_looked_at: set[Path] = set()


def home_of(home: Path | None, env: Mapping[str, str]) -> Path:
    """Return the state folder: where the environment says, else the one that was given, else the default one."""
    return Path(env["CARTOONIZE_HOME"]).expanduser() if env.get("CARTOONIZE_HOME") else home or default_home(env)


def default_home(env: Mapping[str, str], pack: Path = Path(__file__).parents[1]) -> Path:
    """Return where state lives when nobody says so: in the ComfyUI that holds the pack, else in the platform's folder.

    So the command line, run beside ComfyUI, sees the same tasks as the nodes.
    """
    comfyui = pack.parent.parent / "user" / f"__{STATE_FOLDER}"
    return comfyui if pack.parent.name == "custom_nodes" else platform_home(env)


def platform_home(env: Mapping[str, str]) -> Path:
    """Return the platform's folder for the data of an application, where no ComfyUI names one."""
    if sys.platform == "win32":
        base = Path(env.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(env.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "portrait-cartoonize"


def ensure_home(home: Path) -> Path:
    """Create the state folder, readable by its owner only, and return it; raises ConfigurationError if it cannot be.

    Once for a process, what other users of the machine could read there is closed, and told in the log.
    """
    try:
        make_private_folder(home)
        if home not in _looked_at:
            _looked_at.add(home)
            for complaint in close_to_others(home, _PRIVATE):
                _log.warning("%s", complaint)
        return home
    except OSError as error:
        msg = (
            f"The state folder {home} cannot be used ({error.strerror}). Set CARTOONIZE_HOME to a folder that can. "
            "Nothing was sent."
        )
        raise ConfigurationError(msg) from error
