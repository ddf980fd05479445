"""The pack in a real ComfyUI, with a service from outside: waiting beside local work, Cancel, lists, what is paid.

Runs when COMFYUI_PATH names a ComfyUI (and COMFYUI_PYTHON the Python it runs with); skipped otherwise.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from comfyui_examples import example, pictures
from comfyui_host import ComfyUI, running
from comfyui_prompts import beside_local_work, chain, empty_image, in_order, node
from scripted_service import ScriptedService

pytestmark = pytest.mark.skipif("COMFYUI_PATH" not in os.environ, reason="COMFYUI_PATH does not name a ComfyUI")


@pytest.fixture(scope="module")
def remote() -> Iterator[ScriptedService]:
    with ScriptedService().running() as service:
        yield service


@pytest.fixture(scope="module")
def remote_comfy(tmp_path_factory: pytest.TempPathFactory, remote: ScriptedService) -> Iterator[ComfyUI]:
    """A ComfyUI whose default profile is the scripted service."""
    with running(tmp_path_factory.mktemp("comfyui"), remote.environment) as comfy:
        yield comfy


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
        assert [p.shape for p in pictures(comfy, outputs["show"])] == [(260, 300, 3)]
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
        assert len(pictures(comfy, outputs["show"])) == 1
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
        assert [p.shape for p in pictures(remote_comfy, outputs[name])] == shapes


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
    assert len(pictures(remote_comfy, outputs["7"])) == 2
    report = json.loads(outputs["8"]["text"][0])
    assert [entry["status"] for entry in report["images"]] == ["complete", "complete"]
    assert report["tasks"] == [f"task-{before + 1}", f"task-{before + 2}@2"]


def test_the_example_resumes_and_pays_nothing(remote_comfy: ComfyUI, remote: ScriptedService) -> None:
    """A graph that ended with Submit; another graph with the pasted id, twice: no second submission, the picture."""
    remote.task_s, remote.sizes = 0.0, [(300, 260)]
    before = len(remote.submissions)
    first = {"load": empty_image(color=57), **chain(["load", 0])}
    task_id = remote_comfy.run({key: first[key] for key in ("load", "url", "submit")})["submit"]["text"][0]
    prompt = example("resume-by-task-id")
    prompt["4"]["inputs"]["task_id"] = task_id
    outputs = remote_comfy.run(prompt)
    asked = (remote.polls, remote.downloads)
    prompt["4"]["inputs"]["timeout"] = 60  # else ComfyUI would not run the node again
    again = remote_comfy.run(prompt)
    assert [p.shape for p in pictures(remote_comfy, outputs["5"])] == [(260, 300, 3)]
    assert [p.shape for p in pictures(remote_comfy, again["4"])] == [(260, 300, 3)]
    assert len(remote.submissions) == before + 1
    assert (remote.polls, remote.downloads) == asked


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
    assert [p.shape[:2] for p in pictures(remote_comfy, outputs["show"])] == [(260, 300), (400, 280), (260, 300)]


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
