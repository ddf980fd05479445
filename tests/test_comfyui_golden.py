"""Workflows that were saved with earlier versions, run with the nodes of today in a real ComfyUI and in its page.

Runs when COMFYUI_PATH names a ComfyUI; see test_comfyui.py. Those of this version are the examples.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from comfyui_examples import EXAMPLES, example, prepare, saved, shortened, workflow
from comfyui_host import ComfyUI, running
from comfyui_page import open_page
from golden.snapshot import GOLDEN
from test_comfyui_examples import in_the_page

pytestmark = pytest.mark.skipif("COMFYUI_PATH" not in os.environ, reason="COMFYUI_PATH does not name a ComfyUI")
VERSIONS = sorted(path.parent for path in GOLDEN.glob("*/nodes.json"))[:-1]
GRAPHS = [(version, path.stem) for version in VERSIONS for path in sorted((version / "api").glob("*.json"))]


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    folder = tmp_path_factory.mktemp("comfyui")
    prepare(folder)
    with running(folder, {}) as it:
        yield it


@pytest.mark.parametrize(("version", "name"), GRAPHS, ids=lambda value: getattr(value, "name", value))
def test_a_prompt_of_then_still_runs(comfy: ComfyUI, version: Path, name: str) -> None:
    """Through ComfyUI's HTTP API: the same number of pictures as the example of today."""
    prompt = example(name, version)
    assert name in EXAMPLES
    results = saved(comfy, prompt, comfy.run(prompt))
    assert len(results) == sum(entry["class_type"] == "SaveImage" for entry in prompt.values())
    assert all(result.std() > 5 for result in results)


@in_the_page
def test_workflows_of_then_still_open_and_run(comfy: ComfyUI) -> None:
    """No missing nodes, every widget at its old value, pictures after Run."""
    with open_page(comfy) as page:
        for version, name in GRAPHS:
            graph = shortened(workflow(name, version))
            assert page.load(graph) == []
            outputs = page.run()
            assert [output for output in outputs.values() if output.get("images")], name
