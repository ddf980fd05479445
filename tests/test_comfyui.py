"""The pack in a real ComfyUI: examples, waiting beside local work, Cancel, the page in a browser.

Runs when COMFYUI_PATH names a ComfyUI (and COMFYUI_PYTHON the Python it runs with); skipped otherwise. Screenshots go
to COMFYUI_SHOTS, if set.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comfyui_host import ComfyUI, running
from comfyui_page import CHROMIUM, open_page
from comfyui_prompts import Prompt, beside_local_work, chain, empty_image, in_order, node
from pack import ROOT
from PIL import Image
from scripted_service import ScriptedService

pytestmark = pytest.mark.skipif("COMFYUI_PATH" not in os.environ, reason="COMFYUI_PATH does not name a ComfyUI")
EXAMPLES = ("portrait-to-cartoon", "two-styles", "cartoon-then-diffusion", "retry-failed")
CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"


@pytest.fixture(scope="module")
def local_comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    """A ComfyUI as a newcomer has it: no configuration, the bundled portrait in its input folder."""
    folder = tmp_path_factory.mktemp("comfyui")
    (folder / "input").mkdir()
    shutil.copy(ROOT / "examples" / "portrait.jpg", folder / "input")
    checkpoints = folder / "models" / "checkpoints"
    checkpoints.mkdir(parents=True)
    python = os.environ.get("COMFYUI_PYTHON", "python")
    script = ROOT / "tests" / "comfyui_checkpoint.py"
    subprocess.run([python, script, os.environ["COMFYUI_PATH"], checkpoints / CHECKPOINT], check=True)
    with running(folder, {}) as comfy:
        yield comfy


@pytest.fixture(scope="module")
def remote() -> Iterator[ScriptedService]:
    with ScriptedService().running() as service:
        yield service


@pytest.fixture(scope="module")
def remote_comfy(tmp_path_factory: pytest.TempPathFactory, remote: ScriptedService) -> Iterator[ComfyUI]:
    """A ComfyUI whose default profile is the scripted service."""
    with running(tmp_path_factory.mktemp("comfyui"), remote.environment) as comfy:
        yield comfy


def example(name: str) -> Prompt:
    """An API-format example; diffusion is made short: its wiring counts, its picture is noise."""
    prompt = json.loads((ROOT / "examples" / "api" / f"{name}.json").read_text())
    return shortened(prompt)


def shortened(prompt: Prompt) -> Prompt:
    """The same prompt with one sampler step at a small size."""
    for entry in prompt.values():
        if entry["class_type"] == "KSampler":
            entry["inputs"] |= {"steps": 2, "denoise": 0.5}
        if entry["class_type"] == "ImageScale":
            entry["inputs"] |= {"width": 256, "height": 320}
    return prompt


def pictures(comfy: ComfyUI, outputs: dict[str, Any]) -> list[np.ndarray]:
    """The saved pictures of a run, in the order of their nodes."""
    arrays = []
    for key in sorted(outputs, key=int):
        for item in outputs[key].get("images", []):
            query = f"filename={item['filename']}&type={item['type']}&subfolder={item['subfolder']}"
            with urllib.request.urlopen(f"{comfy.url}/view?{query}", timeout=30) as reply:
                arrays.append(np.asarray(Image.open(io.BytesIO(reply.read())).convert("RGB")))
    return arrays


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(local_comfy: ComfyUI, name: str) -> None:
    """Through ComfyUI's HTTP API, with no account: pictures come out, and they are drawings."""
    results = pictures(local_comfy, local_comfy.run(example(name)))
    assert len(results) == (2 if name == "two-styles" else 1)
    if name == "cartoon-then-diffusion":
        assert results[0].shape == (320, 256, 3)
        return
    with Image.open(ROOT / "examples" / "portrait.jpg") as portrait:
        source = np.asarray(portrait).astype(float)
    for result in results:
        assert result.shape == source.shape
        assert 5 < np.abs(result - source).mean() < 120
    if name == "two-styles":  # black and white, as far as hosts whose SaveImage writes JPEG leave it
        assert ((results[1] < 48) | (results[1] > 207)).mean() > 0.85


def test_the_state_is_in_the_folder_that_comfyui_does_not_serve(local_comfy: ComfyUI) -> None:
    """user/__portrait_cartoonize where ComfyUI has such folders; never in the pack's own folder."""
    local_comfy.run(example("portrait-to-cartoon"))
    if (local_comfy.folder / "user" / "__portrait_cartoonize").exists():
        with pytest.raises(OSError, match="HTTP Error 40"):
            urllib.request.urlopen(f"{local_comfy.url}/userdata/..%2F__portrait_cartoonize%2Fconfig.toml", timeout=10)
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "jobs.sqlite3" not in changed.stdout


