"""Every example, and the blueprint, in a real ComfyUI: through its HTTP API, and in its page in a browser.

Runs when COMFYUI_PATH names a ComfyUI; see test_comfyui.py.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comfyui_examples import (
    EXAMPLES,
    SMALL,
    example,
    overlaps,
    pictures,
    prepare,
    saved,
    shortened,
    with_muted_swapped,
    workflow,
)
from comfyui_host import ComfyUI, running
from comfyui_page import CHROMIUM, Page, open_page
from comfyui_prompts import Prompt
from pack import ROOT
from PIL import Image

pytestmark = pytest.mark.skipif("COMFYUI_PATH" not in os.environ, reason="COMFYUI_PATH does not name a ComfyUI")
in_the_page = pytest.mark.skipif(
    importlib.util.find_spec("playwright") is None or not Path(CHROMIUM).exists(),
    reason="needs Playwright for Python and Chromium",
)
BLUEPRINT = "Portrait to Cartoon"
DRAWINGS = {"one-node": 1, "portrait-to-cartoon": 1, "two-styles": 2, "retry-failed": 1, "resume-by-task-id": 1}
PAPER, INK = 207, 48  # as far as hosts whose SaveImage writes JPEG leave white and black
MARGIN_PX, GUTTER_PX, FRAME_PX = 36, 24, 5  # of the manga page


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    """A ComfyUI as a newcomer has it: no configuration, the bundled portrait in its input folder."""
    folder = tmp_path_factory.mktemp("comfyui")
    prepare(folder)
    with running(folder, {}) as it:
        yield it


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    with Image.open(ROOT / "examples" / "portrait.jpg") as picture:
        return np.asarray(picture).astype(float)


def first_day(comfy: ComfyUI) -> str:
    """Submit the portrait, let the graph end there, and return the task id that Submit shows."""
    prompt = {key: entry for key, entry in example("portrait-to-cartoon").items() if int(key) <= 3}
    prompt["3"]["inputs"]["variation"] = 1  # else ComfyUI remembers the node, and shows nothing to who has no page
    return comfy.run(prompt)["3"]["text"][0]


def ready(comfy: ComfyUI, name: str) -> Prompt:
    """An example as somebody runs it: with a task id where one is to be pasted."""
    prompt = example(name)
    if name == "resume-by-task-id":
        prompt["4"]["inputs"]["task_id"] = first_day(comfy)
    return prompt


def is_drawing(result: np.ndarray, source: np.ndarray) -> bool:
    """Whether it is another picture of the same thing."""
    return result.shape == source.shape and bool(5 < np.abs(result - source).mean() < 120)


def is_manga(result: np.ndarray) -> bool:
    """Whether it is black and white."""
    return bool(((result < INK) | (result > PAPER)).mean() > 0.85)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_comes_out(comfy: ComfyUI, portrait: np.ndarray, name: str) -> None:
    """Through ComfyUI's HTTP API, with no account."""
    prompt = ready(comfy, name)
    results = saved(comfy, prompt, comfy.run(prompt))
    assert [is_drawing(result, portrait) for result in results] == [True] * DRAWINGS[name]
    assert [is_manga(result) for result in results] == [False, True][: len(results)]


def test_before_and_after_is_one_picture(comfy: ComfyUI, portrait: np.ndarray) -> None:
    """The original, a white gap, its cartoon."""
    prompt = example("before-and-after")
    (result,) = saved(comfy, prompt, comfy.run(prompt))
    height, width, _ = portrait.shape
    assert result.shape == (height, 2 * width + 16, 3)
    before, gap, after = np.split(result.astype(float), [width, width + 16], axis=1)
    assert np.abs(before - portrait).mean() < 3
    assert gap[:, 2:-2].min() > 230
    assert is_drawing(after, portrait)


def test_24_of_25_come_and_the_report_names_the_other(comfy: ComfyUI) -> None:
    """Two tasks, three sizes in the order of the links, and the reason of the one that cannot work."""
    prompt = example("batch-of-25")
    outputs = comfy.run(prompt)
    (submit,) = (key for key, entry in prompt.items() if entry["class_type"] == "CartoonizeSubmit")
    (preview,) = (key for key, entry in prompt.items() if entry["class_type"] == "PreviewAny")
    results = saved(comfy, prompt, outputs)
    assert [result.shape[:2] for result in results] == [(400, 320)] * 8 + [(360, 360)] * 8 + [(448, 288)] * 8
    assert len({result.tobytes() for result in results}) == 24
    report = json.loads(outputs[preview]["text"][0])
    assert (report["results"], report["failed"], len(report["tasks"])) == (25, 1, 2)
    assert report["tasks"] == outputs[submit]["text"][0].splitlines()
    assert [entry["task_id"] for entry in report["images"]] == [report["tasks"][0]] * 20 + [report["tasks"][1]] * 5
    assert [entry["status"] for entry in report["images"][:24]] == ["complete"] * 24
    last = report["images"][24]
    assert (last["index"], last["link"]) == (24, "https://portraits.invalid/missing.jpg")
    assert last["status"] != "complete"
    assert "portraits.invalid" in last["reason"]


