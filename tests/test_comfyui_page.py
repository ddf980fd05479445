"""The pack's part of ComfyUI's page, in a real browser: settings, keys, task ids, shared workflows, samples, help.

Runs when COMFYUI_PATH names a ComfyUI (and COMFYUI_PYTHON the Python it runs with) and Playwright and Chromium are
there; skipped otherwise. Screenshots go to COMFYUI_SHOTS, if set.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from comfyui_host import ComfyUI, running
from comfyui_page import CHROMIUM, Page, open_page
from pack import ROOT

pytestmark = [
    pytest.mark.skipif("COMFYUI_PATH" not in os.environ, reason="COMFYUI_PATH does not name a ComfyUI"),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None or not Path(CHROMIUM).exists(),
        reason="needs Playwright for Python and Chromium",
    ),
]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.json"))
# the template browser of a front end beside a newer package of ComfyUI's own templates
NOT_OURS = ("/templates/index.json", "Error fetching workflow templates")
KEY, SECRET = "canary-key-7c1d", "canary-secret-0b9e4f52a1"
MACHINE: dict[str, Any] = {
    "version": "0.1.0",
    "config_file": "/somewhere/config.toml",
    "auto": "studio",
    "problem": "",
    "may_add": False,
    "why_not": "This page came over plain http.",
    "profiles": [
        {"name": "studio", "ready": False, "problem": "<img src=x onerror='window.harmed = 1'> is no address",
         "kind": "service", "style": "", "host": "bucket", "removable": False},
    ],
    "hosts": [
        {"name": "bucket", "kind": "s3", "ready": True, "problem": "", "auto": True, "public": False},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    """A ComfyUI as a newcomer has it: no configuration, and nothing in its input folder."""
    with running(tmp_path_factory.mktemp("comfyui"), {}) as it:
        yield it


@pytest.fixture
def page(comfy: ComfyUI) -> Iterator[Page]:
    """The page of that ComfyUI; whatever a test does there, the console stays silent."""
    with open_page(comfy) as opened:
        yield opened
        assert [text for text in opened.complaints() if not any(own in text for own in NOT_OURS)] == []


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go."""
    folder = Path(os.environ.get("COMFYUI_SHOTS", tmp_path_factory.mktemp("shots")))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def example(name: str = "portrait-to-cartoon") -> dict[str, Any]:
    """A UI-format example."""
    return json.loads((ROOT / "examples" / f"{name}.json").read_text())


def set_widget(workflow: dict[str, Any], node_type: str, index: int, value: object) -> None:
    """Give the first node of a type another value of a widget."""
    next(node for node in workflow["nodes"] if node["type"] == node_type)["widgets_values"][index] = value


def properties(workflow: dict[str, Any], node_type: str) -> dict[str, Any]:
    """Return the properties of the first node of a type."""
    return next(node for node in workflow["nodes"] if node["type"] == node_type)["properties"]


def write_studio(comfy: ComfyUI) -> Path:
    """Describe a profile 'studio' in the configuration file of this machine."""
    overview = comfy.get("/portrait_cartoonize/overview")
    file = Path(overview["config_file"])
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.write_text(
        '[profiles.studio]\ncreate_url = "https://api.example.com/create"\n'
        f'result_url = "https://api.example.com/{{task_id}}"\napp_key = "{KEY}"\napp_secret = "{SECRET}"\n'
    )
    file.chmod(0o600)
    return file


def test_the_template_browser_shows_every_example_with_its_picture(page: Page, shots: Path) -> None:
    """Opened as a person does; no example has the front end's placeholder."""
    page.command("Comfy.BrowseTemplates")
    dialog = page.page.get_by_role("dialog")
    dialog.get_by_text("portrait-cartoonize").first.click()
    for name in EXAMPLES:
        # its picture is loaded, and laid out, when the card comes into view
        dialog.get_by_text(name, exact=True).first.evaluate("title => title.scrollIntoView({block: 'end'})")
        page.page.wait_for_function(_SHOWN, arg=name, timeout=20_000)
    dialog.get_by_text(EXAMPLES[0], exact=True).first.scroll_into_view_if_needed()
    page.page.screenshot(path=shots / "templates.png")


