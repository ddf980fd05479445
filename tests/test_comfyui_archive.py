"""The pack as the registry ships it, in a real ComfyUI: it loads quickly, runs, and leaves its own folder alone.

Runs when COMFYUI_PATH names a ComfyUI; see test_comfyui.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive import unpack
from comfyui_host import ComfyUI, running
from comfyui_prompts import empty_image, node

pytestmark = pytest.mark.skipif("COMFYUI_PATH" not in os.environ, reason="COMFYUI_PATH does not name a ComfyUI")
NAME = "portrait-cartoonize"


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    """A ComfyUI with the archive unpacked in custom_nodes; Python writes no bytecode, so every change is the pack's."""
    folder = tmp_path_factory.mktemp("comfyui")
    unpack(folder / "custom_nodes" / NAME)
    before = files(folder / "custom_nodes" / NAME)
    with running(folder, {"PYTHONDONTWRITEBYTECODE": "1"}) as running_comfy:
        yield running_comfy
    assert files(folder / "custom_nodes" / NAME) == before


def files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every file with its size and moment of change."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_it_runs_and_writes_nothing_into_its_folder(comfy: ComfyUI) -> None:
    """The comparison is made when ComfyUI has ended."""
    widgets = {"on_failure": "error", "sizes": "match first", "timeout": 60, "variation": 0}
    prompt = {
        "load": empty_image(color=401),
        "one": node("CartoonizePortrait", images=["load", 0], profile="local-manga", **widgets),
        "show": node("PreviewImage", images=["one", 0]),
    }
    assert len(comfy.run(prompt)["show"]["images"]) == 1
    assert (comfy.folder / "user" / "__portrait_cartoonize").is_dir()


def test_it_starts_without_a_word(comfy: ComfyUI) -> None:
    """Neither warning nor error about the pack; ComfyUI's own list says how long it took."""
    about = [line for line in comfy.log().splitlines() if "cartoonize" in line.lower()]
    assert not [line for line in about if re.search(r"warn|error|fail|traceback|deprecat", line, re.IGNORECASE)]
    (seconds,) = [float(match[1]) for line in about if (match := re.search(rf"([0-9.]+) seconds: .*{NAME}$", line))]
    assert seconds < 2.0  # a machine may be slow; bench_import.py measures
