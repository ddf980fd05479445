"""Life on the nodes in a real ComfyUI: texts, bars, previews, ids and problems, as its websocket tells the page.

Runs when COMFYUI_PATH names a ComfyUI; see test_comfyui.py.
"""

from __future__ import annotations

import json
import os
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")
from comfyui_events import listening, run_listening
from comfyui_examples import workflow
from comfyui_host import ComfyUI, running
from comfyui_page import open_page
from comfyui_prompts import Prompt, beside_local_work, chain, empty_image, node
from scripted_service import ScriptedService
from test_comfyui_examples import in_the_page

pytestmark = pytest.mark.skipif("COMFYUI_PATH" not in os.environ, reason="COMFYUI_PATH does not name a ComfyUI")


@pytest.fixture(scope="module")
def remote() -> Iterator[ScriptedService]:
    with ScriptedService().running() as service:
        yield service


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory, remote: ScriptedService) -> Iterator[ComfyUI]:
    """A ComfyUI whose default profile is the scripted service; the embedded one is there, too."""
    with running(tmp_path_factory.mktemp("comfyui"), remote.environment) as running_comfy:
        yield running_comfy


def whole(color: int, profile: str = "auto", batch: int = 1) -> Prompt:
    """The three nodes behind a plain picture."""
    return {"load": empty_image(color=color, batch=batch), **chain(["load", 0], profile)}


def portrait(color: int, profile: str = "auto", batch: int = 1) -> Prompt:
    """The one node behind a plain picture."""
    widgets = {"on_failure": "error", "sizes": "match first", "timeout": 60, "variation": 0}
    load = empty_image(color=color, batch=batch)
    return {"load": load, "one": node("CartoonizePortrait", images=["load", 0], profile=profile, **widgets)}


def test_the_nodes_say_what_happens(comfy: ComfyUI, remote: ScriptedService) -> None:
    """Each step in words, the id of the task, and nothing signed."""
    remote.task_s = 2.5
    events = run_listening(comfy, whole(301, batch=2))
    task = f"task-{len(remote.submissions)}"
    url, submit, poll = (events.texts_of(name) for name in ("url", "submit", "poll"))
    assert {"looking at 2 images", "uploaded image 1 of 2 to 'local'"} <= set(url)
    assert url[-1] == "2 images uploaded to 'local'"
    assert f"task {task}: images 1 to 2 accepted by profile 'env'" in submit[-1]
    assert poll[0] == f"asking\ntask {task}"
    assert f"in progress, asking again in 2 s\ntask {task}" in poll
    assert f"fetched picture 2 of 2\ntask {task}" in poll
    assert poll[-1] == "2 of 2 pictures"
    assert not [text for text in (*url, *submit, *poll) if "signature" in text or "http" in text]


@pytest.mark.parametrize("prompt", [whole(302, "local-manga"), portrait(303, "local-manga")], ids=["three", "one"])
def test_bars_only_go_forward_and_to_the_end(comfy: ComfyUI, prompt: Prompt) -> None:
    """Of the embedded service, by its own estimate."""
    events = run_listening(comfy, prompt)
    for name in set(prompt) - {"load"}:
        shares = events.shares_of(name)
        assert shares == sorted(shares)
        assert shares[-1] == 1.0


@pytest.mark.parametrize(("prompt", "name"), [(whole(304, batch=2), "poll"), (portrait(304, batch=2), "one")])
def test_finished_pictures_are_previewed(comfy: ComfyUI, remote: ScriptedService, prompt: Prompt, name: str) -> None:
    """As ui images of the node, which the page fetches; a graph may end there. From the cache, too."""
    remote.task_s, remote.sizes = 0.0, [(300, 260), (320, 400)]
    for _ in range(2):
        told = run_listening(comfy, prompt).messages
        (shown,) = [data["output"]["images"] for kind, data in told if kind == "executed" and data["node"] == name]
        assert len(shown) == 2
        for entry in shown:
            query = f"filename={entry['filename']}&type={entry['type']}&subfolder={entry['subfolder']}"
            with urllib.request.urlopen(f"{comfy.url}/view?{query}", timeout=10) as reply:
                assert reply.headers["Content-Type"] == "image/jpeg"
                assert reply.read(3) == b"\xff\xd8\xff"


