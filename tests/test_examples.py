"""The examples and the blueprint name only what exists, both formats say the same, and nothing is of one machine."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cartoonize_pack import NODE_CLASS_MAPPINGS
from cartoonize_pack.utils import pasted_keys
from comfyui_examples import MUTED, overlaps
from pack import ROOT
from PIL import Image

NAMES = [
    "batch-of-25",
    "before-and-after",
    "cartoon-as-controlnet",
    "cartoon-then-diffusion",
    "manga-page",
    "one-node",
    "portrait-to-cartoon",
    "resume-by-task-id",
    "retry-failed",
    "two-styles",
]
EXAMPLES = [ROOT / "examples" / f"{name}.json" for name in NAMES]
BLUEPRINT = ROOT / "subgraphs" / "Portrait to Cartoon.json"  # the page shows the name of the file
SHARED = [*EXAMPLES, *(path.parent / "api" / path.name for path in EXAMPLES), BLUEPRINT]
LINK = re.compile(r"[a-z]+://[^\s)]+")
ABSOLUTE_PATH = re.compile(r"(?<![\w.])[/~][\w.]|\b[A-Za-z]:\\|\\\\")

each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def ours(nodes: dict[str, Any]) -> dict[str, Any]:
    """The nodes of this pack in an API-format prompt."""
    return {key: node for key, node in nodes.items() if node["class_type"] in NODE_CLASS_MAPPINGS}


def schema_of(kind: str) -> dict[str, Any]:
    """The inputs of a node of this pack."""
    schema = NODE_CLASS_MAPPINGS[kind].INPUT_TYPES()
    return schema["required"] | schema.get("optional", {})


def widgets_of(kind: str) -> list[str]:
    """The widgets of a node of this pack, in the order in which a page writes their values."""
    required = NODE_CLASS_MAPPINGS[kind].INPUT_TYPES()["required"]
    return [name for name, spec in required.items() if spec[0] not in ("IMAGE", "MASK")]


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from itertools.chain.from_iterable(map(texts, value.values()))
    elif isinstance(value, list):
        yield from itertools.chain.from_iterable(map(texts, value))


def test_the_examples_are_there() -> None:
    """And nothing else that ComfyUI would list as a template, or as a blueprint."""
    assert sorted((ROOT / "examples").glob("*.json")) == EXAMPLES
    assert sorted((ROOT / "examples" / "api").iterdir()) == [path.parent / "api" / path.name for path in EXAMPLES]
    assert list((ROOT / "subgraphs").iterdir()) == [BLUEPRINT]


@each_example
def test_an_example_uses_what_exists(path: Path) -> None:
    """Every input of our nodes is there, every choice is one that the widget offers."""
    prompt = read(path.parent / "api" / path.name)
    assert ours(prompt)
    for node in ours(prompt).values():
        known = schema_of(node["class_type"])
        required = NODE_CLASS_MAPPINGS[node["class_type"]].INPUT_TYPES()["required"]
        assert set(required) <= set(node["inputs"]) <= set(known)
        for name, value in node["inputs"].items():
            choices = known[name][0]
            assert not isinstance(choices, list) or value in choices
    for node in prompt.values():
        for value in node["inputs"].values():
            assert not isinstance(value, list) or value[0] in prompt


@each_example
def test_both_formats_say_the_same(path: Path) -> None:
    """Same nodes, links and widget values, in the order of the widgets; what is muted is not sent."""
    page, prompt = read(path), read(path.parent / "api" / path.name)
    drawn = [node for node in page["nodes"] if node["type"] != "MarkdownNote"]
    nodes = {str(node["id"]): node for node in drawn if node["mode"] != MUTED}
    links = {link[0]: [str(link[1]), link[2]] for link in page["links"]}
    assert {key: node["type"] for key, node in nodes.items()} == {k: n["class_type"] for k, n in prompt.items()}
    for key, node in nodes.items():
        inputs = prompt[key]["inputs"]
        linked = {slot["name"]: links[slot["link"]] for slot in node["inputs"] if slot["link"] is not None}
        assert linked == {name: value for name, value in inputs.items() if isinstance(value, list)}
        if node["type"] in NODE_CLASS_MAPPINGS:
            values = dict(zip(widgets_of(node["type"]), node["widgets_values"], strict=True))
            assert values | linked == inputs
        else:  # what their widgets are called only ComfyUI knows: test_comfyui_examples.py compares in its page
            assert all(value in node["widgets_values"] for name, value in inputs.items() if name not in linked)


@each_example
def test_an_example_explains_itself(path: Path) -> None:
    """A note in the graph, a thumbnail for the template browser, which shows NAME.jpg, a place in the README."""
    notes = [node["widgets_values"][0] for node in read(path)["nodes"] if node["type"] == "MarkdownNote"]
    assert [note.startswith("**") for note in notes] == [True]
    with Image.open(path.with_suffix(".jpg")) as thumbnail:
        assert thumbnail.format == "JPEG"
        assert 256 <= thumbnail.width <= 1024
    assert path.with_suffix(".jpg").stat().st_size < 80_000
    assert f"`{path.stem}`" in (ROOT / "README.md").read_text(encoding="utf-8")


@each_example
def test_an_example_says_which_samples_it_needs(path: Path) -> None:
    """The page uploads them when somebody opens the template: every picture that it loads, and no other."""
    page = read(path)
    samples = page["extra"]["portrait_cartoonize"]["samples"]
    assert samples == sorted({node["widgets_values"][0] for node in page["nodes"] if node["type"] == "LoadImage"})
    assert all((ROOT / "examples" / name).is_file() for name in samples)


@each_example
def test_nothing_lies_on_top_of_something_else(path: Path) -> None:
    """A template opens tidy."""
    assert overlaps(read(path)) == []


@pytest.mark.parametrize("path", SHARED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_nothing_is_of_one_machine(path: Path) -> None:
    """No path, no key, no task, no address but the one that leads nowhere by definition (RFC 2606)."""
    content = read(path)
    for text in texts(content):
        assert [link for link in LINK.findall(text) if not link.startswith("https://portraits.invalid/")] == []
        assert not ABSOLUTE_PATH.search(LINK.sub("", text)), text
        assert pasted_keys.problem("text", text) == ""
    for node in content.values() if "nodes" not in content else ():
        assert node["inputs"].get("task_id", "") == "" or isinstance(node["inputs"]["task_id"], list)


def test_the_blueprint_is_the_three_nodes_as_they_are_by_default() -> None:
    """One node outside; inside the three, with every widget at its default."""
    content = read(BLUEPRINT)
    (outside,), (inside,) = content["nodes"], content["definitions"]["subgraphs"]
    assert (outside["type"], outside["title"], inside["name"]) == (inside["id"], BLUEPRINT.stem, BLUEPRINT.stem)
    assert [node["type"] for node in inside["nodes"]] == [
        "CartoonizeImageToURL",
        "CartoonizeSubmit",
        "CartoonizePollResult",
    ]
    for node in inside["nodes"]:
        known = schema_of(node["type"])
        assert {slot["name"] for slot in node["inputs"]} == set(known)
        widgets = widgets_of(node["type"])
        defaults = [known[name][1].get("default", known[name][0][0]) for name in widgets]
        assert [slot["name"] for slot in node["inputs"] if "widget" in slot] == widgets
        assert node["widgets_values"] == defaults
        assert [slot["name"] for slot in node["outputs"]] == list(NODE_CLASS_MAPPINGS[node["type"]].RETURN_NAMES)


def test_the_blueprint_is_wired() -> None:
    """Every link ends at slots of its type and name; the profile goes to both nodes that have one."""
    content = read(BLUEPRINT)
    (outside,), (inside,) = content["nodes"], content["definitions"]["subgraphs"]
    nodes = {node["id"]: node for node in inside["nodes"]}
    sources = {-10: inside["inputs"], **{key: node["outputs"] for key, node in nodes.items()}}
    targets = {-20: inside["outputs"], **{key: node["inputs"] for key, node in nodes.items()}}
    wires = []
    for link in inside["links"]:
        source = sources[link["origin_id"]][link["origin_slot"]]
        target = targets[link["target_id"]][link["target_slot"]]
        assert link["id"] in source.get("links", source.get("linkIds"))
        assert link["id"] == target.get("link") or link["id"] in target["linkIds"]
        assert source["type"] == target["type"] == link["type"]
        wires.append((link["origin_id"], source["name"], link["target_id"], target["name"]))
    assert wires == [
        (-10, "images", 1, "images"),
        (-10, "images", 3, "originals"),
        (-10, "profile", 2, "profile"),
        (-10, "profile", 3, "profile"),
        (-10, "on_failure", 3, "on_failure"),
        (-10, "sizes", 3, "sizes"),
        (-10, "variation", 2, "variation"),
        (1, "image_urls", 2, "image_urls"),
        (2, "task_id", 3, "task_id"),
        (3, "images", -20, "images"),
        (3, "image_list", -20, "image_list"),
        (3, "mask", -20, "mask"),
        (3, "report", -20, "report"),
    ]
    assert [slot["name"] for slot in outside["inputs"]] == [slot["name"] for slot in inside["inputs"]]
    assert [slot["name"] for slot in outside["outputs"]] == [slot["name"] for slot in inside["outputs"]]
    exposed = [name for _, name in outside["properties"]["proxyWidgets"]]
    assert exposed == [slot["name"] for slot in outside["inputs"] if "widget" in slot]