def test_the_page_of_panels_has_gutters_and_frames(comfy: ComfyUI) -> None:
    """White margin and gutters, black frames around four panels, and drawings in them."""
    prompt = example("manga-page")
    outputs = comfy.run(prompt)
    (page,) = saved(comfy, prompt, outputs)
    assert page.shape == (1392, 1032, 3)
    grey = page.mean(axis=2)
    panels = [(36, 36, 960, 480), (36, 540, 472, 816), (532, 540, 464, 396), (532, 960, 464, 396)]
    outside = np.ones(grey.shape, bool)
    for x, y, width, height in panels:
        outside[y : y + height, x : x + width] = False
        panel = grey[y : y + height, x : x + width]
        inner = panel[FRAME_PX + 4 : -FRAME_PX - 4, FRAME_PX + 4 : -FRAME_PX - 4]
        for edge in (panel[:FRAME_PX], panel[-FRAME_PX:], panel[:, :FRAME_PX], panel[:, -FRAME_PX:]):
            assert (edge < INK).mean() > 0.95
        assert 0.02 < (inner < INK).mean() < 0.9
    assert (grey[outside] > PAPER).mean() > 0.99
    assert outside.sum() == grey.size - sum(width * height for _, _, width, height in panels)
    assert (
        sum(len(pictures(comfy, outputs[key])) for key in outputs) == 4 + 1
    )  # previews on the drawing nodes, the page


def test_the_cartoon_is_the_start_of_diffusion(comfy: ComfyUI) -> None:
    """Cartoon, then diffusion: it comes out at the size that was asked for."""
    prompt = example("cartoon-then-diffusion")
    assert [result.shape for result in saved(comfy, prompt, comfy.run(prompt))] == [(SMALL[1], SMALL[0], 3)]


def test_the_cartoons_lines_hold_diffusion(comfy: ComfyUI) -> None:
    """The lines are white on black, and the ControlNet is followed: without its strength another picture comes."""
    prompt = example("cartoon-as-controlnet")
    outputs = comfy.run(prompt)
    (held,) = saved(comfy, prompt, outputs)
    (lines,) = (key for key, entry in prompt.items() if entry["class_type"] == "PreviewImage")
    (drawn,) = pictures(comfy, outputs[lines])
    assert held.shape == drawn.shape == (SMALL[1], SMALL[0], 3)
    assert 0.02 < (drawn > PAPER).mean() < 0.4
    assert (drawn < INK).mean() > 0.5
    (apply,) = (entry for entry in prompt.values() if entry["class_type"] == "ControlNetApplyAdvanced")
    apply["inputs"]["strength"] = 0.0
    (free,) = saved(comfy, prompt, comfy.run(prompt))
    assert np.abs(held.astype(float) - free).mean() > 3


