"""The nodes: schema, the main path, waiting and Cancel, bad input."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cartoonize_pack import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
from cartoonize_pack.nodes import _comfy
from cartoonize_pack.nodes._waiting import run_at_once
from cartoonize_pack.utils.errors import DeadlineError, InputError, ServiceError, UnreachableError
from cartoonize_pack.utils.monitor import Monitor
from node_calls import IMAGE_TO_URL, POLL, PORTRAIT, SUBMIT, batch, coroutine, execute, executed
from PIL import Image
from scripted_service import ScriptedService
from stand_in_host import Interrupt, StandInHost

pytestmark = pytest.mark.usefixtures("host")
QUICK = (1000, 260)  # height and width of what is drawn: the engine is done with narrow pictures in half the time
HEARD_S = 2.0  # a wait looks for Cancel every 0.05 s; the rest is for a busy machine


def submitted(count: int = 1) -> str:
    """A task of so many pictures at the default profile."""
    links = execute(IMAGE_TO_URL, images=batch(count))[0]
    return execute(SUBMIT, image_urls=links)["result"][0]


# --- schema: a public interface ---------------------------------------------------------------------------------------


def test_ids_names_and_order_are_those_of_saved_graphs() -> None:
    """Never renamed; widgets are only appended."""
    inputs = {
        node_id: [*node.INPUT_TYPES()["required"], *node.INPUT_TYPES().get("optional", {})]
        for node_id, node in NODE_CLASS_MAPPINGS.items()
    }
    assert inputs == {
        "CartoonizeImageToURL": ["images", "host", "format", "out_of_limits"],
        "CartoonizeSubmit": ["image_urls", "priority", "profile", "variation", "report"],
        "CartoonizePollResult": ["task_id", "timeout", "on_failure", "sizes", "profile", "originals"],
        "CartoonizePortrait": ["images", "profile", "on_failure", "sizes", "timeout", "variation"],
    }
    assert {node_id: node.RETURN_NAMES for node_id, node in NODE_CLASS_MAPPINGS.items()} == {
        "CartoonizeImageToURL": ("image_urls",),
        "CartoonizeSubmit": ("task_id",),
        "CartoonizePollResult": ("images", "image_list", "mask", "result_urls", "report"),
        "CartoonizePortrait": ("images", "mask", "report"),
    }
    assert set(NODE_DISPLAY_NAME_MAPPINGS) == set(NODE_CLASS_MAPPINGS)


@pytest.mark.parametrize("node", NODE_CLASS_MAPPINGS.values(), ids=NODE_CLASS_MAPPINGS)
def test_every_node_explains_itself(node: Any) -> None:
    """Description, category, search aliases, and a tooltip for every input and output; all of it is JSON."""
    assert node.DESCRIPTION
    assert node.CATEGORY == "image/cartoonize"
    assert node.SEARCH_ALIASES
    assert asyncio.iscoroutinefunction(getattr(node, node.FUNCTION))
    assert len(node.OUTPUT_TOOLTIPS) == len(node.RETURN_TYPES) == len(node.RETURN_NAMES)
    schema = node.INPUT_TYPES()
    json.dumps(schema)
    for options in [*schema["required"].values(), *schema.get("optional", {}).values()]:
        assert options[1]["tooltip"]


def test_no_widget_can_hold_a_key_or_an_address_of_the_service() -> None:
    """Widgets are saved in workflows and pictures."""
    names = {name for node in NODE_CLASS_MAPPINGS.values() for name in node.INPUT_TYPES()["required"]}
    assert not [name for name in names if any(word in name for word in ("key", "secret", "token", "base", "endpoint"))]


@pytest.mark.parametrize("node", [SUBMIT, POLL, PORTRAIT])
def test_a_graph_may_end_at(node: Any) -> None:
    """An output node, so that ComfyUI runs it without anything behind it."""
    assert node.OUTPUT_NODE is True


def test_the_profile_of_another_machine_is_explained_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence lists what this machine has; an incomplete one says what to set."""
    assert SUBMIT.VALIDATE_INPUTS(["local-manga"], ["https://h.test/a.png"]) is True
    assert POLL.VALIDATE_INPUTS([None], [None]) is True
    assert "it has: local, local-anime, local-manga" in SUBMIT.VALIDATE_INPUTS(["studio"], [""])
    monkeypatch.setenv("CARTOONIZE_CREATE_URL", "https://api.test/batch")
    message = POLL.VALIDATE_INPUTS(["auto"], ["task"])
    assert "CARTOONIZE_RESULT_URL, CARTOONIZE_APP_KEY, CARTOONIZE_APP_SECRET not set" in message
    assert "env" in SUBMIT.INPUT_TYPES()["required"]["profile"][0]