# larger than the placeholder; the picture element is another one as soon as there is something to show
_SHOWN = """name => [...document.querySelectorAll('[role=dialog] img')].some(
  picture => picture.alt === name && picture.complete && picture.naturalWidth > 300)"""


def test_the_settings_say_what_this_machine_has(page: Page, shots: Path) -> None:
    """What auto means, every profile and host, and what a test of each found, step by step."""
    tests: list[str] = []
    page.page.on("request", lambda request: tests.append(request.url) if request.url.endswith("/test") else None)
    section = page.settings("Portrait Cartoonize")
    text = section.inner_text()
    assert "auto is 'local': drawn on this machine, no account needed." in text
    assert "You need neither an account nor a key" in text
    for name in ("local-anime", "local-manga", "comfyui"):
        assert name in text
    for button in section.get_by_role("button", name="Test 'local'").all():
        button.click()
        button.dispatch_event("click")  # a second time, while it is running
    section.get_by_text("It works.").nth(1).wait_for()
    assert [url.split("/api/")[-1] for url in tests] == [
        "portrait_cartoonize/profiles/local/test",
        "portrait_cartoonize/hosts/local/test",
    ]
    assert section.locator("ol li").count() >= 4
    section.get_by_role("button", name="Test 'comfyui'").click()
    section.get_by_text("It does not work.").wait_for()
    page.page.screenshot(path=shots / "settings.png")


def fill(section: Any, name: str) -> None:
    """Fill in the form for a key and send it."""
    section.get_by_label("Name").fill(name)
    section.get_by_label("Address for tasks").fill("https://api.example.com/create")
    section.get_by_label("Address for results").fill("https://api.example.com/result/{task_id}")
    section.get_by_label("Key", exact=True).fill(KEY)
    section.get_by_label("Secret").fill(SECRET)
    section.get_by_role("button", name="Add", exact=True).click()


def test_a_key_goes_in_and_never_comes_out(comfy: ComfyUI, page: Page, shots: Path) -> None:
    """Not in the page, its storage, the settings, or any answer; the workflow that named the profile has it back."""
    bodies: list[str] = []
    page.page.on("response", lambda reply: bodies.append(_text(reply)) if comfy.url in reply.url else None)
    workflow = example()
    set_widget(workflow, "CartoonizeSubmit", 2, "studio")
    page.load(workflow)
    section = page.settings("Portrait Cartoonize")
    section.locator("summary").click()
    fill(section, "studio")
    section.get_by_text("'studio' was added").wait_for()
    page.page.screenshot(path=shots / "key-added.png")
    page.page.wait_for_function("() => app.graph.nodes.some(n => n.widgets?.some(w => w.value === 'studio'))")
    assert "studio" in page.choices("CartoonizePollResult", "profile")
    places = [page.page.evaluate(script) for script in (
        "() => document.documentElement.outerHTML",
        "() => [...document.querySelectorAll('input')].map(i => i.value).join()",
        "() => JSON.stringify([{...localStorage}, {...sessionStorage}])",
    )]  # fmt: skip
    for path in ("/settings", "/portrait_cartoonize/overview", "/object_info/CartoonizeSubmit", "/history"):
        places.append(json.dumps(comfy.get(path)))
    for text in [*places, *bodies, comfy.log(), json.dumps(page.serialized())]:
        assert KEY not in text
        assert SECRET not in text
    assert len(bodies) > 5
    section.get_by_role("button", name="Remove 'studio'").click()
    section.get_by_role("button", name="Keep").click()
    section.get_by_role("button", name="Remove 'studio'").click()
    section.get_by_role("button", name="Remove", exact=True).click()
    section.get_by_text("'studio' was removed.").wait_for()
    assert "studio" not in [profile["name"] for profile in comfy.get("/portrait_cartoonize/overview")["profiles"]]


def _text(reply: Any) -> str:
    return reply.url + (reply.text() if reply.request.resource_type in ("fetch", "xhr") else "")


def test_a_refused_key_is_forgotten_too(comfy: ComfyUI, shots: Path) -> None:
    """The server's words are shown; name and addresses stay to be corrected, key and secret do not."""
    with open_page(comfy, {"Comfy.ColorPalette": "light"}) as page:
        section = page.settings("Portrait Cartoonize")
        section.locator("summary").click()
        fill(section, "auto")
        section.locator("form .problem:not(:empty)").wait_for()
        values = section.locator("input").evaluate_all("inputs => inputs.map(i => i.value)")
        assert values[0] == "auto"
        assert values[3:] == ["", ""]
        section.locator("form .problem").scroll_into_view_if_needed()
        page.page.screenshot(path=shots / "key-refused-light.png")
        assert [text for text in page.complaints() if "/profiles/auto" not in text] == []
    comfy.post("/settings/Comfy.ColorPalette", "dark")


