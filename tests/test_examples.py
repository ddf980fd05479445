"""The examples name only nodes, inputs and choices that exist, and both formats say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cartoonize_pack import NODE_CLASS_MAPPINGS
from pack import ROOT
from PIL import Image

EXAMPLES = sorted((ROOT / "examples").glob("*.json"))
UI_ONLY_WIDGETS = {"LoadImage": 1, "KSampler": 1}  # the upload button, control after generate


def ours(nodes: dict[str, Any]) -> dict[str, Any]:
    """The nodes of this pack in an API-format prompt."""
    return {key: node for key, node in nodes.items() if node["class_type"] in NODE_CLASS_MAPPINGS}


def test_the_examples_are_there() -> None:
    """And nothing else that ComfyUI would list as a template."""
    names = ["cartoon-then-diffusion", "portrait-to-cartoon", "retry-failed", "two-styles"]
    assert [path.stem for path in EXAMPLES] == names


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_uses_what_exists(path: Path) -> None:
    """Every input of our nodes is there, every choice is one that the widget offers."""
    prompt = json.loads((path.parent / "api" / path.name).read_text())
    assert ours(prompt)
    for node in ours(prompt).values():
        schema = NODE_CLASS_MAPPINGS[node["class_type"]].INPUT_TYPES()
        known = schema["required"] | schema.get("optional", {})
        assert set(schema["required"]) <= set(node["inputs"]) <= set(known)
        for name, value in node["inputs"].items():
            choices = known[name][0]
            assert not isinstance(choices, list) or value in choices
    for node in prompt.values():
        for value in node["inputs"].values():
            assert not isinstance(value, list) or value[0] in prompt


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_both_formats_say_the_same(path: Path) -> None:
    """Same nodes, links and widget values, in the order of the widgets."""
    page = json.loads(path.read_text())
    prompt = json.loads((path.parent / "api" / path.name).read_text())
    nodes = {str(node["id"]): node for node in page["nodes"] if node["type"] != "MarkdownNote"}
    links = {link[0]: [str(link[1]), link[2]] for link in page["links"]}
    assert {key: node["type"] for key, node in nodes.items()} == {k: n["class_type"] for k, n in prompt.items()}
    for key, node in nodes.items():
        linked = {slot["name"]: links[slot["link"]] for slot in node["inputs"] if slot["link"] is not None}
        assert linked == {name: value for name, value in prompt[key]["inputs"].items() if isinstance(value, list)}
        if node["type"] in NODE_CLASS_MAPPINGS:
            schema = NODE_CLASS_MAPPINGS[node["type"]].INPUT_TYPES()["required"]
            widgets = [name for name, spec in schema.items() if spec[0] not in ("IMAGE", "MASK")]
            values = dict(zip(widgets, node["widgets_values"], strict=True))
            assert values | linked == prompt[key]["inputs"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_a_thumbnail_and_a_place_in_the_readme(path: Path) -> None:
    """The template browser shows NAME.jpg beside NAME.json."""
    with Image.open(path.with_suffix(".jpg")) as thumbnail:
        assert thumbnail.format == "JPEG"
        assert 256 <= thumbnail.width <= 1024
    assert path.stem in (ROOT / "README.md").read_text(encoding="utf-8")