# --- the main path ----------------------------------------------------------------------------------------------------


def test_a_batch_goes_through_all_three_nodes_with_no_account(host: StandInHost) -> None:
    """Embedded service: images, list, mask, links and report fit each other; progress was shown."""
    pictures = np.random.default_rng(1).random((2, *QUICK, 3), np.float32)
    links = execute(IMAGE_TO_URL, images=pictures)[0]
    answer = execute(SUBMIT, image_urls=links, profile="local-manga")
    (task_id,) = answer["result"]
    assert answer["ui"] == {"text": [task_id]}
    images, singles, mask, result_urls, report = execute(POLL, task_id=task_id)
    assert images.shape == (2, *QUICK, 3)
    assert images.dtype == np.float32
    assert [s.shape for s in singles] == [(1, *QUICK, 3)] * 2
    assert np.array_equal(np.concatenate(singles), images)
    assert mask.shape == (2, *QUICK)
    assert not mask.any()
    assert len(result_urls.splitlines()) == 2
    entries = json.loads(report)["images"]
    assert [(e["index"], e["task_id"], e["status"], e["width"]) for e in entries] == [
        (0, task_id, "complete", QUICK[1]),
        (1, task_id, "complete", QUICK[1]),
    ]
    assert host.bars[-1] == (1000, 1000)
    assert any("complete" in text or "in progress" in text for text in host.texts)


def test_one_node_is_the_whole_way(host: StandInHost) -> None:
    """Embedded service: batch, mask and report; the bar goes forward only, through all of it."""
    pictures = np.random.default_rng(2).random((2, *QUICK, 3), np.float32)
    images, mask, report = execute(PORTRAIT, images=pictures, profile="local-manga")
    assert images.shape == (2, *QUICK, 3)
    assert mask.shape == (2, *QUICK)
    assert [entry["status"] for entry in json.loads(report)["images"]] == ["complete", "complete"]
    assert host.bars == sorted(host.bars)
    assert host.bars[-1] == (1000, 1000)
    assert "looking at 2 images" in host.texts
    assert "uploaded image 2 of 2 to 'local'" in host.texts
    assert host.texts[-1] == "2 of 2 pictures"


def test_one_node_and_three_are_the_same_work(service: ScriptedService) -> None:
    """What one of them paid for, the other hands on; 'variation' buys anew in both."""
    execute(PORTRAIT, images=batch(2))
    submitted(2)
    assert len(service.submissions) == 1
    execute(PORTRAIT, images=batch(2), variation=1)
    assert len(service.submissions) == 2


def test_one_node_puts_originals_in_the_places_of_failures(service: ScriptedService) -> None:
    """They are its own images; with 'skip' and nothing at all the outputs say why."""
    service.failed = {("task-1", 0): "no face found"}
    images, _, report = execute(PORTRAIT, images=batch(1, value=0.25), on_failure="original")
    assert images.shape == (1, 260, 300, 3)
    assert abs(float(images.mean()) - 0.25) < 0.01
    assert json.loads(report)["failed"] == 1
    images, mask, _ = execute(PORTRAIT, images=batch(1, value=0.25), on_failure="skip")
    assert "no face found" in images.message
    assert "no face found" in mask.message