def test_where_no_key_may_be_added_the_command_line_is_shown(page: Page) -> None:
    """No form; what the server says is text, whatever it looks like."""
    page.page.route("**/portrait_cartoonize/overview", lambda route: route.fulfill(json=MACHINE))
    section = page.settings("Portrait Cartoonize")
    text = section.inner_text()
    assert "auto is 'studio', a service." in text
    assert "neither an account" not in text
    assert "Keys cannot be added in this page: This page came over plain http." in text
    assert "portrait-cartoonize profiles add NAME" in text
    assert "<img src=x onerror=" in text
    assert section.locator("form, img").count() == 0
    assert page.page.evaluate("() => window.harmed") is None


def test_the_task_id_is_on_the_node_and_in_no_workflow(page: Page, shots: Path) -> None:
    """Shown and to be copied; neither it nor the status texts of a run are saved, and no value moves."""
    page.load(example())
    before = [node.get("widgets_values") for node in page.serialized()["nodes"]]
    prompt = page.prompt()
    outputs = page.run()
    task = next(output["text"][0] for output in outputs.values() if "text" in output)
    page.page.locator(".portrait-cartoonize-line", has_text=task).wait_for()
    page.screenshot(shots / "task-id.png")
    shown = page.widgets("CartoonizeSubmit")
    assert shown["portrait_cartoonize_task"] == f"Task: {task}"
    assert shown["$$node-text-preview"]
    saved = page.serialized()
    assert [node.get("widgets_values") for node in saved["nodes"]] == before
    assert task not in json.dumps(saved)
    assert page.prompt() == prompt
    node = "app.graph.nodes.find(n => n.type === 'CartoonizeSubmit')"
    menu = page.page.evaluate(f"() => app.canvas.getNodeMenuOptions({node}).map(option => option?.content)")
    assert "Copy task id" in menu
    page.load(saved)
    assert page.widgets("CartoonizeSubmit") == {"image_urls": "", "priority": 1, "profile": "auto", "variation": 0}


def test_a_strange_profile_becomes_auto_and_comes_back_where_it_is(comfy: ComfyUI, page: Page, shots: Path) -> None:
    """One message, a line on each node, and the name kept; a machine that has the profile uses it again."""
    workflow = example()
    set_widget(workflow, "CartoonizeSubmit", 2, "studio")
    set_widget(workflow, "CartoonizePollResult", 4, "studio")
    set_widget(workflow, "CartoonizeImageToURL", 0, "their-bucket")
    assert page.load(workflow) == []
    page.page.locator(".portrait-cartoonize-line").nth(2).wait_for()
    page.screenshot(shots / "strange-profile.png")
    (message,) = page.toasts()
    assert "no profile 'studio'" in message
    assert "no image host 'their-bucket'" in message
    assert "draws on this machine, no account needed" in message
    assert (
        "'studio', which this machine does not have" in page.widgets("CartoonizePollResult")["portrait_cartoonize_note"]
    )
    saved = page.serialized()
    assert properties(saved, "CartoonizeSubmit")["cartoonize_wanted"] == {"profile": "studio"}
    assert {entry["inputs"].get("profile", "auto") for entry in page.prompt().values()} == {"auto"}
    page.choose("CartoonizePollResult", "profile", "local-manga")
    by_hand = page.serialized()
    assert "cartoonize_wanted" not in properties(by_hand, "CartoonizePollResult")
    assert "portrait_cartoonize_note" not in page.widgets("CartoonizePollResult")
    file = write_studio(comfy)
    try:
        page.load(saved)
        page.page.wait_for_function("() => app.graph.nodes.some(n => n.widgets?.some(w => w.value === 'studio'))")
        assert page.widgets("CartoonizeSubmit")["profile"] == "studio"
        assert "cartoonize_wanted" not in properties(page.serialized(), "CartoonizeSubmit")
        assert properties(page.serialized(), "CartoonizeImageToURL")["cartoonize_wanted"] == {"host": "their-bucket"}
    finally:
        file.unlink()


