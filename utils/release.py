"""Which version of the pack this is, whether it was cloned or installed."""

from __future__ import annotations

import re
from functools import cache
from importlib import metadata
from pathlib import Path

_PROJECT = Path(__file__).parents[1] / "pyproject.toml"  # of a clone, which need not be installed


@cache
def version() -> str:
    """Return the version; empty if nothing tells it."""
    try:
        found = re.search(r'^version = "([^"]+)"', _PROJECT.read_text(encoding="utf-8"), re.MULTILINE)
        return found[1] if found else ""
    except OSError:
        pass
    try:
        return metadata.version("portrait-cartoonize")
    except metadata.PackageNotFoundError:
        return ""