@pytest.mark.parametrize("node", [POLL, PORTRAIT])
def test_finished_pictures_are_shown_on_the_node(
    service: ScriptedService, node: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In ComfyUI's temporary folder, at their own sizes, with nothing in them but pixels; no folder, no preview."""
    service.sizes = [(300, 260), (320, 200)]
    folder = ModuleType("folder_paths")
    folder.__dict__.update(get_temp_directory=lambda: str(tmp_path / "temp"))
    inputs = {"images": batch(2)} if node is PORTRAIT else {"task_id": submitted(2)}
    monkeypatch.setitem(sys.modules, "folder_paths", folder)
    monkeypatch.setattr(_comfy, "_own_home", lambda: None)
    shown = executed(node, **inputs)["ui"]["images"]
    assert [(entry["type"], entry["subfolder"]) for entry in shown] == [("temp", "")] * 2
    for entry, size in zip(shown, service.sizes, strict=True):
        with Image.open(tmp_path / "temp" / entry["filename"]) as picture:
            assert picture.size == size
            assert not {"exif", "comment", "prompt", "workflow"} & set(picture.info)
    folder.__dict__.update(get_temp_directory=lambda: "/dev/null/temp")
    answer = executed(node, **inputs)
    assert answer["ui"] == {"images": []}
    assert answer["result"][0].shape == (2, 260, 300, 3)


def test_a_list_of_mixed_sizes_is_one_submission(service: ScriptedService) -> None:
    """ComfyUI hands a list as a list; never one paid task per item."""
    links = execute(IMAGE_TO_URL, images=[batch(2), batch(1, 400, 300), batch(1, 300, 500)])[0]
    execute(SUBMIT, image_urls=links)
    assert [len(body["images"]) for body in service.submissions] == [4]  # type: ignore[arg-type]


def test_pasted_links_and_lines_are_taken_as_they_are(service: ScriptedService) -> None:
    """Blank lines and spaces around links are no links."""
    execute(SUBMIT, image_urls="  https://images.test/a.png \n\n https://images.test/b.png\n", priority=9)
    assert service.submissions == [
        {"images": ["https://images.test/a.png", "https://images.test/b.png"], "priority": 9}
    ]


def test_grey_and_transparent_images_are_taken() -> None:
    """One channel becomes grey, the fourth becomes the mask of the result."""
    rgb = batch(1, *QUICK)
    rgba = np.concatenate([rgb, np.zeros((1, *QUICK, 1), np.float32)], axis=3)
    for images, masked in ((rgb[..., :1], 0.0), (rgba, 1.0)):
        links = execute(IMAGE_TO_URL, images=images)[0]
        result = execute(POLL, task_id=execute(SUBMIT, image_urls=links)["result"][0])
        assert result[0].shape == (1, *QUICK, 3)
        assert result[2].mean() == masked


@pytest.mark.parametrize(
    ("sizes", "shape"), [("match first", (3, 260, 300, 3)), ("pad", (3, 400, 320, 3)), ("list only", None)]
)
def test_mixed_result_sizes_never_raise(service: ScriptedService, sizes: str, shape: tuple[int, ...] | None) -> None:
    """The batch follows the widget; the list keeps every picture's own size."""
    service.sizes = [(300, 260), (320, 200), (100, 400)]
    images, singles, mask, _, _ = execute(POLL, task_id=submitted(3), sizes=sizes)
    assert [s.shape[1:3] for s in singles] == [(260, 300), (200, 320), (400, 100)]
    if shape is None:
        assert "connect image_list" in images.message
        assert "connect image_list" in mask.message
    else:
        assert images.shape == shape
        assert mask.shape == shape[:3]
        assert mask.any() == (sizes == "pad")


@pytest.mark.parametrize(
    ("module", "name", "stand_in"),
    [
        ("comfy_execution.utils", None, None),
        ("comfy_execution.utils", "get_executing_context", lambda: None),
        ("server", None, None),
        ("server", "PromptServer", SimpleNamespace()),
        ("server", "PromptServer", SimpleNamespace(instance=None)),
        ("server", "PromptServer", SimpleNamespace(instance=SimpleNamespace(send_sync=None))),  # a child process
        ("comfy.utils", None, None),
        ("comfy.model_management", None, None),
    ],
)
def test_what_a_host_lacks_is_left_out_in_silence(
    host: StandInHost,
    service: ScriptedService,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    module: str,
    name: str | None,
    stand_in: object,
) -> None:
    """Older hosts, newer ones, child processes: the pictures come, and nobody complains."""
    if name is None:
        monkeypatch.setitem(sys.modules, module, None)  # importing it fails
    else:
        monkeypatch.setattr(sys.modules[module], name, stand_in)
    assert execute(PORTRAIT, images=batch())[0].shape == (1, 260, 300, 3)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


# --- how it waits -----------------------------------------------------------------------------------------------------


def test_upload_and_submit_finish_in_their_first_step(service: ScriptedService) -> None:
    """They never await: a sampler that is ready would take the loop between the nodes."""
    for node, inputs in ((IMAGE_TO_URL, {"images": batch()}), (SUBMIT, {"image_urls": "https://images.test/a.png"})):
        with pytest.raises(StopIteration):
            coroutine(node, **inputs).send(None)


def test_polling_goes_on_while_the_loop_stands_still(service: ScriptedService) -> None:
    """After its first step the work runs in its own thread; the loop may be blocked by a sampler for seconds."""
    service.task_s = 0.4
    task_id = submitted()

    async def beside_a_sampler() -> float:
        task = asyncio.ensure_future(coroutine(POLL, task_id=task_id))
        await asyncio.sleep(0)
        time.sleep(2.5)  # the sampler
        start = time.monotonic()
        await task
        return time.monotonic() - start

    assert asyncio.run(beside_a_sampler()) < 0.5


def _cancel_after(host: StandInHost, seconds: float) -> list[float]:
    pressed: list[float] = []

    def press() -> None:
        pressed.append(time.monotonic())
        host.interrupted = True

    threading.Timer(seconds, press).start()
    return pressed


def test_cancel_while_waiting_takes_effect_at_once_and_the_task_goes_on(
    host: StandInHost, service: ScriptedService
) -> None:
    """ComfyUI's own interrupt at once; running again continues with the same task, no second submission."""
    service.task_s = 2.0
    task_id = submitted()
    pressed = _cancel_after(host, 0.3)
    with pytest.raises(Interrupt):
        execute(POLL, task_id=task_id)
    assert time.monotonic() - pressed[0] < HEARD_S
    assert host.texts[-1] == f"Cancelled. The tasks go on, and Run continues with them: {task_id}"
    host.interrupted = False
    assert execute(POLL, task_id=task_id)[0].shape == (1, 260, 300, 3)
    assert len(service.submissions) == 1


def test_cancel_of_the_one_node_says_what_goes_on(host: StandInHost, service: ScriptedService) -> None:
    """The id is on the node; Run continues with that task."""
    service.task_s = 2.0
    pressed = _cancel_after(host, 1.0)
    with pytest.raises(Interrupt):
        execute(PORTRAIT, images=batch())
    assert time.monotonic() - pressed[0] < HEARD_S
    assert host.texts[-1] == "Cancelled. The tasks go on, and Run continues with them: task-1"
    host.interrupted = False
    assert execute(PORTRAIT, images=batch())[0].shape == (1, 260, 300, 3)
    assert len(service.submissions) == 1


@pytest.mark.parametrize("node", [SUBMIT, POLL])
def test_cancel_is_heard_while_a_request_hangs(
    host: StandInHost, service: ScriptedService, node: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that accepts and says nothing: the node ends all the same."""
    release = threading.Event()

    def hang(argument: object) -> dict[str, object]:
        release.wait(10)
        return {"task_id": "late", "status": "6", "list": []}

    monkeypatch.setattr(service, "create" if node is SUBMIT else "result", hang)
    pressed = _cancel_after(host, 0.3)
    with pytest.raises(Interrupt):
        execute(node, **({"image_urls": "https://images.test/a.png"} if node is SUBMIT else {"task_id": "t"}))
    assert time.monotonic() - pressed[0] < HEARD_S
    release.set()


def test_a_task_id_that_arrives_with_cancel_is_kept(host: StandInHost) -> None:
    """It may have cost money: ComfyUI gets it, and stops at the next node by itself."""

    def accepted_just_as_cancel_is_pressed(monitor: Monitor) -> str:
        host.interrupted = True
        return "task-1"

    assert run_at_once(accepted_just_as_cancel_is_pressed, "submit") == "task-1"


def test_cancelled_error_never_leaves_a_node(service: ScriptedService) -> None:
    """It would end ComfyUI's worker thread; the node turns it into the interrupt that ComfyUI knows."""
    service.task_s = 5.0
    task_id = submitted()

    async def another_node_fails() -> None:
        task = asyncio.ensure_future(coroutine(POLL, task_id=task_id))
        await asyncio.sleep(0.2)
        task.cancel()
        await task

    with pytest.raises(Interrupt):
        asyncio.run(another_node_fails())


# --- bad input --------------------------------------------------------------------------------------------------------

BAD_IMAGES = [
    (batch(0), "fit", "the batch is empty"),
    (batch()[0], "fit", r"shape \[260, 300, 3\]; an IMAGE is"),
    (batch()[..., :2], "fit", r"image 1 has the shape \[260, 300, 2\]"),
    (batch() * np.nan, "fit", "234000 values that are not numbers"),
    (batch(1, 1, 1), "error", "1x1 pixels: each side must be at least 257"),
    (batch(1, 3, 20000), "error", "20000x3 pixels: each side must be at least 257"),
    # One pixel that stands everywhere: a batch of its own would fill 300 MB of every process that collects the tests.
    (np.broadcast_to(batch(1, 1, 1), (1, 5000, 5000, 3)), "error", "5000x5000 pixels: each side must be at most 4999"),
]


@pytest.mark.parametrize(("images", "out_of_limits", "message"), BAD_IMAGES)
def test_bad_images_are_refused_before_anything_is_sent(
    service: ScriptedService, images: np.ndarray, out_of_limits: str, message: str
) -> None:
    """The value, the limit, and that nothing was sent."""
    with pytest.raises(InputError, match=message):
        execute(IMAGE_TO_URL, images=[images], out_of_limits=out_of_limits)
    assert service.submissions == []


@pytest.mark.parametrize(("height", "width", "words"), [(1, 1, "1x1 -> 257x257"), (3, 20000, "20000x3 -> 4999x1250")])
def test_fit_says_what_it_changed(
    host: StandInHost, service: ScriptedService, height: int, width: int, words: str
) -> None:
    """The status text of the node names both sizes."""
    assert execute(IMAGE_TO_URL, images=batch(1, height, width))[0].startswith("http")
    assert words in host.texts[-1]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"image_urls": ""}, "no links"),
        (
            {"image_urls": "\n".join(f"https://images.test/{n}.png" for n in range(101))},
            "101 images would be submitted",
        ),
        ({"image_urls": "https://images.test/a.png\n" * 20 + "file:///etc/passwd"}, "must start with http"),
        ({"image_urls": "file:///etc/passwd"}, "must start with http"),
        ({"image_urls": "https://images.test/a.png", "priority": 10}, "from 0 to 9, not 10"),
        ({"image_urls": "https://images.test/a.png", "priority": "high"}, "from 0 to 9, not 'high'"),
        ({"image_urls": "http://localhost/a.png"}, "on this machine"),
    ],
)
def test_bad_submissions_are_refused_before_anything_is_sent(
    service: ScriptedService, inputs: dict[str, Any], message: str
) -> None:
    """The value, the limit, and that nothing was sent."""
    with pytest.raises(InputError, match=f"{message}.*Nothing was sent"):
        execute(SUBMIT, **inputs)
    assert service.submissions == []