def test_a_profile_that_is_new_since_the_page_was_loaded_is_left_alone(comfy: ComfyUI, page: Page) -> None:
    """The file was changed meanwhile: the name is here, although the page's lists do not have it yet."""
    workflow = example()
    set_widget(workflow, "CartoonizeSubmit", 2, "studio")
    assert "studio" not in page.choices_of_type("CartoonizeSubmit", "profile")
    file = write_studio(comfy)
    try:
        page.load(workflow)
        page.page.wait_for_timeout(700)
        assert page.widgets("CartoonizeSubmit")["profile"] == "studio"
        assert "studio" in page.choices("CartoonizeSubmit", "profile")
        assert not any("no profile" in message for message in page.toasts())
    finally:
        file.unlink()


def test_an_answer_for_a_workflow_that_is_no_longer_open_changes_nothing(page: Page) -> None:
    """A node with a strange name is pasted, and another workflow opened while the server is still being asked."""
    held: list[Any] = []
    page.load(example())
    page.page.route("**/portrait_cartoonize/overview", lambda route: route.continue_() if held else held.append(route))
    page.page.evaluate(_PASTE_STRANGE)
    page.page.wait_for_timeout(700)
    workflow = example()
    set_widget(workflow, "CartoonizeSubmit", 2, "atelier")
    page.page.evaluate("workflow => { app.loadGraphData(workflow) }", workflow)
    page.page.wait_for_timeout(700)
    held[0].continue_()
    page.page.locator(".portrait-cartoonize-line", has_text="atelier").wait_for()
    assert properties(page.serialized(), "CartoonizeSubmit")["cartoonize_wanted"] == {"profile": "atelier"}


_PASTE_STRANGE = """() => {
  const submit = app.graph.nodes.find(n => n.type === 'CartoonizeSubmit');
  submit.widgets.find(w => w.name === 'profile').value = 'studio';
  app.canvas.copyToClipboard(new Set([submit]));
  app.canvas.pasteFromClipboard();
}"""


def test_names_that_exist_are_left_alone(page: Page) -> None:
    """No message, no property, and the server is not even asked."""
    asked: list[str] = []
    page.page.on(
        "request", lambda request: asked.append(request.url) if "/portrait_cartoonize/" in request.url else None
    )
    workflow = example()
    set_widget(workflow, "CartoonizeSubmit", 2, "local-manga")
    page.load(workflow)
    page.page.wait_for_timeout(500)
    assert page.widgets("CartoonizeSubmit")["profile"] == "local-manga"
    assert (page.toasts(), asked) == ([], [])
    assert "cartoonize_wanted" not in json.dumps(page.serialized())


@pytest.mark.parametrize("promoted", [False, True], ids=["inside", "promoted"])
def test_a_strange_profile_in_a_subgraph(comfy: ComfyUI, page: Page, promoted: bool) -> None:
    """On inner nodes, and where the subgraph itself shows the widget."""
    page.load(example())
    page.page.evaluate(_MAKE_SUBGRAPH, promoted)
    workflow = page.serialized()
    assert "studio" in json.dumps(workflow)
    page.load(copy.deepcopy(workflow))
    page.page.wait_for_timeout(700)
    assert page.widgets("CartoonizeSubmit")["profile"] == "auto"
    assert "studio" in page.widgets("CartoonizeSubmit")["portrait_cartoonize_note"]
    badges = page.page.evaluate("() => app.graph.nodes.flatMap(n => n.badges).map(badge => badge.text)")
    assert ("not on this machine: studio" in badges) is promoted
    saved = page.serialized()
    assert {entry["inputs"].get("profile", "auto") for entry in page.prompt().values()} == {"auto"}
    file = write_studio(comfy)
    try:
        page.load(saved)
        page.page.wait_for_timeout(1500)
        assert "studio" in {entry["inputs"].get("profile") for entry in page.prompt().values()}
        assert "cartoonize_wanted" not in json.dumps(page.serialized())
    finally:
        file.unlink()


