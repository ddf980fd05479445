"""The pack as the registry ships it: the tracked files without those that .comfyignore names."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from pack import ROOT


def shipped() -> list[Path]:
    """The files of the archive, relative to the root; new ones that git does not ignore are among them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    ignored = tuple((ROOT / ".comfyignore").read_text(encoding="utf-8").split())
    return [Path(name) for name in listed if not name.startswith(ignored) and (ROOT / name).is_file()]


def unpack(folder: Path) -> None:
    """Put the files of the archive into a folder."""
    for path in shipped():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