ORDERS = [
    ("url", "submit", "poll", "local1"),
    ("local1", "local2", "poll", "submit", "url"),
    ("poll", "local2", "url", "local1", "submit"),
    ("show", "join", "local2", "submit", "local1", "poll", "url"),
]


@pytest.mark.parametrize("first", ORDERS, ids=">".join)
def test_remote_and_local_work_overlap_in_every_order(
    remote_comfy: ComfyUI, remote: ScriptedService, first: tuple[str, ...]
) -> None:
    """5 s remote beside 1 + 4 s of a node that holds the loop: not their sum; benchmarks/bench_overlap.py measures."""
    remote.task_s = 5.0
    color = 1000 + ORDERS.index(first)
    prompt = in_order(beside_local_work(chain(["load", 0]), ["poll", 0], (1.0, 4.0), color), first)
    start = time.monotonic()
    remote_comfy.run(prompt)
    assert time.monotonic() - start < 8.0


def test_cancel_is_an_interrupt_and_run_continues(remote_comfy: ComfyUI, remote: ScriptedService) -> None:
    """At once, shown as an interrupt and not as an error; the second Run sends nothing anew."""
    remote.task_s = 3.0
    before = len(remote.submissions)
    prompt = {"load": empty_image(color=77), **chain(["load", 0]), "show": node("PreviewImage", images=["poll", 0])}
    prompt_id = remote_comfy.queue(prompt)
    while len(remote.submissions) == before:
        time.sleep(0.02)
    time.sleep(0.5)
    pressed = time.monotonic()
    remote_comfy.post("/interrupt", {})
    messages = [name for name, _ in remote_comfy.wait(prompt_id)["status"]["messages"]]
    assert time.monotonic() - pressed < 1.0
    assert messages[-1] == "execution_interrupted"
    remote_comfy.run(prompt)
    assert len(remote.submissions) == before + 1


def test_killed_while_it_polls_and_started_again_it_pays_nothing(tmp_path: Path, remote: ScriptedService) -> None:
    """Run, kill -9, start, Run: no second submission, and the picture arrives."""
    remote.task_s, remote.sizes = 5.0, [(300, 260)]
    before, polls = len(remote.submissions), remote.polls
    prompt = {"load": empty_image(color=99), **chain(["load", 0]), "show": node("PreviewImage", images=["poll", 0])}
    with running(tmp_path, remote.environment) as comfy:
        comfy.queue(prompt)
        while remote.polls == polls:
            time.sleep(0.02)
        comfy.kill()
    with running(tmp_path, remote.environment) as comfy:
        outputs = comfy.run(prompt)
        assert [p.shape for p in pictures(comfy, {"1": outputs["show"]})] == [(260, 300, 3)]
    assert len(remote.submissions) == before + 1


def test_without_any_cache_two_runs_are_one_submission(tmp_path: Path, remote: ScriptedService) -> None:
    """--cache-none: ComfyUI remembers nothing, the journal does; the second run does not even ask for the task."""
    remote.task_s, remote.sizes = 0.0, [(300, 260)]
    before = len(remote.submissions)
    prompt = {"load": empty_image(color=98), **chain(["load", 0]), "show": node("PreviewImage", images=["poll", 0])}
    with running(tmp_path, remote.environment, "--cache-none") as comfy:
        comfy.run(prompt)
        asked = (remote.polls, remote.downloads)
        outputs = comfy.run(prompt)
        assert len(pictures(comfy, {"1": outputs["show"]})) == 1
    assert len(remote.submissions) == before + 1
    assert (remote.polls, remote.downloads) == asked


def test_skip_keeps_the_places_of_the_list(remote_comfy: ComfyUI, remote: ScriptedService) -> None:
    """The nodes behind image_list leave out the image without a result; the batch holds the others.

    A node that takes the whole list is left out, in silence: that is how ComfyUI treats a list with a blocked item.
    """
    remote.task_s, remote.sizes = 0.0, [(300, 260), (280, 400), (320, 290)]
    remote.failed = {(f"task-{len(remote.submissions) + 1}", 1): "no face found"}
    prompt = {
        "load": empty_image(batch=3, color=55),
        **chain(["load", 0], on_failure="skip"),
        "items": node("PreviewImage", images=["poll", 1]),
        "batch": node("PreviewImage", images=["poll", 0]),
        "whole": node("CartoonizeImageToURL", images=["poll", 1], host="auto", format="auto", out_of_limits="fit"),
        "links": node("PreviewAny", source=["whole", 0]),
    }
    outputs = remote_comfy.run(prompt)
    assert "links" not in outputs
    for name, shapes in (("items", [(260, 300, 3), (290, 320, 3)]), ("batch", [(260, 300, 3)] * 2)):
        assert [p.shape for p in pictures(remote_comfy, {"1": outputs[name]})] == shapes