@pytest.mark.parametrize("task_id", ["", "../../etc", "two words"])
def test_what_is_no_task_id_is_refused(task_id: str) -> None:
    """An empty or impossible id tells where to get one."""
    with pytest.raises(InputError, match="Connect Submit Cartoonize"):
        execute(POLL, task_id=task_id)


def test_a_result_that_never_comes_ends_with_its_task_id(service: ScriptedService) -> None:
    """The deadline names the task and how to go on."""
    service.task_s = 60
    task_id = submitted()
    with pytest.raises(DeadlineError, match=f"Task {task_id}: Not finished after 1 s.*Continue with this task id"):
        execute(POLL, task_id=task_id, timeout=1)


def test_a_server_that_stops_in_the_middle_is_an_error_with_the_task_id(
    host: StandInHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its disappearance is shown while it lasts; in the end the error names the task and says how to go on."""
    service = ScriptedService(task_s=60)
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)
    with service.running():
        task_id = submitted()
    with pytest.raises(UnreachableError, match=f"Task {task_id}: .*Continue with this task id"):
        execute(POLL, task_id=task_id, timeout=2)
    assert any("Asking again" in text for text in host.texts)


def test_a_wrong_key_pair_says_so(service: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> None:
    """And that nothing was charged."""
    monkeypatch.setenv("CARTOONIZE_APP_SECRET", "wrong")
    with pytest.raises(ServiceError, match="did not accept the key pair of profile 'env'.*nothing was charged"):
        execute(SUBMIT, image_urls="https://images.test/a.png")


def test_signed_links_are_shown_without_their_query(service: ScriptedService) -> None:
    """The report is saved and shown; the links output keeps what is needed to fetch."""
    _, _, _, result_urls, report = execute(POLL, task_id=submitted())
    assert "signature=private" in result_urls
    assert "private" not in report


def test_what_the_page_shows_of_an_error_begins_with_its_name_and_not_with_a_path() -> None:
    """ComfyUI's notice is a few words long, and begins with the module."""
    for error in (InputError, DeadlineError, ServiceError, UnreachableError):
        assert f"{error.__module__}.{error.__qualname__}" == f"portrait_cartoonize.{error.__name__}"