def test_the_task_id_is_in_the_output_of_submit(comfy: ComfyUI, remote: ScriptedService) -> None:
    """Where the page script finds it, live and in the history."""
    remote.task_s = 0.0
    prompt = {"load": empty_image(color=305), **chain(["load", 0])}
    del prompt["poll"]
    outputs = comfy.run(prompt)
    assert outputs["submit"]["text"] == [f"task-{len(remote.submissions)}"]


def test_a_problem_is_one_sentence_on_the_node(comfy: ComfyUI, remote: ScriptedService) -> None:
    """The whole of it is ComfyUI's error message."""
    remote.task_s = 0.0
    remote.failed = {(f"task-{len(remote.submissions) + 1}", 0): "no face found"}
    events = run_listening(comfy, whole(306))
    assert (
        events.texts_of("poll")[-1]
        == f"1 of 1 images have no result: image 1 (task task-{len(remote.submissions)}): failed: no face found"
    )
    error = events.wait_for("execution_error")
    assert "no face found" in error["exception_message"]


def test_cancel_is_said_on_the_node_and_is_no_error(comfy: ComfyUI, remote: ScriptedService) -> None:
    """An interruption for ComfyUI; the id and how to go on in the text."""
    remote.task_s = 30.0
    with listening(comfy) as events:
        answer = json.loads(comfy.post("/prompt", {"prompt": whole(307), "client_id": events.client_id}))
        while not any("in progress" in text for text in events.texts_of("poll")):
            time.sleep(0.02)
        comfy.post("/interrupt", {})
        comfy.wait(answer["prompt_id"], 20)
        events.wait_for("execution_interrupted")
        time.sleep(1.5)  # work that ends behind the node must not write over it
    task = f"task-{len(remote.submissions)}"
    said = events.texts_of("poll")[-1]
    assert said == f"Cancelled. The tasks go on, and Run continues with them: {task}"
    assert "execution_error" not in [name for name, _ in events.messages]


def test_texts_go_on_while_a_sampler_holds_the_loop(comfy: ComfyUI, remote: ScriptedService) -> None:
    """4 s of a node that lets nothing else of ComfyUI's loop run: the countdown runs down, second by second."""
    remote.task_s = 5.0
    prompt = beside_local_work(chain(["load", 0]), ["poll", 0], (0.1, 4.0), 308)
    events = run_listening(comfy, prompt)
    begin = next(when for when, name, _ in events.bars if name == "poll")
    counted = [text for when, name, text in events.texts if name == "poll" and begin < when < begin + 4.0]
    assert len([text for text in counted if "asking again in" in text]) >= 3


def test_what_happens_on_the_nodes_is_not_in_the_saved_graph(comfy: ComfyUI) -> None:
    """The workflow in a saved picture is the one that was queued."""
    prompt = {**portrait(309, "local-manga"), "save": node("SaveImage", images=["one", 0], filename_prefix="life")}
    comfy.run(prompt)
    files = sorted(Path(comfy.folder, "output").glob("life*"))
    assert files
    for file in files:
        data = file.read_bytes()
        assert b"asking" not in data
        assert b"127.0.0.1" not in data


@in_the_page
def test_cancel_in_the_page(comfy: ComfyUI, remote: ScriptedService, tmp_path: Path) -> None:
    """Run, the page's own button while it waits, Run again: a sentence on the node, no error, nothing paid twice."""
    shots = Path(os.environ.get("COMFYUI_SHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    remote.task_s, remote.failed = 8.0, {}
    before = len(remote.submissions)
    with open_page(comfy) as page:
        assert page.load(workflow("portrait-to-cartoon")) == []
        page.page.evaluate("() => { app.queuePrompt(0) }")
        page.wait_for_text("CartoonizePollResult", "in progress")
        page.screenshot(shots / "waiting.png")
        page.page.get_by_role("button", name=re.compile("cancel current run|interrupt", re.IGNORECASE)).first.click()
        page.wait_for_text("CartoonizePollResult", "Cancelled. The tasks go on, and Run continues with them: task-")
        page.screenshot(shots / "cancelled.png")
        assert page.page.evaluate("() => app.graph._nodes.filter(node => node.has_errors).length") == 0
        assert page.page.get_by_role("dialog").count() == 0
        remote.task_s = 0.0
        outputs = page.run()
        assert [output for output in outputs.values() if output.get("images")]
        # a front end that is newer than its host asks it for jobs, which it does not have
        assert [text for text in page.complaints() if "/api/jobs" not in text] == []
    assert len(remote.submissions) == before + 1