def test_the_state_is_in_the_folder_that_comfyui_does_not_serve(comfy: ComfyUI) -> None:
    """user/__portrait_cartoonize where ComfyUI has such folders; never in the pack's own folder."""
    comfy.run(example("portrait-to-cartoon"))
    if (comfy.folder / "user" / "__portrait_cartoonize").exists():
        with pytest.raises(OSError, match="HTTP Error 40"):
            urllib.request.urlopen(f"{comfy.url}/userdata/..%2F__portrait_cartoonize%2Fconfig.toml", timeout=10)
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "jobs.sqlite3" not in changed.stdout


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go."""
    folder = Path(os.environ.get("COMFYUI_SHOTS", tmp_path_factory.mktemp("shots")))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def page(comfy: ComfyUI) -> Iterator[Page]:
    """One page for all: opening it takes longer than what is done there."""
    with open_page(comfy) as opened:
        yield opened


def assert_same(queued: Prompt, api: Prompt) -> None:
    """What the page would queue is the API-format twin; hosts whose nodes have widgets of their own may add those."""
    assert {key: entry["class_type"] for key, entry in queued.items()} == {k: e["class_type"] for k, e in api.items()}
    for key, entry in api.items():
        assert queued[key]["inputs"] | entry["inputs"] == queued[key]["inputs"]


@in_the_page
def test_the_template_browser_lists_the_examples(comfy: ComfyUI, page: Page) -> None:
    """Each with its thumbnail."""
    assert sorted(page.templates()["portrait-cartoonize"]) == EXAMPLES
    for name in EXAMPLES:
        thumbnail = f"{comfy.url}/api/workflow_templates/portrait-cartoonize/{name}.jpg"
        with urllib.request.urlopen(thumbnail, timeout=10) as reply:
            assert reply.headers["Content-Type"] == "image/jpeg"


@in_the_page
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_opens_and_runs_in_the_page(comfy: ComfyUI, page: Page, shots: Path, name: str) -> None:
    """Nodes drawn and wired, the page queues what the API-format twin says, Run pressed, pictures shown."""
    assert page.load(workflow(name)) == []
    assert_same(page.prompt(), json.loads((ROOT / "examples" / "api" / f"{name}.json").read_text(encoding="utf-8")))
    opened = shortened(workflow(name))
    if name == "resume-by-task-id":
        page.load(with_muted_swapped(workflow(name)))
        (submitted,) = page.run().values()
        (poll,) = (entry for entry in opened["nodes"] if entry["type"] == "CartoonizePollResult")
        poll["widgets_values"][0] = submitted["text"][0]
    assert page.load(opened) == []
    outputs = page.run()
    shown = [width for key, output in outputs.items() if "images" in output for width in page.shown_pictures(key)]
    assert shown
    assert all(width > 100 for width in shown)
    page.screenshot(shots / f"{name}.png")
    assert overlaps(page.serialized()) == []  # nodes grow with their pictures and texts


def blueprints(comfy: ComfyUI) -> list[dict[str, Any]]:
    """What ComfyUI lists of this pack's blueprints; the test is skipped where it has no blueprints yet."""
    try:
        listed = comfy.get("/global_subgraphs")
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 404:
            raise
        pytest.skip("this ComfyUI has no blueprints of packs")
    return [entry for entry in listed.values() if entry["info"]["node_pack"].endswith("portrait-cartoonize")]


def test_the_blueprint_is_listed(comfy: ComfyUI) -> None:
    """By ComfyUI, under the name of its file."""
    assert [entry["name"] for entry in blueprints(comfy)] == [BLUEPRINT]


WIRE = """() => {
  const graph = app.graph, cartoon = graph._nodes[0];
  const load = LiteGraph.createNode("LoadImage"), save = LiteGraph.createNode("SaveImage");
  load.pos = [cartoon.pos[0] - 360, cartoon.pos[1]];
  save.pos = [cartoon.pos[0] + 400, cartoon.pos[1]];
  graph.add(load); graph.add(save);
  save.size = [320, 400];
  load.widgets.find(w => w.name === "image").value = "portrait.jpg";
  load.connect(0, cartoon, cartoon.findInputSlot("images"));
  cartoon.connect(cartoon.findOutputSlot("images"), save, 0);
  return String(save.id);
}"""


@in_the_page
def test_the_blueprint_is_inserted_and_runs(comfy: ComfyUI, page: Page, portrait: np.ndarray, shots: Path) -> None:
    """Found in the node library, put on the canvas, wired, run; one choice of the style reaches both nodes inside."""
    blueprints(comfy)
    page.load({"nodes": [], "links": [], "version": 0.4})
    page.page.keyboard.press("n")
    page.page.get_by_placeholder("Search").first.fill(BLUEPRINT)
    page.page.get_by_text(BLUEPRINT, exact=True).last.click()
    page.page.mouse.move(900, 400)
    page.page.mouse.click(900, 400)
    page.page.wait_for_function("() => app.graph._nodes.length === 1", timeout=10_000)
    page.page.screenshot(path=shots / "blueprint-in-the-library.png")
    page.page.keyboard.press("n")
    save = page.page.evaluate(WIRE)
    assert page.page.evaluate("() => app.graph._nodes[0].widgets.map(w => [w.name, w.value])") == [
        ["profile", "auto"],
        ["on_failure", "error"],
        ["sizes", "match first"],
        ["variation", 0],
    ]
    (anime,) = pictures(comfy, page.run()[save])
    assert is_drawing(anime, portrait)
    page.screenshot(shots / "blueprint.png")
    page.page.evaluate("() => { app.graph._nodes[0].widgets.find(w => w.name === 'profile').value = 'local-manga' }")
    profiles = [entry["inputs"]["profile"] for entry in page.prompt().values() if "profile" in entry["inputs"]]
    assert profiles == ["local-manga", "local-manga"]
    (manga,) = pictures(comfy, page.run()[save])
    assert is_manga(manga)