_MAKE_SUBGRAPH = """promoted => {
  const graph = app.rootGraph ?? app.graph;
  const ours = new Set(graph.nodes.filter(n => n.type.startsWith('Cartoonize')));
  const {subgraph, node} = graph.convertToSubgraph(ours);
  const submit = subgraph.nodes.find(n => n.type === 'CartoonizeSubmit');
  if (promoted) {
    const slot = submit.inputs.find(i => i.widget?.name === 'profile');
    subgraph.addInput('profile', 'COMBO').connect(slot, submit);
  }
  (promoted ? node : submit).widgets.find(w => w.name === 'profile').value = 'studio';
}"""


def test_an_example_brings_its_sample_picture(comfy: ComfyUI, page: Page, shots: Path) -> None:
    """A newcomer opens an example and presses Run; what is not listed, or not the pack's, is not fetched."""
    picture = comfy.folder / "input" / "portrait.jpg"
    picture.unlink(missing_ok=True)
    page.page.evaluate("() => app.reloadNodeDefs?.() ?? app.refreshComboInNodes()")
    fetched: list[str] = []
    page.page.on("request", lambda request: fetched.append(request.url))
    workflow = example()
    workflow["extra"]["portrait_cartoonize"] = {"samples": ["portrait.jpg", "two-styles.jpg", "../README.md"]}
    assert page.load(workflow) == []
    assert picture.read_bytes() == (ROOT / "examples" / "portrait.jpg").read_bytes()
    assert "portrait.jpg" in page.choices("LoadImage", "image")
    assert [url.rsplit("/", 1)[1] for url in fetched if "/workflow_templates/" in url] == ["portrait.jpg"]
    page.run()
    page.screenshot(shots / "sample.png")
    picture.write_bytes(b"my own")
    page.load(workflow)
    assert picture.read_bytes() == b"my own"


@pytest.mark.parametrize("locale", ["zh", "ja", "ko"])
def test_the_page_speaks(comfy: ComfyUI, shots: Path, locale: str) -> None:
    """Node names, the settings section and its texts in the language of the page."""
    names = json.loads((ROOT / "locales" / locale / "nodeDefs.json").read_text(encoding="utf-8"))
    with open_page(comfy, {"Comfy.Locale": locale}) as page:
        page.load(example())
        titles = page.page.evaluate("() => app.graph.nodes.map(n => n.constructor.title ?? n.title)")
        for node_type in ("CartoonizeImageToURL", "CartoonizeSubmit", "CartoonizePollResult"):
            assert names[node_type]["display_name"] in titles
        page.screenshot(shots / f"nodes-{locale}.png")
        category = json.loads((ROOT / "locales" / locale / "main.json").read_text(encoding="utf-8"))[
            "settingsCategories"
        ]
        section = page.settings(category["Portrait Cartoonize"])
        text = section.inner_text()
        assert "drawn on this machine" not in text
        assert "auto" in text
        page.page.screenshot(path=shots / f"settings-{locale}.png")
        assert page.complaints() == []
    comfy.post("/settings/Comfy.Locale", "en")


@pytest.mark.parametrize("locale", ["en", "zh"])
def test_a_node_has_its_help_page(comfy: ComfyUI, shots: Path, locale: str) -> None:
    """Opened from the node's toolbox; the page is the pack's own in that language, its pictures are there."""
    with open_page(comfy, {"Comfy.Locale": locale}) as page:
        page.load(example())
        page.screenshot(shots / f"nodes-{locale}.png")
        page.page.evaluate("() => app.canvas.selectNode(app.graph.nodes.find(n => n.type === 'CartoonizeSubmit'))")
        page.page.get_by_test_id("info-button").click()
        source = ROOT / "web" / "docs" / ("CartoonizeSubmit.md" if locale == "en" else f"CartoonizeSubmit/{locale}.md")
        help_page = page.page.locator(".node-help-content")
        help_page.wait_for()
        heading = next(line for line in source.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
        help_page.get_by_role("heading", name=heading.lstrip("# ")).first.wait_for()
        page.page.wait_for_timeout(500)
        page.page.screenshot(path=shots / f"help-{locale}.png")
        widths = help_page.locator("img").evaluate_all("images => images.map(i => i.naturalWidth)")
        assert widths
        assert all(width > 100 for width in widths)
        # the front end asks for an English page of its own first
        assert [text for text in page.complaints() if "/docs/CartoonizeSubmit/en.md" not in text] == []
    comfy.post("/settings/Comfy.Locale", "en")