def test_the_example_submits_only_what_failed(remote_comfy: ComfyUI, remote: ScriptedService) -> None:
    """Two images, one of them fails: the second Submit pays for that one, and the last node has both results."""
    remote.task_s, remote.sizes = 0.0, [(300, 260)]
    before = len(remote.submissions)
    remote.failed = {(f"task-{before + 1}", 1): "no face found"}
    prompt = example("retry-failed")
    prompt["1"] = empty_image(batch=2, color=56)
    outputs = remote_comfy.run(prompt)
    assert [len(body["images"]) for body in remote.submissions[before:]] == [2, 1]  # type: ignore[arg-type]
    assert remote.submissions[before + 1]["images"] == remote.submissions[before]["images"][1:]  # type: ignore[index]
    assert len(pictures(remote_comfy, {"1": outputs["7"]})) == 2
    report = json.loads(outputs["8"]["text"][0])
    assert [entry["status"] for entry in report["images"]] == ["complete", "complete"]
    assert report["tasks"] == [f"task-{before + 1}", f"task-{before + 2}@2"]


def test_a_list_of_mixed_sizes_is_one_task(remote_comfy: ComfyUI, remote: ScriptedService) -> None:
    """ComfyUI's own list goes in as one submission, and comes back as a list of native sizes."""
    remote.task_s, remote.sizes = 0.0, [(300, 260), (280, 400)]
    before = len(remote.submissions)
    prompt = {
        "a": empty_image(300, 260, color=5),
        "b": empty_image(400, 500, batch=2, color=6),
        "list": node("TestImageList", first=["a", 0], second=["b", 0]),
        **chain(["list", 0]),
        "show": node("PreviewImage", images=["poll", 1]),
    }
    outputs = remote_comfy.run(prompt)
    assert [len(body["images"]) for body in remote.submissions[before:]] == [3]  # type: ignore[arg-type]
    assert [p.shape[:2] for p in pictures(remote_comfy, {"1": outputs["show"]})] == [(260, 300), (400, 280), (260, 300)]


def test_a_shared_workflow_with_a_strange_profile_is_refused_in_words(remote_comfy: ComfyUI) -> None:
    """Before anything runs, with the names that this machine has."""
    prompt = {"load": empty_image(), **chain(["load", 0], profile="studio")}
    with pytest.raises(AssertionError, match="There is no profile 'studio' on this machine; it has: local"):
        remote_comfy.queue(prompt)


def test_a_failing_branch_leaves_comfyui_working(remote_comfy: ComfyUI, remote: ScriptedService) -> None:
    """When another node fails while Poll waits, the queue goes on."""
    remote.task_s = 30.0
    prompt = {
        "load": empty_image(color=88),
        **chain(["load", 0]),
        "show": node("PreviewImage", images=["poll", 0]),
        "bad": node("CartoonizeSubmit", image_urls="nonsense", priority=1, profile="auto", variation=1),
    }
    entry = remote_comfy.wait(remote_comfy.queue(prompt), timeout_s=20)
    assert entry["status"]["status_str"] == "error"
    assert "must start with http" in json.dumps(entry["status"]["messages"])
    remote.task_s = 0.0
    remote_comfy.run({"load": empty_image(color=89), "show": node("PreviewImage", images=["load", 0])}, timeout_s=20)


@pytest.mark.skipif(
    importlib.util.find_spec("playwright") is None or not Path(CHROMIUM).exists(),
    reason="needs Playwright for Python and Chromium",
)
def test_the_examples_open_and_run_in_the_page(local_comfy: ComfyUI, tmp_path: Path) -> None:
    """Template browser, nodes drawn and wired, Run pressed, pictures shown."""
    shots = Path(os.environ.get("COMFYUI_SHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    with open_page(local_comfy) as page:
        assert sorted(page.templates()["portrait-cartoonize"]) == sorted(EXAMPLES)
        for name in EXAMPLES:
            thumbnail = f"{local_comfy.url}/api/workflow_templates/portrait-cartoonize/{name}.jpg"
            with urllib.request.urlopen(thumbnail, timeout=10) as reply:
                assert reply.headers["Content-Type"] == "image/jpeg"
            workflow = json.loads((ROOT / "examples" / f"{name}.json").read_text())
            for entry in workflow["nodes"]:
                if entry["type"] == "KSampler":
                    entry["widgets_values"][2] = 2
                if entry["type"] == "ImageScale":
                    entry["widgets_values"][1:3] = [256, 320]
            assert page.load(workflow) == []
            outputs = page.run()
            for key, output in outputs.items():
                if "images" in output:
                    assert all(width > 200 for width in page.shown_pictures(key))
            page.screenshot(shots / f"{name}.png")
